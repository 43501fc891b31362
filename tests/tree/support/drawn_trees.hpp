// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Laws of whole drawn trees: what a builder makes of a toy's draft law, by enumeration or by frequencies, to be
// compared with what the algorithm in its published form would make.
#ifndef DECANT_TESTS_TREE_DRAWN_TREES_HPP
#define DECANT_TESTS_TREE_DRAWN_TREES_HPP

#include <decant/core/philox.hpp>
#include <decant/proof/enumerator.hpp>
#include <decant/proof/toys.hpp>
#include <decant/tree/builder.hpp>

#include "tests/support/allocation_counter.hpp"
#include "tests/support/laws.hpp"
#include "tests/support/random.hpp"
#include "tests/support/test_kit.hpp"

#ifdef DECANT_TEST_HAS_GMP
#include "tests/support/rational.hpp"
#endif

#include <map>
#include <vector>

namespace decant_test {

using namespace decant;  // NOLINT: test support

/// The scalar of comparisons of laws.
#ifdef DECANT_TEST_HAS_GMP
using exact_scalar = rational;
#else
using exact_scalar = double;
#endif

/// The token paths of the drafted nodes in the order they were drawn.
using drawn_tree = std::vector<std::vector<token>>;

[[nodiscard]] inline drawn_tree paths_of(const token_tree& tree) {
  drawn_tree paths;
  for (const node_id n : tree.all().subspan(1)) tree.path_tokens(n, paths.emplace_back());
  return paths;
}

template <class Outcome, class Mass>
using law_of = std::map<Outcome, Mass>;
template <class Real>
using tree_law = law_of<drawn_tree, mass_t<Real>>;

/// Normalised draft probabilities after a path below the prompt of a toy.
template <class Real>
[[nodiscard]] std::vector<Real> draft_row(const proof::toy<Real>& world, const std::vector<token>& path) {
  std::vector<token> context = world.prompt;
  context.insert(context.end(), path.begin(), path.end());
  std::vector<Real> row(world.vocab_size());
  world.draft.weights(context, row);
  Real sum(0);
  for (const Real& w : row) sum += w;
  for (Real& w : row) w = w / sum;
  return row;
}

/// Grows a draft to its end, the rows given by `write(path, distribution)`. Nothing is allocated here once warm.
template <class Real, class Builder, class Write, class Chance>
void grow_fully(const Builder& builder, typename Builder::template work<Real>& work, token_draft<Real>& draft,
                const draft_limits& limits, std::vector<token>& path, const Write& write, Chance& chance) {
  draft.reset(0);
  builder.start(work, draft, limits);
  while (!node_span(builder.wanted(work)).empty()) {
    for (const node_id n : node_span(builder.wanted(work))) {
      draft.tree.path_tokens(n, path);
      write(path, draft.add_row_after(n));
    }
    builder.grow(work, draft, 100, chance);
  }
}

/// The same seed draws the same tree from sparse and from dense rows, of at least `least_nodes` nodes; and once that
/// has been done for some seeds, other seeds allocate nothing.
template <class Real, class Builder>
void check_rows_and_allocations(const Builder& builder, const draft_limits& limits, std::size_t least_nodes) {
  // Rows depend on the depth only, so that they can be made beforehand.
  random_source random(21);
  std::vector<distribution<Real>> rows[2];
  for (std::int32_t depth = 0; depth <= limits.depth; ++depth) {
    const auto weights = random.weights<Real>(600, 0.9);
    rows[0].push_back(dense_law(weights));
    rows[1].push_back(sparse_law(weights));
  }
  typename Builder::template work<Real> work;
  token_draft<Real> draft;
  std::vector<token> path;
  const auto grow = [&](std::uint64_t seed, const std::vector<distribution<Real>>& given) {
    const philox_chance chance{seed};
    grow_fully(
        builder, work, draft, limits, path,
        [&](const std::vector<token>& at, distribution<Real>& out) { out.assign(given[at.size()].view()); }, chance);
  };
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    grow(seed, rows[0]);
    const token_tree dense = draft.tree;
    CHECK(dense.size() > least_nodes);
    grow(seed, rows[1]);
    CHECK(draft.tree == dense);
  }
  for (std::uint64_t seed = 100; seed < 140; ++seed) {
    for (const auto& given : rows) CHECK(allocations_of([&] { grow(seed, given); }) == 0);
  }
}

/// The law of a builder's trees, by enumeration.
template <class Real, class Builder>
[[nodiscard]] tree_law<Real> enumerated_trees(const proof::toy<Real>& world, const Builder& builder,
                                              const draft_limits& limits = {64, 16}) {
  tree_law<Real> law;
  proof::enumerating_chance<mass_t<Real>> chance;
  typename Builder::template work<Real> work{};
  token_draft<Real> draft;
  std::vector<token> path;
  const auto write = [&](const std::vector<token>& at, distribution<Real>& out) {
    const std::vector<Real> row = draft_row(world, at);
    std::copy(row.begin(), row.end(), out.begin_dense(row.size()).begin());
    REQUIRE(out.finish() == error_code::none);
  };
  proof::enumerate(chance, [&] {
    grow_fully(builder, work, draft, limits, path, write, chance);
    const auto place = law.try_emplace(paths_of(draft.tree), mass_t<Real>(0)).first;
    place->second += chance.probability();
  });
  INFO(chance.failure());
  CHECK(chance.failure().empty());
  return law;
}

/// Whether two laws are the same, to rounding unless the scalar is exact.
template <class Outcome, class Mass>
[[nodiscard]] bool same_law(const law_of<Outcome, Mass>& a, const law_of<Outcome, Mass>& b) {
  const auto close = [](const Mass& x, const Mass& y) {
    if constexpr (std::is_floating_point_v<Mass>) return near(x, y, 1e-13);
    return x == y;
  };
  if (a.size() != b.size()) return false;
  return std::equal(a.begin(), a.end(), b.begin(),
                    [&](const auto& x, const auto& y) { return x.first == y.first && close(x.second, y.second); });
}

/// Whether `rounds` trees of `draw(round)` have the frequencies of a law.
template <class Mass, class Draw>
[[nodiscard]] bool frequencies_follow(const law_of<drawn_tree, Mass>& law, std::size_t rounds, const Draw& draw) {
  std::map<drawn_tree, double> counts;
  for (const auto& [tree, probability] : law) counts[tree] = 0;
  for (std::size_t i = 0; i < rounds; ++i) ++counts[draw(i)];
  if (counts.size() != law.size()) return false;  // a tree of probability 0 came up
  std::vector<double> found;
  std::vector<double> expected;
  for (const auto& [tree, probability] : law) {
    found.push_back(counts[tree]);
    expected.push_back(as_double(probability) * static_cast<double>(rounds));
  }
  return frequencies_agree(found, expected);
}

}  // namespace decant_test

#endif
