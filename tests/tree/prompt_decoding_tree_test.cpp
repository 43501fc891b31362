// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/proof/prove.hpp>
#include <decant/tree/layout.hpp>
#include <decant/tree/prompt_decoding_tree.hpp>
#include <decant/verify/match.hpp>

#include "tests/support/allocation_counter.hpp"
#include "tests/support/draft_building.hpp"

using namespace decant;
using namespace decant_test;

namespace {

using path = std::vector<std::int32_t>;

rank_acceptance random_table(random_source& random, std::size_t depth, std::size_t ranks) {
  rank_acceptance table(depth, std::vector<double>(ranks));
  for (auto& by_rank : table) {
    double left = random.uniform(0.3, 0.95);
    for (double& a : by_rank) {
      a = left * random.uniform(0.3, 0.8);
      left -= a;
    }
  }
  return table;
}

double value_of(const path& ranks, const rank_acceptance& table) {
  double value = 1;
  for (std::size_t d = 0; d < ranks.size(); ++d) value *= table[d][index(ranks[d])];
  return value;
}

/// Expected tokens per step of a set, by following its states for many steps.
double followed(const prompt_tree_set& set) {
  std::vector<double> share(set.by_state.size(), 0);
  share.back() = 1;
  double sum = 0;
  double steps = 0;
  for (int step = 0; step < 40000; ++step) {
    std::vector<double> next(share.size(), 0);
    for (std::size_t state = 0; state < share.size(); ++state) {
      const prompt_tree& tree = set.by_state[state];
      if (step >= 20000) sum += share[state] * tree.tokens;
      for (std::size_t i = 0; i < tree.prompts.size(); ++i) {
        next[index(tree.prompts[i]) - 1] += share[state] * tree.ends_here[i];
      }
    }
    if (step >= 20000) steps += 1;
    share = next;
  }
  return sum / steps;
}

/// Drafts with one tree of a set; the candidates are the ranks themselves.
struct prompted {
  static constexpr tree_class produces = tree_class::deterministic;
  static constexpr bool chains_only = false;
  template <class Real>
  struct work {
    prompt_slots slots{};
  };

  prompt_tree tree{};
  std::size_t vocab_size = 3;

  template <class Real>
  void start(work<Real>& state, token_draft<Real>& draft, const draft_limits&) const {
    std::vector<token> tokens(vocab_size);
    std::iota(tokens.rbegin(), tokens.rend(), 0);
    const std::vector<token_span> candidates(8, token_span(tokens));
    append_prompt_tree(draft, tree, candidates, 0, state.slots);
  }
  template <class Real>
  [[nodiscard]] node_span wanted(const work<Real>&) const {
    return {};
  }
  template <class Real, class Chance>
  void grow(work<Real>&, token_draft<Real>&, std::uint64_t, Chance&) const {}
};

}  // namespace

TEST_CASE("the worked example of prompt decoding trees") {
  const prompt_tree_set set = prompt_trees({{0.6, 0.2}, {0.5}}, 2, 6);
  REQUIRE(set.by_state.size() == 2);
  for (const prompt_tree& tree : set.by_state) CHECK(tree.slots() <= 6);
  CHECK(set.by_state[0].paths.front() == path{0});
  CHECK(set.by_state[1].paths.front() == path{0});
  CHECK(set.by_state[0].tokens >= 1.6);
  CHECK(set.by_state[1].tokens > set.by_state[0].tokens);
}

TEST_CASE("trees keep to their slots, depths and prompt tokens, and probabilities sum to one") {
  random_source random(1);
  for (int round = 0; round < 60; ++round) {
    const std::size_t most = random.between(1, 4);
    const rank_acceptance table = random_table(random, random.between(1, 5), random.between(1, 6));
    const std::size_t slots = random.between(2, 40);
    const prompt_tree_set set = prompt_trees(table, most, slots);
    REQUIRE(set.by_state.size() == most);
    CHECK(std::accumulate(set.share.begin(), set.share.end(), 0.0) == Approx(1).epsilon(1e-12));
    for (std::size_t state = 0; state < most; ++state) {
      const prompt_tree& tree = set.by_state[state];
      CHECK(tree.slots() <= slots);
      REQUIRE(tree.prompts.size() == tree.paths.size() + 1);
      REQUIRE(tree.ends_here.size() == tree.prompts.size());
      CHECK(std::accumulate(tree.ends_here.begin(), tree.ends_here.end(), 0.0) == Approx(1).epsilon(1e-12));
      double tokens = 1;
      for (const path& ranks : tree.paths) {
        tokens += value_of(ranks, table);
        CHECK(ranks.size() <= state + 1);
      }
      CHECK(tree.tokens == Approx(tokens).epsilon(1e-12));
      for (const std::int32_t behind : tree.prompts) CHECK((behind >= 1 && index(behind) <= most));
      CHECK(static_paths<ranked>(tree.paths).check().has_value());
      for (std::size_t i = 0; i < tree.paths.size(); ++i) {
        double below = 0;
        for (const path& other : tree.paths) {
          if (other.size() == tree.paths[i].size() + 1 &&
              std::equal(tree.paths[i].begin(), tree.paths[i].end(), other.begin())) {
            below += value_of(other, table);
          }
        }
        CHECK(tree.ends_here[i + 1] == Approx(value_of(tree.paths[i], table) - below).margin(1e-12));
      }
    }
  }
}

TEST_CASE("the value of a set is what following its states gives") {
  random_source random(2);
  for (int round = 0; round < 6; ++round) {
    const prompt_tree_set set = prompt_trees(random_table(random, 3, 5), 3, random.between(4, 30));
    CHECK(set.tokens == Approx(followed(set)).epsilon(1e-6));
  }
}

TEST_CASE("a set is never worth less than the same number of prompt tokens behind every node") {
  random_source random(3);
  std::size_t better = 0;
  for (int round = 0; round < 80; ++round) {
    const rank_acceptance table = random_table(random, 3, 6);
    const std::size_t slots = random.between(4, 48);
    const double found = prompt_trees(table, 3, slots).tokens;
    double uniform = 0;
    for (std::size_t behind = 1; behind <= 3; ++behind) {
      const std::size_t nodes = slots / (behind + 1);
      if (nodes == 0) continue;
      const rank_acceptance shallow(table.begin(), table.begin() + static_cast<std::ptrdiff_t>(behind));
      uniform = std::max(uniform, 1 + most_valuable_paths(shallow, nodes - 1).accepted);
    }
    INFO("round " << round << " slots " << slots);
    CHECK(found >= uniform - 1e-9);
    better += found > uniform + 1e-6;
  }
  CHECK(better > 40);
}

TEST_CASE("the number of slots is chosen by what a pass costs") {
  random_source random(4);
  const rank_acceptance table = random_table(random, 3, 6);
  const auto best = best_prompt_trees(table, 3, 24, cost_curve::offload());
  REQUIRE_FALSE(best.by_state.empty());
  std::size_t used = 0;
  for (const prompt_tree& tree : best.by_state) used = std::max(used, tree.slots());
  CHECK(used > 16);  // slots cost next to nothing there
  for (std::size_t slots = 2; slots <= 24; ++slots) {
    const double rate = prompt_trees(table, 3, slots).tokens / cost_curve::offload().time(slots);
    CHECK(rate <= best.tokens / cost_curve::offload().time(used) + 1e-12);
  }
  CHECK(best_prompt_trees(table, 3, 24, cost_curve{{{1, 1.0}, {2, 4.0}}}).by_state.empty());
}

TEST_CASE("prompt tokens are probes behind their nodes that see the path and each other in order") {
  prompt_tree tree{{{0}, {1}, {0, 0}}, {2, 1, 3, 1}, {}, 0};
  const std::vector<token> first{7, 8};
  const std::vector<token> second{9};
  const std::vector<token_span> candidates{first, second};
  token_draft<float> draft;
  draft.reset(5);
  prompt_slots slots;
  append_prompt_tree(draft, tree, candidates, 1000, slots);
  REQUIRE(draft.tree.size() == tree.slots());
  CHECK(slots.node_of == std::vector<node_id>{0, 1, 2, 3});
  CHECK(child_tokens(draft.tree, 0) == std::vector<token>{7, 8});
  CHECK(child_tokens(draft.tree, 1) == std::vector<token>{9});
  const tree_layout bound(draft.tree);
  const layout_arrays& layout = bound.in_creation_order();
  for (std::size_t entry = 0; entry < tree.prompts.size(); ++entry) {
    const node_id n = slots.node_of[entry];
    for (std::int32_t j = 0; j < tree.prompts[entry]; ++j) {
      const node_id probe = slots.first[index(n)] + j;
      CHECK(draft.tree.kind(probe) == node_kind::probe);
      CHECK(draft.tree.token_of(probe) == 1000 + j);
      CHECK(draft.tree.position_offset(probe) == draft.tree.depth(n) + 1 + j);
      for (const node_id other : draft.tree.all()) {
        const bool on_path = layout.sees(index(n), index(other));
        const bool earlier = other >= slots.first[index(n)] && other <= probe;
        CHECK(layout.sees(index(probe), index(other)) == (on_path || earlier));
      }
    }
  }
}

TEST_CASE("a missing candidate leaves out its node, what is below it and their prompt tokens") {
  const prompt_tree tree{{{0}, {1}, {0, 0}, {1, 0}}, {1, 1, 2, 1, 2}, {}, 0};
  const std::vector<token> only{7};
  const std::vector<token> second{9};
  token_draft<float> draft;
  prompt_slots slots;
  draft.reset(5);
  append_prompt_tree(draft, tree, std::vector<token_span>{only, second}, 1000, slots);
  CHECK(slots.node_of == std::vector<node_id>{0, 1, no_node, 2, no_node});
  CHECK(draft.tree.size() == 6);
  draft.reset(5);
  append_prompt_tree(draft, tree, std::vector<token_span>{}, 1000, slots);
  CHECK(draft.tree.size() == 2);
  CHECK(allocations_of([&] {
          draft.reset(5);
          append_prompt_tree(draft, tree, std::array<token_span, 2>{only, second}, 1000, slots);
        }) == 0);
}

TEST_CASE("match keeps the target's law with prompt trees") {
  const prompt_tree_set set = prompt_trees({{0.6, 0.2}, {0.5, 0.3}}, 2, 9);
  for (const auto& world : proof::standard_toys<double>(4)) {
    for (const prompt_tree& tree : set.by_state) {
      CHECK(proof::prove_steps(world, prompted{tree, world.vocab_size()}, match{}, {2}).exact());
    }
  }
}
