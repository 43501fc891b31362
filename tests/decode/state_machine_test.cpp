// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The calls of the machine in their order, in every wrong order, and with arguments out of range: each mistake is one
// error and changes nothing.
#include "tests/support/decoding.hpp"

#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/lenience.hpp>

namespace {

using namespace decant_test;
using decant::error_code;
using decant::node_id;

using host_driven = decant::guided_drafter<decant::static_widths<decant::without_replacement>, chain_sampler>;
using machine_type = decant::speculation<host_driven, decant::recursive_rejection, chain_sampler>;

/// A machine and the two models its host runs.
struct host {
  boxed_model target;
  boxed_model draft;
  machine_type machine;

  explicit host(const scene& here, decant::decode_options options)
      : target(here.target),
        draft(here.draft),
        machine(host_driven(decant::static_widths<decant::without_replacement>{{2, 2, 1}}, penalised()), {},
                penalised(), decant::philox_chance{3, 1}, std::move(options)) {}

  /// Draft rows from the draft model, which follows the text here.
  void supply() {
    const token_span context = machine.context();
    REQUIRE(draft.truncate(0).has_value());
    REQUIRE(draft.prefill(context.first(context.size() - 1)).has_value());
    auto rows = draft.evaluate(machine.draft_tree(), machine.draft_tree().all());
    REQUIRE(rows.has_value());
    REQUIRE(machine.supply_draft_rows(*rows).has_value());
  }
  void draft_all() {
    REQUIRE(machine.begin_plan().has_value());
    while (!machine.wanted_draft_rows().empty()) supply();
  }
  void absorb() {
    const token_span context = machine.context();
    auto plan = machine.plan();
    REQUIRE(plan.has_value());
    CHECK(plan->root_position == context.size() - 1);
    CHECK(plan->tree.token_of(0) == context.back());
    REQUIRE(target.truncate(0).has_value());
    REQUIRE(target.prefill(context.first(plan->root_position)).has_value());
    auto rows = target.evaluate(plan->tree, plan->tree.all());
    REQUIRE(rows.has_value());
    REQUIRE(machine.absorb(*rows).has_value());
  }
  void step() {
    draft_all();
    absorb();
  }
  token_list finish() {
    while (!machine.finished()) step();
    return to_token_list(machine.context());
  }
};

/// Everything a host can see of a machine.
struct seen {
  token_list context;
  std::size_t emitted;
  decant::finish_reason finish;
  bool finished;
  decant::decode_statistics statistics;
  token_list wanted;

  explicit seen(const machine_type& m)
      : context(to_token_list(m.context())),
        emitted(m.emitted_count()),
        finish(m.finish()),
        finished(m.finished()),
        statistics(m.statistics()),
        wanted(to_token_list(m.wanted_draft_rows())) {}
  friend bool operator==(const seen&, const seen&) = default;
};

/// Calls, to be combined.
struct call {
  enum set : unsigned { plan = 1, begin_plan = 2, supply = 4, absorb = 8, append = 16, rewind = 32 };
};

/// Makes every call in `wrong`; each must be refused as out of order and change nothing.
void refuse(machine_type& m, unsigned wrong) {
  const seen before(m);
  std::size_t rows_asked = 0;
  const std::vector<float> row(m.options().vocab_size, 0.0f);
  auto rows = decant::rows_from<float>([&](node_id) {
    ++rows_asked;
    return std::span<const float>(row);
  });
  if ((wrong & call::plan) != 0) CHECK(m.plan().code() == error_code::wrong_call_order);
  if ((wrong & call::begin_plan) != 0) CHECK(m.begin_plan().code() == error_code::wrong_call_order);
  if ((wrong & call::supply) != 0) CHECK(m.supply_draft_rows(rows).code() == error_code::wrong_call_order);
  if ((wrong & call::absorb) != 0) CHECK(m.absorb(rows).code() == error_code::wrong_call_order);
  if ((wrong & call::append) != 0) CHECK(m.append(token_list{1}).code() == error_code::wrong_call_order);
  if ((wrong & call::rewind) != 0) CHECK(m.rewind(1).code() == error_code::wrong_call_order);
  CHECK(rows_asked == 0);
  CHECK(seen(m) == before);
}

}  // namespace

TEST_CASE("calls in a wrong order are refused and change nothing") {
  const std::vector<scene> all = scenes();
  const scene& here = all[2];
  const token_list prompt{1, 2, 3, 4};
  host plain(here, options_for(here));
  REQUIRE(plain.machine.begin(prompt).has_value());
  const token_list expected = plain.finish();

  host tried(here, options_for(here));
  machine_type& m = tried.machine;
  refuse(m, call::plan | call::begin_plan | call::supply | call::absorb | call::append | call::rewind);
  m.cancel();  // nothing to cancel
  refuse(m, call::plan | call::begin_plan | call::supply | call::absorb | call::append | call::rewind);
  CHECK(m.finish() == decant::finish_reason::none);

  REQUIRE(m.begin(prompt).has_value());
  refuse(m, call::supply | call::absorb);
  bool dropped_last = false;
  while (!m.finished()) {
    REQUIRE(m.begin_plan().has_value());
    while (!m.wanted_draft_rows().empty()) {
      refuse(m, call::plan | call::absorb);
      tried.supply();
    }
    refuse(m, call::supply | call::absorb);
    REQUIRE(m.plan().has_value());
    refuse(m, call::supply);
    dropped_last = !dropped_last;
    if (dropped_last) continue;  // the plan is not absorbed; the next round starts over
    tried.draft_all();
    tried.absorb();
    if (!m.finished()) refuse(m, call::supply | call::absorb);
  }
  refuse(m, call::plan | call::begin_plan | call::supply | call::absorb);
  CHECK(to_token_list(m.context()) == expected);
}

TEST_CASE("bad arguments are refused and the sequence goes on as if nothing had been asked") {
  const std::vector<scene> all = scenes();
  const scene& here = all[0];
  const token_list prompt{1, 2, 3};
  host plain(here, options_for(here));
  REQUIRE(plain.machine.begin(prompt).has_value());
  const token_list expected = plain.finish();

  host tried(here, options_for(here));
  machine_type& m = tried.machine;
  const auto size = static_cast<token>(here.vocab_size());
  const auto refuse_all = [&] {
    const seen before(m);
    const auto refused = [&](const decant::result<void>& answer, error_code code) {
      CHECK(answer.code() == code);
      CHECK(seen(m) == before);
    };
    refused(m.begin({}), error_code::invalid_argument);
    refused(m.begin(token_list{1, -1}), error_code::invalid_token);
    refused(m.begin(token_list{size}), error_code::invalid_token);
    refused(m.begin(token_list(scene_context + 1, 1)), error_code::context_full);
    if (before.context.empty()) return;
    refused(m.append(token_list{1, size}), error_code::invalid_token);
    refused(m.append(token_list{-5}), error_code::invalid_token);
    refused(m.append(token_list(scene_context, 1)), error_code::context_full);
    refused(m.append({}), error_code::none);
    refused(m.rewind(0), error_code::invalid_argument);
    refused(m.rewind(m.context().size() + 1), error_code::invalid_argument);
  };
  refuse_all();
  REQUIRE(m.begin(prompt).has_value());
  while (!m.finished()) {
    refuse_all();
    REQUIRE(m.begin_plan().has_value());
    refuse_all();
    while (!m.wanted_draft_rows().empty()) tried.supply();
    refuse_all();
    tried.absorb();
  }
  refuse_all();
  CHECK(to_token_list(m.context()) == expected);
}

TEST_CASE("options out of range are refused in one sentence") {
  const std::vector<scene> all = scenes();
  const auto code_for = [&](auto change) {
    decant::decode_options options = options_for(all[0]);
    change(options);
    auto machine = make_machine(decant::no_drafter{}, decant::greedy{}, at_zero(), options);
    machine.reserve();
    const auto answer = machine.begin(token_list{1});
    CHECK(std::string(answer.error().message().c_str()).size() > 10);
    CHECK(machine.context().empty());
    CHECK(machine.plan().code() == error_code::wrong_call_order);
    return answer.code();
  };
  CHECK(code_for([](auto& o) { o.vocab_size = 0; }) == error_code::invalid_argument);
  CHECK(code_for([](auto& o) { o.context_size = 0; }) == error_code::invalid_argument);
  CHECK(code_for([](auto& o) { o.max_tokens = 0; }) == error_code::invalid_argument);
  CHECK(code_for([](auto& o) { o.limits.nodes = -1; }) == error_code::invalid_argument);
  CHECK(code_for([](auto& o) { o.limits.depth = -1; }) == error_code::invalid_argument);
  CHECK(code_for([](auto& o) { o.stops.add(std::span<const char>("x", 1)); }) == error_code::invalid_argument);
}

TEST_CASE("a sampler with a parameter out of range is refused") {
  const std::vector<scene> all = scenes();
  const auto hot = decant::make_sampler(decant::temperature{std::numeric_limits<float>::quiet_NaN()});
  auto machine = make_machine(decant::no_drafter{}, decant::greedy{}, hot, options_for(all[0]));
  CHECK(machine.begin(token_list{1}).code() == error_code::invalid_argument);
}

TEST_CASE("a verifier with a parameter out of range is refused, erased or not") {
  const std::vector<scene> all = scenes();
  const auto begin_with = [&](decant::lenience rule) {
    auto erased =
        make_machine(decant::no_drafter{}, decant::lenient_verification<>{rule}, at_zero(), options_for(all[0]));
    auto typed =
        make_typed_machine(decant::no_drafter{}, decant::lenient_verification<>{rule}, at_zero(), options_for(all[0]));
    const error_code answer = erased.begin(token_list{1}).code();
    CHECK(typed.begin(token_list{1}).code() == answer);
    return answer;
  };
  CHECK(begin_with({.factor = 0.5}) == error_code::none);
  CHECK(begin_with({.factor = 2}) == error_code::invalid_argument);
  CHECK(begin_with({.factor = 0}) == error_code::invalid_argument);
}

TEST_CASE("a builder with a parameter out of range is refused, erased or not") {
  const std::vector<scene> all = scenes();
  const auto begin_with = [&](std::int32_t width) {
    const decant::static_widths<decant::ranked> builder{{width}};
    const auto guided = [](auto made) {
      return decant::guided_drafter<decltype(made), chain_sampler>(std::move(made), at_zero());
    };
    auto erased =
        make_machine(guided(decant::any_builder<float>(builder)), decant::greedy{}, at_zero(), options_for(all[0]));
    auto typed = make_typed_machine(guided(builder), decant::greedy{}, at_zero(), options_for(all[0]));
    const error_code answer = erased.begin(token_list{1}).code();
    CHECK(typed.begin(token_list{1}).code() == answer);
    return answer;
  };
  CHECK(begin_with(2) == error_code::none);
  CHECK(begin_with(-1) == error_code::invalid_argument);
}

TEST_CASE("missing and bad draft rows leave the draft waiting for them") {
  const std::vector<scene> all = scenes();
  const scene& here = all[1];
  const token_list prompt{1, 2, 3};
  host plain(here, options_for(here));
  REQUIRE(plain.machine.begin(prompt).has_value());
  const token_list expected = plain.finish();

  host tried(here, options_for(here));
  machine_type& m = tried.machine;
  REQUIRE(m.begin(prompt).has_value());
  const std::vector<float> sound(here.vocab_size(), 1.0f);
  const auto offer = [&](std::vector<float> bad, node_id for_node, error_code code) {
    auto rows =
        decant::rows_from<float>([&](node_id n) { return std::span<const float>(n >= for_node ? bad : sound); });
    const token_list wanted = to_token_list(m.wanted_draft_rows());
    CHECK(m.supply_draft_rows(rows).code() == code);
    CHECK(to_token_list(m.wanted_draft_rows()) == wanted);
  };
  while (!m.finished()) {
    REQUIRE(m.begin_plan().has_value());
    while (!m.wanted_draft_rows().empty()) {
      const node_id last = m.wanted_draft_rows().back();
      offer({}, last, error_code::row_unavailable);
      offer(std::vector<float>(here.vocab_size() - 1, 1.0f), last, error_code::row_wrong_size);
      offer(std::vector<float>(here.vocab_size(), std::numeric_limits<float>::quiet_NaN()), last,
            error_code::row_not_finite);
      tried.supply();
    }
    tried.absorb();
  }
  CHECK(to_token_list(m.context()) == expected);
}

TEST_CASE("absorb may be tried again with better rows") {
  const std::vector<scene> all = scenes();
  const scene& here = all[1];
  host plain(here, options_for(here));
  REQUIRE(plain.machine.begin(token_list{4, 2}).has_value());
  const token_list expected = plain.finish();

  host tried(here, options_for(here));
  machine_type& m = tried.machine;
  REQUIRE(m.begin(token_list{4, 2}).has_value());
  while (!m.finished()) {
    tried.draft_all();
    auto plan = m.plan();
    REQUIRE(plan.has_value());
    const seen before(m);
    auto missing = decant::rows_from<float>([](node_id) { return std::span<const float>{}; });
    CHECK(m.absorb(missing).code() == error_code::row_unavailable);
    const std::vector<float> nan(here.vocab_size(), std::numeric_limits<float>::quiet_NaN());
    auto bad = decant::rows_from<float>([&](node_id) { return std::span<const float>(nan); });
    CHECK(m.absorb(bad).code() == error_code::row_not_finite);
    CHECK(seen(m) == before);
    const token_span context = m.context();
    REQUIRE(tried.target.truncate(0).has_value());
    REQUIRE(tried.target.prefill(context.first(plan->root_position)).has_value());
    auto rows = tried.target.evaluate(plan->tree, plan->tree.all());
    REQUIRE(m.absorb(*rows).has_value());
  }
  CHECK(to_token_list(m.context()) == expected);
}

TEST_CASE("a new sequence may begin anywhere and with a part of the old text") {
  const std::vector<scene> all = scenes();
  const scene& here = all[2];
  host tried(here, options_for(here, 8));
  machine_type& m = tried.machine;
  REQUIRE(m.begin(token_list{1, 2}).has_value());
  const token_list first = tried.finish();
  // While drafting, while planned, when finished; the prompt is the machine's own text.
  for (int when = 0; when < 3; ++when) {
    REQUIRE(m.begin(m.context().first(2)).has_value());
    CHECK(m.statistics() == decant::decode_statistics{});
    if (when == 0) REQUIRE(m.begin_plan().has_value());
    if (when == 1) {
      tried.draft_all();
      REQUIRE(m.plan().has_value());
    }
    if (when == 2) CHECK(tried.finish() == first);
  }
  REQUIRE(m.begin(m.context()).has_value());
  const token_list longer = tried.finish();
  CHECK(std::equal(first.begin(), first.end(), longer.begin()));
  host fresh(here, options_for(here, 8));
  REQUIRE(fresh.machine.begin(first).has_value());
  CHECK(fresh.finish() == longer);
  REQUIRE(m.append(m.context().first(3)).has_value());
  CHECK(m.context().size() == longer.size() + 3);
  CHECK(m.context().back() == longer[2]);
}

TEST_CASE("the promise is the verifier's, as a type and as a value") {
  using decant::guarantee;
  const std::vector<scene> all = scenes();
  const auto options = options_for(all[0]);
  const auto by_greedy = make_typed_machine(decant::no_drafter{}, decant::greedy{}, at_zero(), options);
  const auto by_match = make_typed_machine(decant::no_drafter{}, decant::match{}, at_zero(), options);
  const auto by_rejection = make_typed_machine(decant::no_drafter{}, decant::recursive_rejection{}, at_zero(), options);
  STATIC_REQUIRE(decltype(by_greedy)::promises == guarantee::greedy_identical);
  STATIC_REQUIRE(decltype(by_match)::promises == guarantee::seed_identical);
  STATIC_REQUIRE(decltype(by_rejection)::promises == guarantee::exact_in_law);
  CHECK(by_greedy.promise() == guarantee::greedy_identical);
  CHECK(by_match.promise() == guarantee::seed_identical);
  CHECK(by_rejection.promise() == guarantee::exact_in_law);
}
