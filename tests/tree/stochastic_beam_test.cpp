// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The beam is told as a race, event by event. It is compared with the two published forms: draws of full paths without
// replacement, exactly; and conditional Gumbels, by frequencies.
#include <decant/core/philox.hpp>
#include <decant/tree/stochastic_beam.hpp>

#include "tests/support/draft_building.hpp"
#include "tests/tree/support/drawn_trees.hpp"

using namespace decant;
using namespace decant_test;

namespace {

/// Full paths are drawn without replacement, one after the other (Plackett-Luce); scanned in that order, a level keeps
/// the first `width` prefixes whose own prefix is kept. Draws that would change nothing are left out, which is sound:
/// the first draw that falls into a set of paths has the law of the paths restricted to that set.
template <class Real>
class paths_without_replacement {
 public:
  paths_without_replacement(const proof::toy<Real>& world, std::size_t width, std::size_t depth)
      : width_(width), depth_(depth) {
    add_paths(world, {}, Real(1));
  }

  [[nodiscard]] tree_law<Real> law() {
    scan(levels(depth_), Real(1));
    return std::move(law_);
  }

 private:
  using levels = std::vector<drawn_tree>;  // prefixes by length, in order of arrival
  struct full_path {
    std::vector<token> tokens;
    Real probability;
  };

  void add_paths(const proof::toy<Real>& world, const std::vector<token>& path, const Real& probability) {
    if (path.size() == depth_) {
      paths_.push_back({path, probability});
      return;
    }
    const std::vector<Real> row = draft_row(world, path);
    for (std::size_t v = 0; v < row.size(); ++v) {
      if (!(row[v] > Real(0))) continue;
      std::vector<token> longer = path;
      longer.push_back(static_cast<token>(v));
      add_paths(world, longer, probability * row[v]);
    }
  }
  [[nodiscard]] levels with(levels kept, const full_path& drawn) const {
    for (std::size_t l = 0; l < depth_; ++l) {
      const std::vector<token> prefix(drawn.tokens.begin(), drawn.tokens.begin() + static_cast<std::ptrdiff_t>(l) + 1);
      if (std::find(kept[l].begin(), kept[l].end(), prefix) != kept[l].end()) continue;
      if (kept[l].size() == width_) break;
      kept[l].push_back(prefix);
    }
    return kept;
  }
  void scan(const levels& kept, const Real& probability) {
    std::map<levels, Real> next;
    Real mass(0);
    for (const full_path& p : paths_) {
      const levels changed = with(kept, p);
      if (changed == kept) continue;
      next.try_emplace(changed, Real(0)).first->second += p.probability;
      mass += p.probability;
    }
    for (const auto& [changed, share] : next) scan(changed, probability * share / mass);
    if (!next.empty()) return;
    drawn_tree tree;
    for (const drawn_tree& level : kept) tree.insert(tree.end(), level.begin(), level.end());
    law_.try_emplace(tree, Real(0)).first->second += probability;
  }

  std::size_t width_;
  std::size_t depth_;
  std::vector<full_path> paths_;
  tree_law<Real> law_;
};

/// A Gumbel conditioned on the maximum of its family: arXiv 1903.06059, in the stable form of its authors' code.
[[nodiscard]] double conditioned(double raw, double largest, double parent) {
  if (raw == largest) return parent;
  const double t = parent - raw + std::log1p(-std::exp(raw - largest));
  return parent - std::max(0.0, t) - std::log1p(std::exp(-std::abs(t)));
}

/// The beam by conditional Gumbels.
[[nodiscard]] drawn_tree by_gumbels(const proof::toy<double>& world, std::size_t width, std::size_t depth,
                                    random_source& random) {
  struct prefix {
    std::vector<token> path;
    double phi;
    double value;
  };
  std::vector<prefix> beam{{{}, 0, 0}};
  drawn_tree tree;
  for (std::size_t level = 0; level < depth; ++level) {
    std::vector<prefix> all;
    for (const prefix& s : beam) {
      const std::vector<double> row = draft_row(world, s.path);
      std::vector<prefix> family;
      for (std::size_t v = 0; v < row.size(); ++v) {
        if (!(row[v] > 0)) continue;
        std::vector<token> path = s.path;
        path.push_back(static_cast<token>(v));
        const double phi = s.phi + std::log(row[v]);
        family.push_back({path, phi, phi - std::log(-std::log(1 - random.uniform()))});
      }
      double largest = family[0].value;
      for (const prefix& c : family) largest = std::max(largest, c.value);
      for (prefix& c : family) c.value = conditioned(c.value, largest, s.value);
      all.insert(all.end(), family.begin(), family.end());
    }
    std::sort(all.begin(), all.end(), [](const prefix& a, const prefix& b) { return a.value > b.value; });
    all.resize(std::min(width, all.size()));
    for (const prefix& s : all) tree.push_back(s.path);
    beam = all;
  }
  return tree;
}

}  // namespace

TEST_CASE("the stochastic beam has the law of full paths drawn without replacement") {
  const auto compare = [](const proof::toy<exact_scalar>& world, std::size_t width, std::size_t depth) {
    INFO(world.name << ", width " << width << ", depth " << depth);
    const auto expected = paths_without_replacement<exact_scalar>(world, width, depth).law();
    exact_scalar mass(0);
    for (const auto& [tree, probability] : expected) mass += probability;
    CHECK(near(as_double(mass), 1, 1e-13));
    const stochastic_beam builder{static_cast<std::int32_t>(width), static_cast<std::int32_t>(depth),
                                  width == 2 ? 2 : 256};
    CHECK(same_law(enumerated_trees(world, builder), expected));
    return expected.size();
  };
  CHECK(compare(proof::toy_a<exact_scalar>(), 2, 2) == 336);
  (void)compare(proof::toy_b<exact_scalar>(), 2, 2);
  for (const auto& world : proof::standard_toys<exact_scalar>(3, 16)) {
    for (const auto width : {1u, 2u, 3u}) (void)compare(world, width, 2);
    (void)compare(world, 2, 3);
  }
  for (const auto& world : proof::standard_toys<exact_scalar>(2, 28)) {
    for (const auto width : {2u, 3u, 4u}) (void)compare(world, width, 3);
    (void)compare(world, 2, 4);
  }
}

TEST_CASE("conditional Gumbels and the production noise give the beam the same law") {
  for (const auto& world : {proof::toy_a<double>(), proof::random_toy<double>(1)}) {
    INFO(world.name);
    const std::size_t depth = world.vocab_size() == 4 ? 2 : 3;
    const auto law = paths_without_replacement<double>(world, 2, depth).law();
    random_source random(77);
    CHECK(frequencies_follow(law, 40'000, [&](std::size_t) { return by_gumbels(world, 2, depth, random); }));
    const stochastic_beam builder{.width = 2, .depth = static_cast<std::int32_t>(depth), .row_block = 2};
    stochastic_beam::work<double> work;
    token_draft<double> draft;
    std::vector<token> path;
    const auto write = [&](const std::vector<token>& at, distribution<double>& out) {
      const std::vector<double> row = draft_row(world, at);
      std::copy(row.begin(), row.end(), out.begin_dense(row.size()).begin());
      (void)out.finish();
    };
    CHECK(frequencies_follow(law, 40'000, [&](std::size_t seed) {
      const philox_chance chance{seed};
      grow_fully(builder, work, draft, {64, 16}, path, write, chance);
      return paths_of(draft.tree);
    }));
  }
}

TEST_CASE("conditional Gumbels have the largest of a family at the parent's value") {
  CHECK(conditioned(0.5, 0.5, -3) == -3);
  for (const double raw : {0.49999, 0.1, -2.0, -40.0}) {
    const double value = conditioned(raw, 0.5, -3);
    CHECK(value < -3);
    // The definition, inverted: exp(-G) - exp(-parent) = exp(-raw) - exp(-largest).
    const double shift = std::exp(-raw) - std::exp(-0.5);
    CHECK(near((std::exp(-value) - std::exp(3)) / shift, 1, 1e-6));
  }
}

TEST_CASE("a level of the beam has its width, one draft pass each") {
  philox_chance chance{3};
  const path_law law{5, 20, 0};
  for (const std::int32_t width : {1, 3, 8}) {
    for (const std::int32_t depth : {0, 1, 4}) {
      const auto built = build(stochastic_beam{.width = width, .depth = depth}, {100, 100}, law, chance);
      check_draft(built.draft, {width * depth, depth}, law.vocab_size);
      CHECK(built.draft.tree.size() == index(width * depth) + 1);
      CHECK(built.wanted.size() == index(depth));
      std::vector<std::size_t> by_depth(index(depth) + 1, 0);
      for (const node_id n : built.draft.tree.all()) ++by_depth[index(built.draft.tree.depth(n))];
      for (std::size_t d = 1; d < by_depth.size(); ++d) CHECK(by_depth[d] == index(width));
    }
  }
}

TEST_CASE("a beam that is wide enough holds every path") {
  philox_chance chance{3};
  const path_law law{5, 3, 0};
  const auto built = build(stochastic_beam{.width = 27, .depth = 3}, {100, 100}, law, chance);
  CHECK(built.draft.tree.size() == 1 + 3 + 9 + 27);
  check_draft(built.draft, {39, 3}, 3);
}

TEST_CASE("the beam goes on at depths where path probabilities underflow") {
  philox_chance chance{3};
  std::vector<double> flat(5000, 1.0);
  flat[7] = 1e-300;
  const auto built = build(
      stochastic_beam{.width = 3, .depth = 150}, {1000, 1000}, [&](const std::vector<token>&) { return flat; }, chance);
  CHECK(built.draft.tree.size() == 451);
}

TEST_CASE("the beam keeps to its limits, with rows that are exhausted") {
  random_source random(8);
  for (std::uint64_t round = 0; round < 200; ++round) {
    const stochastic_beam builder{.width = static_cast<std::int32_t>(random.between(0, 6)),
                                  .depth = static_cast<std::int32_t>(random.between(0, 6)),
                                  .row_block = static_cast<std::int32_t>(random.between(1, 9))};
    REQUIRE(builder.check().has_value());
    const draft_limits limits{static_cast<std::int32_t>(random.between(0, 40)) - 1,
                              static_cast<std::int32_t>(random.between(0, 5)) - 1};
    philox_chance chance{round};
    const path_law law{round, random.between(1, 9), 0.7};
    const auto built = build(builder, limits, law, chance);
    check_draft(built.draft, {std::max(0, limits.nodes), std::max(0, std::min(builder.depth, limits.depth))},
                law.vocab_size);
    if (limits.nodes <= 0 || limits.depth <= 0 || builder.width == 0 || builder.depth == 0) CHECK(built.wanted.empty());
    std::size_t drawn = 0;
    for (const auto& batch : built.wanted) {
      CHECK(batch.size() <= std::min(index(builder.width), index(limits.nodes) - drawn));
      drawn = index(batch.back());
    }
  }
}

TEMPLATE_TEST_CASE("the beam is the same from sparse and dense rows and allocates nothing once warm", "", float,
                   double) {
  check_rows_and_allocations<TestType>(stochastic_beam{.width = 6, .depth = 10}, {64, 64}, 60);
}

TEST_CASE("the beam is checked and compared") {
  CHECK(stochastic_beam{}.check().has_value());
  CHECK(stochastic_beam{.width = -1}.check().code() == error_code::invalid_argument);
  CHECK(stochastic_beam{.depth = -1}.check().code() == error_code::invalid_argument);
  CHECK(stochastic_beam{.row_block = 0}.check().code() == error_code::invalid_argument);
  CHECK(stochastic_beam{.width = 3} == stochastic_beam{.width = 3});
  CHECK(stochastic_beam{.width = 3} != stochastic_beam{.width = 4});
}
