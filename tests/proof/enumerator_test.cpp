// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/proof/enumerator.hpp>
#include <decant/proof/sequence_law.hpp>

#include <map>

#include "tests/support/test_kit.hpp"

namespace decant_test {
namespace {

using namespace decant;         // NOLINT: test
using namespace decant::proof;  // NOLINT: test

using chance_type = enumerating_chance<double>;

[[nodiscard]] chance_key key(std::uint32_t number) { return {7, chance_purpose::other, number}; }

[[nodiscard]] distribution_view<double> law_of(const std::vector<double>& weights) {
  double mass = 0;
  for (const double w : weights) mass += w;
  return {weights, mass};
}

/// The law of what `run(chance)` returns.
template <class Run>
[[nodiscard]] std::map<int, double> outcomes_of(chance_type& chance, const Run& run) {
  std::map<int, double> law;
  enumerate(chance, [&] {
    const int outcome = run(chance);
    law[outcome] += chance.probability();
  });
  return law;
}

}  // namespace

TEST_CASE("the enumerator takes every outcome with its probability") {
  chance_type chance;
  const std::vector<double> weights{1, 0, 3};
  const auto law = outcomes_of(chance, [&](chance_type& c) {
    const token first = c.pick(key(0), law_of(weights));
    return 10 * first + (c.accept(key(1), 1.0, 4.0) ? 1 : 0);
  });
  CHECK(chance.failure().empty());
  CHECK(law.size() == 4);
  CHECK(near(law.at(0), 0.25 * 0.75, 1e-15));
  CHECK(near(law.at(1), 0.25 * 0.25, 1e-15));
  CHECK(near(law.at(20), 0.75 * 0.75, 1e-15));
  CHECK(near(law.at(21), 0.75 * 0.25, 1e-15));
}

TEST_CASE("certain outcomes do not branch") {
  chance_type chance;
  const std::vector<double> one{0, 5, 0};
  const std::size_t runs = enumerate(chance, [&] {
    CHECK_FALSE(chance.accept(key(0), 0.0, 1.0));
    CHECK_FALSE(chance.accept(key(1), -1.0, 1.0));
    CHECK(chance.accept(key(2), 1.0, 1.0));
    CHECK(chance.accept(key(3), 2.0, 1.0));
    CHECK(chance.accept(key(4), 1.0, 0.0));
    CHECK(chance.pick(key(5), law_of(one)) == 1);
    CHECK(chance.draws() == draw_counts{5, 1, 0});
  });
  CHECK(runs == 1);
  CHECK(chance.probability() == 1);
  CHECK(chance.failure().empty());
}

TEST_CASE("an ordered sample has the law of successive draws from the remainder") {
  chance_type chance;
  const std::vector<double> weights{2, 1, 0, 5};
  const auto law = outcomes_of(chance, [&](chance_type& c) {
    token out[2];
    CHECK(c.ordered_sample(key(0), law_of(weights), out) == 2);
    return 10 * out[0] + out[1];
  });
  CHECK(law.size() == 6);
  CHECK(near(law.at(3), 2.0 / 8 * 5 / 6, 1e-15));
  CHECK(near(law.at(30), 5.0 / 8 * 2 / 3, 1e-15));
  CHECK(near(law.at(13), 1.0 / 8 * 5 / 7, 1e-15));
  CHECK(chance.draws().ordered_samples == 1);
}

TEST_CASE("an ordered sample stops when the law is exhausted") {
  chance_type chance;
  const std::vector<double> weights{0, 1, 1};
  const std::size_t runs = enumerate(chance, [&] {
    token out[5];
    CHECK(chance.ordered_sample(key(0), law_of(weights), out) == 2);
  });
  CHECK(runs == 2);
}

TEST_CASE("a key used twice gives the dependent outcomes of one coin and is reported") {
  chance_type chance;
  // u < 1/4 and u < 1/2 for one u: the second holds whenever the first does.
  const auto law = outcomes_of(chance, [&](chance_type& c) {
    const bool first = c.accept(key(0), 1.0, 4.0);
    const bool second = c.accept(key(0), 1.0, 2.0);
    return (first ? 2 : 0) + (second ? 1 : 0);
  });
  CHECK(law.size() == 3);
  CHECK(near(law.at(3), 0.25, 1e-15));
  CHECK(near(law.at(1), 0.25, 1e-15));
  CHECK(near(law.at(0), 0.5, 1e-15));
  CHECK(chance.failure().find("used twice") != std::string::npos);
}

TEST_CASE("a coin and a draw that share a key share their noise") {
  chance_type chance;
  const std::vector<double> weights{1, 1, 2};
  const auto law = outcomes_of(chance, [&](chance_type& c) {
    const bool low = c.accept(key(0), 1.0, 2.0);
    return (low ? 10 : 0) + c.pick(key(0), law_of(weights));
  });
  CHECK(law.size() == 3);  // u < 1/2 can only give 0 or 1, the rest only 2
  CHECK(near(law.at(10), 0.25, 1e-15));
  CHECK(near(law.at(11), 0.25, 1e-15));
  CHECK(near(law.at(2), 0.5, 1e-15));
}

TEST_CASE("asking for the very same draw again can be allowed") {
  const std::vector<double> weights{1, 2, 3};
  const auto again = [&](chance_type& c) {
    token a[2];
    token b[2];
    (void)c.ordered_sample(key(0), law_of(weights), a);
    (void)c.ordered_sample(key(0), law_of(weights), b);
    CHECK(a[0] == b[0]);
    CHECK(a[1] == b[1]);
    const token x = c.pick(key(1), law_of(weights));
    CHECK(c.pick(key(1), law_of(weights)) == x);
    return int{x};
  };
  chance_type strict;
  (void)outcomes_of(strict, again);
  CHECK_FALSE(strict.failure().empty());
  chance_type lenient(repeated_keys::identical_draws);
  const auto law = outcomes_of(lenient, again);
  CHECK(lenient.failure().empty());
  CHECK(near(law.at(2), 0.5, 1e-15));

  chance_type other_arguments(repeated_keys::identical_draws);
  (void)outcomes_of(other_arguments, [&](chance_type& c) {
    (void)c.accept(key(0), 1.0, 2.0);
    return c.pick(key(0), law_of(weights));
  });
  CHECK_FALSE(other_arguments.failure().empty());
}

TEST_CASE("the same index under another purpose or position is another coin") {
  chance_type chance;
  enumerate(chance, [&] {
    (void)chance.accept(accept_key(3, 1), 1.0, 2.0);
    (void)chance.accept(accept_key(4, 1), 1.0, 2.0);
    (void)chance.accept({3, chance_purpose::draft, 1}, 1.0, 2.0);
    (void)chance.accept({3, chance_purpose::other, 1}, 1.0, 2.0);
  });
  CHECK(chance.failure().empty());
}

TEST_CASE("reruns that ask for something else are noticed") {
  int calls = 0;
  SECTION("another law") {
    chance_type chance;
    enumerate(chance, [&] { (void)chance.pick(key(0), law_of({1, 1.0 + ++calls})); });
    CHECK(chance.failure().find("hidden state") != std::string::npos);
    CHECK(calls == 2);
  }
  SECTION("another key") {
    chance_type chance;
    enumerate(chance, [&] { (void)chance.accept(key(static_cast<std::uint32_t>(++calls)), 1.0, 2.0); });
    CHECK(chance.failure().find("hidden state") != std::string::npos);
  }
  SECTION("fewer draws") {
    chance_type chance;
    enumerate(chance, [&] {
      if (calls++ == 0) (void)chance.accept(key(0), 1.0, 2.0);
    });
    CHECK(chance.failure().find("hidden state") != std::string::npos);
  }
}

TEST_CASE("laws without mass or with a wrong mass are failures") {
  chance_type empty;
  enumerate(empty, [&] { (void)empty.pick(key(0), law_of({0, 0})); });
  CHECK(empty.failure().find("without mass") != std::string::npos);
  chance_type wrong;
  const std::vector<double> weights{1, 1};
  enumerate(wrong, [&] { (void)wrong.pick(key(0), distribution_view<double>(weights, 3.0)); });
  CHECK(wrong.failure().find("mass is not the sum") != std::string::npos);
}

TEST_CASE("enumeration stops at the largest number of runs") {
  chance_type chance;
  const auto draw_three = [&] {
    for (std::uint32_t i = 0; i < 3; ++i) (void)chance.accept(key(i), 1.0, 2.0);
  };
  CHECK(enumerate(chance, draw_three, 5) == 5);
  chance_type fresh;
  CHECK(enumerate(fresh, [&] {
          for (std::uint32_t i = 0; i < 3; ++i) (void)fresh.accept(key(i), 1.0, 2.0);
        }) == 8);
}

TEST_CASE("float weights are enumerated in double") {
  chance_type chance;
  const std::vector<float> weights{0.1f, 0.2f};
  double total = 0;
  enumerate(chance, [&] {
    (void)chance.pick(key(0), distribution_view<float>(weights, double{0.1f} + double{0.2f}));
    total += chance.probability();
  });
  CHECK(chance.failure().empty());
  CHECK(near(total, 1, 1e-15));
}

TEST_CASE("a sequence law adds up and knows its mean length") {
  sequence_law<double> law;
  const std::vector<token> a{1};
  const std::vector<token> ab{1, 2};
  law.add(a, 0.25);
  law.add(ab, 0.5);
  law.add(ab, 0.25);
  CHECK(law.mass() == 1);
  CHECK(law.longest() == 2);
  CHECK(law.probability_of(ab) == 0.75);
  CHECK(law.probability_of(std::vector<token>{2}) == 0);
  CHECK(law.expected_length() == 1.75);
  std::size_t seen = 0;
  law.for_each([&](token_span, const double&) { ++seen; });
  CHECK(seen == 2);
  sequence_law<double> other;
  other.add(a, 1.0);
  CHECK(total_variation(law, other) == 0.75);
  CHECK(total_variation(other, law) == 0.75);
  CHECK(total_variation(law, law) == 0);
}

}  // namespace decant_test
