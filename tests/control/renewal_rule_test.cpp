// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The rule's decisions one by one, and its long-run speed on streams of known acceptance with the cost curves of
// several kinds of machine.
#include "tests/control/stream.hpp"
#include "tests/support/allocation_counter.hpp"

using namespace decant;
using namespace decant_test;

namespace {

struct named_curve {
  const char* name;
  cost_curve curve;
};

const std::vector<named_curve>& curves() {
  static const std::vector<named_curve> all{
      {"cpu", cost_curve::cpu_like()},
      {"flat", cost_curve::flat()},
      {"offload", cost_curve::offload()},
      {"tiles of four",
       {{{1, 1.0}, {2, 1.8}, {3, 1.85}, {4, 1.9}, {5, 2.8}, {8, 2.9}, {9, 3.8}, {12, 3.9}, {64, 17.0}}}},
      {"quantised", {{{1, 1.0}, {2, 1.2}, {4, 1.5}, {8, 2.2}, {16, 3.6}, {32, 6.5}, {64, 12.5}}}},
      {"linear", {{{1, 1.0}, {2, 2.0}, {64, 64.0}}}},
  };
  return all;
}

using acceptance_of_position = std::function<double(std::size_t)>;

auto paced(acceptance_of_position acceptance, double claimed, const cost_curve& curve, std::uint64_t seed = 1) {
  return paced_drafter(erring_drafter(std::move(acceptance), claimed, seed), renewal_rule(curve));
}

acceptance_of_position always(double acceptance) {
  return [acceptance](std::size_t) { return acceptance; };
}

std::vector<draft_level> levels(std::size_t count, double claimed, std::int32_t nodes = 1, double cost = 0) {
  return std::vector<draft_level>(count, draft_level{confidence(claimed), nodes, cost});
}

/// A rule that has seen many drafts of such tokens accepted or refused, in turn.
renewal_rule taught(const cost_curve& curve, double claimed, int accepted, int refused) {
  renewal_rule rule(curve);
  const auto one = levels(1, claimed);
  for (int i = 0; i < accepted; ++i) rule.learn(one, {1, 0});
  for (int i = 0; i < refused; ++i) rule.learn(one, {0, 0});
  return rule;
}

/// A rule to which the future of every level is known, as an upper bound.
double best_fixed(double acceptance, const cost_curve& curve) {
  return expected_speed_up(acceptance, best_fixed_length(acceptance, 32, 0, curve), 0, curve);
}

}  // namespace

TEST_CASE("a draft is as long as its tokens are worth their cost") {
  const cost_curve straight{{{1, 1.0}, {101, 21.0}}};  // every further node costs 0.2
  const renewal_rule rule = taught(straight, 0.5, 20, 20);
  const double rate = rule.rate();
  const double a = rule.estimates().likely(confidence(0.5));
  std::size_t expected = 0;
  for (double reach = a; reach > rate * 0.2; reach *= a) ++expected;
  CHECK(expected >= 1);
  CHECK(rule.choose(levels(20, 0.5), 0) == expected);
  CHECK(rule.choose(levels(1, 0.5), 0) == 1);
  CHECK(rule.choose({}, 0) == 0);
}

TEST_CASE("a draft goes past a step of the curve when what lies behind it is worth it") {
  const cost_curve tiles{{{1, 1.0}, {2, 1.9}, {4, 1.9}, {5, 2.8}, {8, 2.8}}};
  const renewal_rule rule = taught(tiles, 0.9, 40, 8);
  CHECK(rule.choose(levels(1, 0.9), 0) == 0);
  const std::size_t chosen = rule.choose(levels(7, 0.9), 0);
  CHECK((chosen == 3 || chosen == 7));
}

TEST_CASE("the cost of drafting counts until it is spent") {
  const renewal_rule rule = taught(cost_curve::flat(), 0.7, 30, 30);
  CHECK(rule.choose(levels(4, 0.7, 1, 0.1), 0) > 0);
  CHECK(rule.choose(levels(4, 0.7, 1, 0.9), 0) == 0);
  CHECK(rule.choose(levels(4, 0.7, 1, 0.9), 4) == 4);
  // Once the first is drafted it is kept, and no second one is bought.
  CHECK(rule.choose(levels(4, 0.7, 1, 0.9), 1) == 1);
}

TEST_CASE("wide levels cost more than narrow ones") {
  const renewal_rule rule = taught(cost_curve::cpu_like(), 0.9, 60, 6);
  CHECK(rule.choose(levels(7, 0.9, 1), 0) > rule.choose(levels(7, 0.9, 4), 0));
}

TEST_CASE("what is not proven is tried only within the allowance") {
  const cost_curve expensive{{{1, 1.0}, {2, 1.5}, {16, 8.5}}};
  const renewal_rule fresh(expensive);
  CHECK(fresh.choose(levels(15, 0.97), 0) == 2);  // costs 1.0, all that may be lost at first
  CHECK(renewal_rule(expensive, {0.6, 0, 0}).choose(levels(15, 0.97), 0) == 1);
  CHECK(renewal_rule(expensive, {0.4, 0, 0}).choose(levels(15, 0.97), 0) == 0);
  const renewal_rule sure = taught(expensive, 0.97, 60, 0);
  CHECK(sure.choose(levels(15, 0.97), 0) > 5);
}

TEST_CASE("losses use the allowance up, emitted tokens and a new sequence grant it again") {
  const cost_curve expensive{{{1, 1.0}, {2, 1.9}}};
  renewal_rule rule(expensive);
  const auto one = levels(1, 0.99);
  REQUIRE(rule.choose(one, 0) == 1);
  rule.learn(one, {0, 0});
  CHECK(near(rule.lead(), -0.9, 1e-12));
  CHECK(rule.choose(one, 0) == 0);
  for (int i = 0; i < 2000; ++i) rule.learn({}, {0, 0});
  CHECK(rule.choose(one, 0) == 1);
  renewal_rule next = rule;
  next.learn(one, {0, 0});
  CHECK(near(next.lead(), -1.8, 1e-12));
  next.begin();
  CHECK(next.lead() == 0);
}

TEST_CASE("settings and curves out of range are refused") {
  CHECK(renewal_settings{}.check());
  for (const renewal_settings& bad :
       {renewal_settings{-1, 0, 0}, renewal_settings{1, -0.1, 0}, renewal_settings{1, 0, std::nan("")}}) {
    CHECK(bad.check().code() == error_code::invalid_argument);
  }
}

TEST_CASE("where nothing is ever accepted, decoding keeps 98 percent of the plain speed") {
  for (const auto& [name, curve] : curves()) {
    for (const double claimed : {0.0, 0.3, 0.67, 0.9, 0.99}) {
      INFO(name << ", claimed " << claimed);
      CHECK(simulated_speed(paced(always(0), claimed, curve), curve, 1000) >= 0.98);
      CHECK(simulated_speed(paced(always(0), claimed, curve), curve, 128) >= 0.98);
    }
  }
}

TEST_CASE("the loss is bounded as promised, whatever is drafted and whenever it stops being accepted") {
  const renewal_settings settings;
  for (const auto& [name, curve] : curves()) {
    for (const std::size_t length : {32U, 128U, 512U}) {
      INFO(name << ", " << length << " tokens");
      const double speed = simulated_speed(paced(always(0), 0.95, curve), curve, length);
      const double tokens = static_cast<double>(length);
      CHECK(tokens / speed <= tokens * (1 + settings.share) + settings.allowance + 1e-9);
    }
  }
}

TEST_CASE("with steady acceptance the speed comes near that of the best fixed length") {
  for (const auto& [name, curve] : curves()) {
    for (const double claimed : {0.0, 0.9}) {
      for (const double acceptance : {0.2, 0.5, 0.7, 0.85, 0.95}) {
        INFO(name << ", claimed " << claimed << ", acceptance " << acceptance);
        const double speed = simulated_speed(paced(always(acceptance), claimed, curve), curve, 8000);
        CHECK(speed >= 0.95 * best_fixed(acceptance, curve));
      }
    }
  }
}

TEST_CASE("drafters that think too little of themselves are found out") {
  const cost_curve& curve = curves()[4].curve;
  CHECK(simulated_speed(paced(always(0.9), 0.5, curve), curve, 8000) >= 0.95 * best_fixed(0.9, curve));
}

TEST_CASE("a text that changes is followed") {
  // 300 tokens that can be copied, 300 that cannot, and so on: never knowing which would be worth fixed drafts.
  const auto changing = [](std::size_t position) { return position / 300 % 2 == 0 ? 0.95 : 0.02; };
  for (const auto& [name, curve] : curves()) {
    INFO(name);
    double best = 0;
    for (const std::int32_t length : {0, 1, 2, 3, 4, 5, 7, 9, 11, 15, 23, 32}) {
      best = std::max(best, simulated_speed(erring_drafter(changing, 0, 1), curve, 6000, length));
    }
    CHECK(simulated_speed(paced(changing, 0, curve), curve, 6000) >= 0.95 * best);
  }
}

TEST_CASE("the rule allocates nothing") {
  renewal_rule rule(cost_curve::cpu_like());
  const auto offered = levels(20, 0.8);
  std::size_t chosen = 0;
  CHECK(allocations_of([&] {
          for (std::size_t i = 0; i < 100; ++i) {
            chosen += rule.choose(offered, 0);
            rule.learn(std::span(offered).first(3), {i % 4, 0});
          }
        }) == 0);
  CHECK(chosen > 0);
}
