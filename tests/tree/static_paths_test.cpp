// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/tree/static_paths.hpp>
#include <decant/tree/static_widths.hpp>

#include "tests/support/draft_building.hpp"

#include <string>

using namespace decant;
using namespace decant_test;

namespace {

using path = std::vector<std::int32_t>;

/// All rank paths of a tree of these widths.
std::vector<path> paths_of(const std::vector<std::int32_t>& widths) {
  std::vector<path> all;
  std::vector<path> level{{}};
  for (const std::int32_t width : widths) {
    std::vector<path> next;
    for (const path& above : level) {
      for (std::int32_t rank = 0; rank < width; ++rank) {
        next.push_back(above);
        next.back().push_back(rank);
      }
    }
    all.insert(all.end(), next.begin(), next.end());
    level = next;
  }
  return all;
}

/// The rank path of a node, given the ranking of its parent's row.
path ranks_of(const token_tree& tree, node_id n, const path_law& law) {
  path ranks;
  for (; n != 0; n = tree.parent(n)) {
    const std::vector<double> weights = law(tokens_to(tree, tree.parent(n)));
    const double own = weights[index(tree.token_of(n))];
    ranks.push_back(
        static_cast<std::int32_t>(std::count_if(weights.begin(), weights.end(), [&](double w) { return w > own; })));
  }
  std::reverse(ranks.begin(), ranks.end());
  return ranks;
}

std::string fault(const static_paths<without_replacement>& shape) {
  return shape.check().has_value() ? "" : shape.check().error().message().c_str();
}

}  // namespace

TEST_CASE("a tree of ranked paths holds exactly the listed paths") {
  philox_chance chance{1};
  const path_law law{7, 20, 0};
  // Gaps among ranks are fine where nothing is drawn.
  const std::vector<path> listed{{0}, {3}, {0, 0}, {0, 2}, {3, 1}, {0, 2, 0}, {0, 2, 5}};
  std::vector<path> shuffled = listed;
  std::swap(shuffled[0], shuffled[6]);
  std::swap(shuffled[1], shuffled[4]);
  const static_paths<ranked> shape(shuffled);
  REQUIRE(shape.check().has_value());
  CHECK(shape.size() == 7);
  CHECK(shape == static_paths<ranked>(listed));
  CHECK(shape != static_paths<ranked>({{0}, {3}}));

  const auto built = build(shape, {100, 100}, law, chance);
  std::vector<path> found;
  for (const node_id n : built.draft.tree.all().subspan(1)) found.push_back(ranks_of(built.draft.tree, n, law));
  CHECK(found == listed);
  REQUIRE(built.wanted.size() == 3);
  CHECK(built.wanted[0] == std::vector<node_id>{0});
  CHECK(built.wanted[1] == std::vector<node_id>{1, 2});
  CHECK(built.wanted[2] == std::vector<node_id>{4});
  check_draft(built.draft, {7, 3}, law.vocab_size);
}

TEMPLATE_TEST_CASE("paths of full widths build the tree of those widths", "", ranked, without_replacement) {
  const path_law law{21, 9, 0.3};
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    philox_chance chance{seed};
    const static_widths<TestType> widths{.widths = {3, 2, 2}};
    const static_paths<TestType> paths(paths_of({3, 2, 2}));
    REQUIRE(paths.check().has_value());
    for (const draft_limits limits : {draft_limits{100, 100}, draft_limits{100, 2}, draft_limits{0, 5}}) {
      CHECK(same_draft(build(paths, limits, law, chance).draft, build(widths, limits, law, chance).draft));
    }
  }
}

TEMPLATE_TEST_CASE("paths respect the limits", "", ranked, without_replacement) {
  const static_paths<TestType> shape({{0}, {1}, {2}, {0, 0}, {0, 1}, {1, 0}, {0, 0, 0}, {0, 0, 1}, {0, 0, 0, 0}});
  REQUIRE(shape.check().has_value());
  for (std::int32_t nodes = 0; nodes < 12; ++nodes) {
    for (std::int32_t depth = 0; depth < 6; ++depth) {
      philox_chance chance{index(nodes * 10 + depth)};
      const path_law law{index(nodes + depth), 8, 0.5};
      const auto built = build(shape, {nodes, depth}, law, chance);
      check_draft(built.draft, {nodes, depth}, law.vocab_size);
      for (const auto& batch : built.wanted) {
        for (const node_id n : batch) CHECK(built.draft.tree.first_child(n) != no_node);
      }
      const auto unlimited = build(shape, {100, 100}, path_law{law.seed, 8, 0}, chance);
      CHECK(unlimited.draft.tree.size() == 10);
    }
  }
}

TEST_CASE("a rank the row does not have is left out with everything below it") {
  philox_chance chance{1};
  const auto law = [](const std::vector<token>& tokens) -> std::vector<double> {
    return tokens.size() == 1 ? std::vector<double>{0, 2, 1, 0} : std::vector<double>{1, 2, 3, 4};
  };
  const static_paths<ranked> shape({{0}, {2}, {0, 0}, {2, 0}});
  const auto built = build(shape, {100, 100}, law, chance);
  REQUIRE(built.draft.tree.size() == 3);
  CHECK(built.draft.tree.token_of(1) == 1);
  CHECK(built.draft.tree.token_of(2) == 3);
}

TEST_CASE("lists that are no tree are refused and draft nothing") {
  CHECK(fault(static_paths<without_replacement>()).empty());
  CHECK(fault(static_paths<without_replacement>({{0}, {}})).find("empty") != std::string::npos);
  CHECK(fault(static_paths<without_replacement>({{-1}})).find("rank") != std::string::npos);
  CHECK(fault(static_paths<without_replacement>({{256}})).find("rank") != std::string::npos);
  CHECK(fault(static_paths<without_replacement>({{0}, {0, 0}, {0}})).find("twice") != std::string::npos);
  CHECK(fault(static_paths<without_replacement>({{0}, {1, 0}})).find("beginning") != std::string::npos);
  CHECK(fault(static_paths<without_replacement>({{0}, {2}})).find("lower rank") != std::string::npos);
  CHECK(static_paths<ranked>({{0}, {2}}).check().has_value());

  const static_paths<ranked> broken({{0}, {1, 0}});
  CHECK(broken.size() == 0);
  philox_chance chance{1};
  const auto built = build(broken, {10, 10}, path_law{}, chance);
  CHECK(built.draft.tree.size() == 1);
  CHECK(built.wanted.empty());
}
