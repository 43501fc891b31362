// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/tree/published_paths.hpp>

#include "tests/support/draft_building.hpp"

#include <set>

using namespace decant;
using namespace decant_test;

namespace {

using path = std::vector<std::int32_t>;

struct published {
  const char* name;
  const char* words;
  std::vector<std::size_t> nodes_by_level;
};

std::vector<published> all_published() {
  using namespace published_paths;
  return {
      {"medusa_63", medusa_63, {10, 28, 23, 2}},
      {"medusa_vicuna_7b_stage1", medusa_vicuna_7b_stage1, {10, 32, 20, 1}},
      {"medusa_vicuna_7b_stage2", medusa_vicuna_7b_stage2, {10, 23, 23, 7}},
      {"medusa_vicuna_13b_stage1", medusa_vicuna_13b_stage1, {10, 29, 23, 1}},
      {"medusa_vicuna_13b_stage2", medusa_vicuna_13b_stage2, {10, 19, 25, 9}},
      {"medusa_vicuna_33b_stage1", medusa_vicuna_33b_stage1, {10, 34, 19}},
      {"medusa_vicuna_33b_stage2", medusa_vicuna_33b_stage2, {10, 24, 24, 5}},
      {"medusa_zephyr_stage2", medusa_zephyr_stage2, {10, 27, 23, 3}},
      {"eagle_25", eagle_25, {4, 8, 8, 3, 2}},
      {"falcon_depth_4", falcon_depth_4, {20, 19, 21, 15}},
  };
}

}  // namespace

TEST_CASE("published shapes are trees without a path listed twice, of the sizes their papers state") {
  for (const published& shape : all_published()) {
    INFO(shape.name);
    const auto paths = paths_from(shape.words);
    std::set<path> known(paths.begin(), paths.end());
    CHECK(known.size() == paths.size());
    std::vector<std::size_t> by_level;
    for (const path& ranks : paths) {
      if (ranks.size() > 1) CHECK(known.count(path(ranks.begin(), ranks.end() - 1)) == 1);
      by_level.resize(std::max(by_level.size(), ranks.size()));
      ++by_level[ranks.size() - 1];
    }
    CHECK(by_level == shape.nodes_by_level);
    const auto tree = published_tree<ranked>(shape.words);
    CHECK(tree.check().has_value());
    CHECK(tree.size() == paths.size());
  }
}

TEST_CASE("Medusa's shapes have 63 paths of ranks below 10, EAGLE's 25, Falcon's 75 of ranks below 20") {
  for (const published& shape : all_published()) {
    INFO(shape.name);
    const auto paths = paths_from(shape.words);
    const bool medusa = std::string(shape.name).find("medusa") == 0;
    std::int32_t largest = 0;
    for (const path& ranks : paths) largest = std::max(largest, *std::max_element(ranks.begin(), ranks.end()));
    if (medusa) CHECK((paths.size() == 63 && largest == 9));
  }
  CHECK(paths_from(published_paths::eagle_25).size() == 25);
  CHECK(paths_from(published_paths::falcon_depth_4).size() == 75);
  CHECK(published_tree<ranked>(published_paths::medusa_63) !=
        published_tree<ranked>(published_paths::medusa_zephyr_stage2));
}

TEST_CASE("the shapes of EAGLE and Medusa also fit drawn children") {
  CHECK(published_tree<without_replacement>(published_paths::eagle_25).check().has_value());
  CHECK(published_tree<without_replacement>(published_paths::medusa_63).check().has_value());
}

TEST_CASE("a published shape builds the tree it names") {
  philox_chance chance{1};
  const path_law law{7, 30, 0};
  for (const published& shape : all_published()) {
    INFO(shape.name);
    const auto built = build(published_tree<ranked>(shape.words), {200, 20}, law, chance);
    CHECK(built.draft.tree.size() == paths_from(shape.words).size() + 1);
    CHECK(built.wanted.size() == shape.nodes_by_level.size());
    check_draft(built.draft, {200, 20}, law.vocab_size);
  }
}

TEST_CASE("words are read digit by digit") {
  CHECK(paths_from("").empty());
  CHECK(paths_from(" 0  1z a ") == std::vector<path>{{0}, {1, 35}, {10}});
  CHECK_FALSE(published_tree<ranked>("0 0?").check().has_value());
  CHECK_FALSE(published_tree<ranked>("0 12").check().has_value());
}
