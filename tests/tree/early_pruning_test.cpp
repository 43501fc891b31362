// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/proof/prove.hpp>
#include <decant/tree/early_pruning.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/match.hpp>

#include "tests/support/allocation_counter.hpp"
#include "tests/support/draft_building.hpp"

#include <set>

using namespace decant;
using namespace decant_test;

namespace {

using tokens = std::vector<token>;

/// Keeps what an early law, unrelated to draft and target, has among its best.
template <class Builder>
struct early_pruned {
  static constexpr tree_class produces = class_after_pruning(Builder::produces);
  static constexpr bool chains_only = Builder::chains_only;
  template <class Real>
  struct work {
    typename Builder::template work<Real> inner{};
    early_pruning::work pruning{};
  };

  Builder builder{};
  early_pruning rule{};

  template <class Real>
  void start(work<Real>& state, token_draft<Real>& draft, const draft_limits& limits) const {
    builder.start(state.inner, draft, limits);
  }
  template <class Real>
  [[nodiscard]] node_span wanted(const work<Real>& state) const {
    return builder.wanted(state.inner);
  }
  template <class Real, class Chance>
  void grow(work<Real>& state, token_draft<Real>& draft, std::uint64_t root_position, Chance& chance) const {
    builder.grow(state.inner, draft, root_position, chance);
    if (!node_span(builder.wanted(state.inner)).empty()) return;
    distribution<Real> early;
    rule.template choose<produces>(draft, state.pruning, [&](node_id n) {
      write_law(early, path_law{9, 3, 0.3}(tokens_to(draft.tree, n)));
      return early.view();
    });
  }
};

}  // namespace

TEST_CASE("the worked example of early_pruning") {
  token_draft<double> draft;
  draft.reset(0);
  const node_id four = draft.tree.append(0, 4);
  const node_id five = draft.tree.append(0, 5);
  draft.tree.append(four, 6);
  draft.tree.append(five, 7);
  early_pruning::work work;
  std::vector<node_id> asked;
  early_pruning{1}.choose<tree_class::deterministic>(draft, work, [&](node_id n) {
    asked.push_back(n);
    static distribution<double> law;
    std::vector<double> weights(8, 0.1);
    weights[n == 0 ? 5 : 7] = 1;
    write_law(law, weights);
    return law.view();
  });
  CHECK(asked == std::vector<node_id>{0, five});  // nobody asks about what is gone
  CHECK(work.survivors == std::vector<node_id>{0, 2, 4});
  CHECK(work.new_ids == std::vector<node_id>{0, no_node, 1, no_node, 2});
  CHECK(child_tokens(draft.tree, 0) == tokens{5});
  CHECK(child_tokens(draft.tree, 1) == tokens{7});
  CHECK(draft.drafted_as(2) == 4);
}

TEST_CASE("a node survives when every token on its path is admitted where it stands") {
  random_source random(3);
  early_pruning::work work;
  for (int round = 0; round < 100; ++round) {
    philox_chance chance{index(round)};
    const path_law law{index(round), 8, 0.2};
    const token_draft<double> before = build(static_widths<ranked>{{4, 3, 2}}, {60, 8}, law, chance).draft;
    std::vector<tokens> admitted(before.tree.size());
    for (auto& list : admitted) {
      for (token t = 0; t < 8; ++t) {
        if (random.coin(0.6)) list.push_back(t);
      }
    }
    const auto survives = [&](node_id n) {
      for (; n != 0; n = before.tree.parent(n)) {
        const tokens& list = admitted[index(before.tree.parent(n))];
        if (std::find(list.begin(), list.end(), before.tree.token_of(n)) == list.end()) return false;
      }
      return true;
    };
    token_draft<double> after = before;
    early_pruning::choose_among<tree_class::deterministic>(after, work,
                                                           [&](node_id n) { return token_span(admitted[index(n)]); });
    std::vector<node_id> expected;
    for (const node_id n : before.tree.all()) {
      if (survives(n)) expected.push_back(n);
    }
    CHECK(work.survivors == expected);
    REQUIRE(after.tree.size() == expected.size());
    for (const node_id n : after.tree.all()) {
      CHECK(after.tree.token_of(n) == before.tree.token_of(expected[index(n)]));
      CHECK(work.new_ids[index(expected[index(n)])] == n);
      CHECK(after.row_after(n) == before.row_after(expected[index(n)]));
      CHECK(after.drafted_as(n) == expected[index(n)]);
    }
    CHECK(work.new_ids.size() == before.tree.size());
    CHECK(index(static_cast<std::int32_t>(std::count(work.new_ids.begin(), work.new_ids.end(), no_node))) ==
          before.tree.size() - expected.size());
  }
}

TEST_CASE("admitting everything leaves the draft alone, admitting nothing leaves the root") {
  philox_chance chance{1};
  const token_draft<double> before = build(static_widths<ranked>{{3, 2}}, {60, 8}, path_law{}, chance).draft;
  early_pruning::work work;
  token_draft<double> draft = before;
  const auto flat = [](node_id) {
    static distribution<double> law;
    write_law(law, std::vector<double>(12, 1.0));
    return law.view();
  };
  early_pruning{12}.choose<tree_class::deterministic>(draft, work, flat);
  CHECK(same_draft(draft, before));
  CHECK(work.survivors.size() == before.tree.size());
  early_pruning{0}.choose<tree_class::deterministic>(draft, work, flat);
  CHECK(draft.tree.size() == 1);
  CHECK_FALSE(early_pruning{-1}.check().has_value());
  CHECK_FALSE(early_pruning{257}.check().has_value());
  CHECK(early_pruning{}.check().has_value());
}

TEST_CASE("probes stay with their parents") {
  token_draft<double> draft;
  draft.reset(0);
  const node_id a = draft.tree.append(0, 1);
  const node_id b = draft.tree.append(0, 2);
  draft.tree.append_probe(a, 9000);
  draft.tree.append_probe(b, 9001);
  early_pruning::work work;
  const tokens admitted{2};
  early_pruning::choose_among<tree_class::deterministic>(draft, work, [&](node_id) { return token_span(admitted); });
  CHECK(work.survivors == std::vector<node_id>{0, b, 4});
}

TEST_CASE("match keeps the target's law with early pruning of chosen and of drawn trees") {
  for (const auto& world : proof::standard_toys<double>(3)) {
    if (world.vocab_size() != 3) continue;
    INFO(world.name);
    for (const std::int32_t top_k : {1, 2}) {
      CHECK(proof::prove_steps(world, early_pruned<static_widths<ranked>>{{{2, 2}}, {top_k}}, match{}, {2}).exact());
      CHECK(proof::prove_steps(world, early_pruned<static_widths<without_replacement>>{{{2, 1}}, {top_k}}, match{})
                .exact());
    }
  }
}

TEST_CASE("early pruning allocates nothing once warm") {
  philox_chance chance{1};
  const token_draft<double> before = build(static_widths<ranked>{{4, 3, 2}}, {60, 8}, path_law{}, chance).draft;
  token_draft<double> draft = before;
  early_pruning::work work;
  distribution<double> law;
  write_law(law, path_law{5, 12, 0}({1}));
  const auto step = [&] {
    early_pruning{4}.choose<tree_class::deterministic>(draft, work, [&](node_id) { return law.view(); });
  };
  step();
  CHECK(draft.tree.size() < before.tree.size());
  draft.tree = before.tree;
  CHECK(allocations_of(step) == 0);
}
