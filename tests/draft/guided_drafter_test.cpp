// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/static_widths.hpp>

#include "tests/support/allocation_counter.hpp"
#include "tests/support/draft_building.hpp"

#include <limits>

using namespace decant;
using namespace decant_test;

namespace {

using tokens = std::vector<token>;

/// Rotates a row by the sum of all tokens so far: its laws show which state they were made with.
struct rotating_sampler {
  using state_type = std::size_t;
  template <class Real>
  using scratch_type = no_state;

  [[nodiscard]] std::size_t initial_state() const { return 0; }
  void advance(std::size_t& state, token t) const { state += index(t); }
  template <class Real>
  [[nodiscard]] error_code law(std::span<const Real> row, std::size_t state, no_state&, distribution<Real>& out) const {
    const std::span<Real> weights = out.begin_dense(row.size());
    for (std::size_t i = 0; i < row.size(); ++i) weights[i] = row[(i + state) % row.size()];
    return out.finish();
  }
};
static_assert(Sampler<rotating_sampler, double>);

constexpr std::size_t vocab_size = 7;
const std::vector<double> base{1, 2, 4, 8, 16, 32, 64};

draft_site site_of(const tokens& text, draft_limits limits = {100, 100}) { return {text, limits, vocab_size}; }

/// Rows from a function of the node, in buffers of their own.
template <class Fetch>
auto rows_of(Fetch fetch) {
  return rows_from<double>(fetch);
}

}  // namespace

TEST_CASE("each draft row is the law of its own path") {
  guided_drafter<static_widths<ranked>, rotating_sampler, double> drafter({.widths = {2, 2}});
  static_assert(HostDrivenDrafter<decltype(drafter), double>);
  tokens text{3, 1, 4, 1, 5};
  REQUIRE(drafter.extend(text).has_value());
  philox_chance chance{1};
  const auto check = [&] {
    token_draft<double> draft;
    draft.reset(text.back());
    REQUIRE(drafter.start(draft, site_of(text), chance).has_value());
    auto rows = rows_of([](node_id) { return std::span<const double>(base); });
    while (!drafter.wanted().empty()) REQUIRE(drafter.supply(draft, rows, chance).has_value());
    REQUIRE(draft.tree.size() == 7);
    std::size_t sum = 0;
    for (const token t : text) sum += index(t);
    for (const node_id n : {0, 1, 2}) {
      std::size_t state = sum;
      for (node_id above = n; above != 0; above = draft.tree.parent(above)) state += index(draft.tree.token_of(above));
      const auto law = draft.rows.row(draft.row_after(n));
      for (std::size_t i = 0; i < vocab_size; ++i) CHECK(law.weight(i) == base[(i + state) % vocab_size]);
    }
  };
  check();
  REQUIRE(drafter.truncate(3).has_value());
  text.resize(3);
  CHECK(drafter.length() == 3);
  check();
  REQUIRE(drafter.extend(tokens{6, 6}).has_value());
  text.insert(text.end(), {6, 6});
  check();
  REQUIRE(drafter.truncate(50).has_value());
  CHECK(drafter.length() == 5);
  check();
}

TEST_CASE("draft rows know where the output begins, whatever the drafter knew before") {
  struct rotating_by_output : rotating_sampler {
    void begin_output(std::size_t& state) const { state = 0; }
  };
  static_assert(OutputSampler<rotating_by_output>);
  guided_drafter<chain<ranked>, rotating_by_output, double> drafter({.length = 1});
  random_source random(9);
  philox_chance chance{1};
  tokens text;
  std::size_t output = 0;
  for (int round = 0; round < 300; ++round) {
    // The text is taken back and another put in its place, a prompt or an output, now and then with the same beginning.
    if (random.coin(0.3)) text.resize(random.below(text.size() + 1));
    REQUIRE(drafter.truncate(text.size()).has_value());
    for (std::size_t i = random.between(text.empty() ? 1 : 0, 4); i > 0; --i) {
      text.push_back(random.token_below(vocab_size));
    }
    REQUIRE(drafter.extend(token_span(text).subspan(drafter.length())).has_value());
    if (output > text.size() || random.coin(0.3)) output = random.coin() ? text.size() : random.below(text.size());
    token_draft<double> draft;
    draft.reset(text.back());
    draft_site site = site_of(text);
    site.output_begin = output;
    REQUIRE(drafter.start(draft, site, chance).has_value());
    auto rows = rows_of([](node_id) { return std::span<const double>(base); });
    REQUIRE(drafter.supply(draft, rows, chance).has_value());
    std::size_t sum = 0;
    for (const token t : token_span(text).subspan(output)) sum += index(t);
    CHECK(draft.rows.row(draft.row_after(0)).weight(0) == base[sum % vocab_size]);
  }
}

TEST_CASE("rows are asked for exactly once each, for the wanted nodes only") {
  guided_drafter<static_widths<without_replacement>, given_law, double> drafter({.widths = {3, 2, 2}});
  const tokens text{1, 2};
  REQUIRE(drafter.extend(text).has_value());
  philox_chance chance{4};
  token_draft<double> draft;
  draft.reset(2);
  REQUIRE(drafter.start(draft, site_of(text), chance).has_value());
  std::vector<node_id> asked;
  std::vector<node_id> wanted;
  auto rows = rows_of([&](node_id n) {
    asked.push_back(n);
    return std::span<const double>(base);
  });
  while (!drafter.wanted().empty()) {
    wanted.insert(wanted.end(), drafter.wanted().begin(), drafter.wanted().end());
    REQUIRE(drafter.supply(draft, rows, chance).has_value());
  }
  CHECK(asked == wanted);
  CHECK(asked.size() == 1 + 3 + 6);
  check_draft(draft, {21, 3}, vocab_size);
}

TEST_CASE("a bad draft row is an error, and a draft can be started again") {
  guided_drafter<chain<independent>, given_law, double> drafter({.length = 3});
  const tokens text{1, 2};
  REQUIRE(drafter.extend(text).has_value());
  philox_chance chance{4};
  const auto outcome_of = [&](const std::vector<double>& bad, node_id at) {
    token_draft<double> draft;
    draft.reset(2);
    REQUIRE(drafter.start(draft, site_of(text), chance).has_value());
    auto rows = rows_of([&](node_id n) { return std::span<const double>(n == at ? bad : base); });
    while (!drafter.wanted().empty()) {
      if (auto supplied = drafter.supply(draft, rows, chance); !supplied) return supplied.code();
    }
    CHECK(draft.tree.size() == 4);
    return error_code::none;
  };
  std::vector<double> not_a_number = base;
  not_a_number[3] = std::numeric_limits<double>::quiet_NaN();
  for (const node_id at : {0, 1, 2}) {
    CHECK(outcome_of({}, at) == error_code::row_unavailable);
    CHECK(outcome_of({1, 2, 3}, at) == error_code::row_wrong_size);
    CHECK(outcome_of(not_a_number, at) == error_code::row_not_finite);
    CHECK(outcome_of(std::vector<double>(vocab_size, 0), at) == error_code::row_empty);
    CHECK(outcome_of(base, at) == error_code::none);
  }
}

TEST_CASE("a host that has no room wants no rows") {
  guided_drafter<chain<independent>, given_law, double> drafter({.length = 3});
  const tokens text{1, 2};
  REQUIRE(drafter.extend(text).has_value());
  philox_chance chance{4};
  token_draft<double> draft;
  draft.reset(2);
  for (const draft_limits limits : {draft_limits{0, 8}, draft_limits{8, 0}}) {
    REQUIRE(drafter.start(draft, site_of(text, limits), chance).has_value());
    CHECK(drafter.wanted().empty());
  }
}

TEST_CASE("guided drafting allocates nothing once warm") {
  guided_drafter<static_widths<independent>, sampler_chain<>, double> drafter({.widths = {3, 2, 2}});
  const tokens text{1, 2};
  REQUIRE(drafter.extend(text).has_value());
  token_draft<double> draft;
  auto rows = rows_of([](node_id) { return std::span<const double>(base); });
  std::uint64_t seed = 0;
  const auto step = [&] {
    philox_chance chance{seed};
    draft.reset(2);
    (void)drafter.start(draft, site_of(text), chance);
    while (!drafter.wanted().empty()) (void)drafter.supply(draft, rows, chance);
  };
  for (seed = 0; seed < 200; ++seed) step();
  CHECK(allocations_of([&] {
          for (seed = 0; seed < 200; ++seed) step();
        }) == 0);
}
