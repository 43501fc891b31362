// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/tree/sequoia.hpp>

#include "tests/support/random.hpp"
#include "tests/support/test_kit.hpp"

#include <string>

using namespace decant;
using namespace decant_test;

namespace {

using path = std::vector<std::int32_t>;

double value_of(const path& ranks, const std::vector<double>& acceptance) {
  double value = 1;
  for (const std::int32_t rank : ranks) value *= acceptance.at(index(rank));
  return value;
}

double expected_tokens(const rank_paths& paths, const std::vector<double>& acceptance) {
  double sum = 1;
  for (const path& ranks : paths) sum += value_of(ranks, acceptance);
  return sum;
}

/// Calls `visit(paths)` for every ordered tree of `edges` drafted nodes, by its walk down and up.
template <class Visit>
void for_each_tree(std::size_t edges, const Visit& visit) {
  for (std::uint32_t walk = 0; walk < (1u << (2 * edges)); ++walk) {
    rank_paths paths;
    path here;
    std::vector<std::int32_t> children{0};
    bool valid = true;
    for (std::size_t i = 0; i < 2 * edges && valid; ++i) {
      if (((walk >> i) & 1) != 0) {
        here.push_back(children.back()++);
        children.push_back(0);
        paths.push_back(here);
      } else if (here.empty()) {
        valid = false;
      } else {
        here.pop_back();
        children.pop_back();
      }
    }
    if (valid && here.empty()) visit(paths);
  }
}

/// The best tree of exactly `size` nodes by looking at all of them, minus infinity where there is none.
double best_by_force(std::size_t size, std::size_t depth, const std::vector<double>& acceptance) {
  double best = -std::numeric_limits<double>::infinity();
  for_each_tree(size - 1, [&](const rank_paths& paths) {
    for (const path& ranks : paths) {
      if (ranks.size() > depth || *std::max_element(ranks.begin(), ranks.end()) >= std::ssize(acceptance)) return;
    }
    best = std::max(best, expected_tokens(paths, acceptance));
  });
  return best;
}

const std::vector<double> golden{0.5, 0.2, 0.1};

}  // namespace

TEST_CASE("expected tokens of the golden vector") {
  const sequoia_trees trees(golden, 16, 15);
  const std::vector<double> expected{1, 1.5, 1.75, 1.95, 2.075, 2.175};
  for (std::size_t size = 1; size <= 6; ++size) {
    CHECK(trees.expected_tokens(size, 15) == Approx(expected[size - 1]).epsilon(1e-12));
  }
  CHECK(trees.expected_tokens(8, 15) == Approx(2.375).epsilon(1e-12));
  CHECK(trees.expected_tokens(12, 15) == Approx(2.5875).epsilon(1e-12));
  CHECK(trees.expected_tokens(16, 15) == Approx(2.75875).epsilon(1e-12));
  CHECK(trees.expected_tokens(8, 2) == Approx(2.3).epsilon(1e-12));
}

TEST_CASE("a vector that rises somewhere needs the dynamic programme") {
  const std::vector<double> acceptance{0.3, 0.5, 0.1};
  const sequoia_trees trees(acceptance, 12, 11);
  CHECK(trees.expected_tokens(12, 11) == Approx(2.86).epsilon(1e-12));
  CHECK(1 + sequoia_best_first(acceptance, 12, 11).accepted == Approx(2.835).epsilon(1e-12));
}

TEST_CASE("no tree of up to eight nodes is better than the programme's") {
  random_source random(1);
  for (int round = 0; round < 12; ++round) {
    std::vector<double> acceptance = round == 0 ? golden : std::vector<double>(random.between(1, 4));
    if (round > 0) {
      for (double& a : acceptance) a = random.coin(0.1) ? 0 : random.uniform(0, 0.6);
      acceptance.back() = random.uniform(0.1, 0.9);  // a trailing 0 would make no tree of some sizes
    }
    const sequoia_trees trees(acceptance, 8, 7);
    for (std::size_t size = 1; size <= (round < 3 ? 8u : 7u); ++size) {
      for (const std::size_t depth : {0u, 1u, 2u, 3u, 7u}) {
        INFO("round " << round << " size " << size << " depth " << depth);
        const double best = best_by_force(size, depth, acceptance);
        const double found = trees.expected_tokens(size, depth);
        CHECK((found == best || found == Approx(best).epsilon(1e-12)));
      }
    }
  }
}

TEST_CASE("the paths of a tree are worth what the table says and are a shape for drawn children") {
  random_source random(2);
  for (int round = 0; round < 30; ++round) {
    std::vector<double> acceptance(random.between(1, 6));
    for (double& a : acceptance) a = random.uniform(0.01, 0.7);
    const sequoia_trees trees(acceptance, 40, 6);
    for (const std::size_t size : {1u, 2u, 5u, 17u, 40u}) {
      for (const std::size_t depth : {0u, 1u, 3u, 6u}) {
        const rank_paths paths = trees.paths(size, depth);
        const double expected = trees.expected_tokens(size, depth);
        if (expected < 0) {
          CHECK(paths.empty());
          continue;
        }
        REQUIRE(paths.size() == size - 1);
        CHECK(expected_tokens(paths, acceptance) == Approx(expected).epsilon(1e-12));
        const auto tree = trees.tree(size, depth);
        CHECK(tree.check().has_value());
        CHECK(tree.size() == size - 1);
        for (const path& ranks : paths) CHECK(ranks.size() <= depth);
      }
    }
  }
}

TEST_CASE("where the vector never rises, best-first choice is as good") {
  random_source random(3);
  for (int round = 0; round < 30; ++round) {
    std::vector<double> acceptance(random.between(1, 8));
    for (double& a : acceptance) a = random.uniform(0.01, 0.7);
    std::sort(acceptance.rbegin(), acceptance.rend());
    const sequoia_trees trees(acceptance, 60, 8);
    for (const std::size_t size : {1u, 2u, 7u, 23u, 60u}) {
      for (const std::size_t depth : {1u, 2u, 5u, 8u}) {
        if (trees.expected_tokens(size, depth) < 0) continue;
        const valued_paths best = sequoia_best_first(acceptance, size, depth);
        CHECK(1 + best.accepted == Approx(trees.expected_tokens(size, depth)).epsilon(1e-12));
        CHECK(1 + best.accepted == Approx(expected_tokens(best.paths, acceptance)).epsilon(1e-12));
        CHECK(static_paths<without_replacement>(best.paths).check().has_value());
        CHECK(best.paths.size() == size - 1);
      }
    }
  }
}

TEST_CASE("the size is chosen by what passes cost") {
  const sequoia_trees trees(golden, 64, 8);
  // Every node as dear as a plain pass: no draft pays.
  cost_curve steep{{{1, 1.0}, {64, 64.0}}};
  CHECK(trees.cheapest(0.1, steep) == sequoia_choice{1, 0, 1, 1});
  // Nodes for nothing: everything is taken.
  const cost_curve free_nodes{{{1, 1.0}, {64, 1.0}}};
  const sequoia_choice all = trees.cheapest(0, free_nodes);
  CHECK(all.size == 64);
  CHECK(all.tokens == Approx(trees.expected_tokens(64, 8)));
  // Dear draft passes make shallow trees; the choice is the least of all.
  for (const cost_curve& curve : {cost_curve::cpu_like(), cost_curve::flat(), cost_curve::offload()}) {
    std::size_t last_depth = 8;
    for (const double draft_cost : {0.01, 0.1, 0.4, 2.0}) {
      const sequoia_choice chosen = trees.cheapest(draft_cost, curve);
      CHECK(chosen.depth <= last_depth);
      last_depth = chosen.depth;
      CHECK(chosen.tokens == trees.expected_tokens(chosen.size, chosen.depth));
      for (std::size_t size = 1; size <= 64; ++size) {
        for (std::size_t depth = 0; depth <= 8; ++depth) {
          if (trees.expected_tokens(size, depth) < 0) continue;
          const double time = static_cast<double>(depth) * draft_cost + curve.time(size);
          CHECK(chosen.time_per_token <= time / trees.expected_tokens(size, depth));
        }
      }
    }
  }
}

TEST_CASE("vectors without a positive entry make no tree but the root") {
  for (const std::vector<double>& acceptance : {std::vector<double>{}, std::vector<double>{0, 0}}) {
    const sequoia_trees trees(acceptance, 5, 3);
    CHECK(trees.expected_tokens(1, 3) == 1);
    CHECK(trees.expected_tokens(2, 3) < 0);
    CHECK(trees.tree(3, 3).size() == 0);
    CHECK(trees.tree(3, 3).check().has_value());
    CHECK(trees.cheapest(0, cost_curve::offload()) == sequoia_choice{});
    CHECK(sequoia_best_first(acceptance, 5, 3).paths.empty());
  }
}
