// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Published shapes of static trees, as data for `static_paths`, so that results can be compared with those of the
// papers and a trained set of heads can be used with the tree it was tuned for. A path is a word of ranks, one digit
// per rank (0 to 9, then a to z); the words of a shape are in level order.
//   Medusa (arXiv 2401.10774): 63 paths for ranked children; Hydra (arXiv 2402.05109) uses the first of them unchanged.
//   EAGLE-1 (arXiv 2401.15077): 25 paths, for ranked children or for draws without replacement, rank r being draw r.
//   Falcon (arXiv 2412.12639): 75 paths of depth 4, for blocks of two positions (tree/block_tree.hpp), ranked children.
//     Its longer lists are left out; some of them name a path twice.
#ifndef DECANT_TREE_PUBLISHED_PATHS_HPP
#define DECANT_TREE_PUBLISHED_PATHS_HPP

#include <decant/tree/static_paths.hpp>

namespace decant::inline DECANT_ABI {

namespace published_paths {

/// Medusa's and Hydra's general tree ("mc_sim_7b_63"): 10, 28, 23 and 2 nodes by level.
inline constexpr const char* medusa_63 =
    "0 1 2 3 4 5 6 7 8 9 00 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 20 21 22 30 31 40 50 60 70 80 90 "
    "000 001 002 003 004 005 006 007 008 009 010 011 012 020 021 030 040 050 060 070 100 101 200 0000 0001";

// Medusa's trees for its trained models.
inline constexpr const char* medusa_vicuna_7b_stage1 =
    "0 1 2 3 4 5 6 7 8 9 00 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 20 21 22 23 30 31 32 40 41 50 51 "
    "60 70 80 90 000 001 002 003 004 005 006 007 008 010 011 012 020 021 030 040 050 100 101 200 0000";
inline constexpr const char* medusa_vicuna_7b_stage2 =
    "0 1 2 3 4 5 6 7 8 9 00 01 02 03 04 05 06 07 08 09 10 11 12 13 14 20 21 30 31 40 50 60 70 000 001 002 003 "
    "004 005 006 007 008 010 011 012 013 020 021 030 040 050 100 101 102 110 200 0000 0001 0002 0003 0010 "
    "0020 0100";
inline constexpr const char* medusa_vicuna_13b_stage1 =
    "0 1 2 3 4 5 6 7 8 9 00 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 20 21 22 23 30 31 40 41 50 60 70 "
    "80 000 001 002 003 004 005 006 007 008 009 010 011 012 013 020 021 030 040 050 100 101 110 200 0000";
inline constexpr const char* medusa_vicuna_13b_stage2 =
    "0 1 2 3 4 5 6 7 8 9 00 01 02 03 04 05 06 07 08 09 10 11 12 13 20 21 30 40 50 000 001 002 003 004 005 006 "
    "007 008 009 010 011 012 013 020 021 030 040 050 100 101 102 110 200 300 0000 0001 0002 0003 0010 0011 "
    "0020 0100 1000";
inline constexpr const char* medusa_vicuna_33b_stage1 =
    "0 1 2 3 4 5 6 7 8 9 00 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 17 20 21 22 23 24 30 31 32 40 41 "
    "50 51 60 70 80 90 000 001 002 003 004 005 006 007 008 010 011 012 020 021 030 040 100 101 200";
inline constexpr const char* medusa_vicuna_33b_stage2 =
    "0 1 2 3 4 5 6 7 8 9 00 01 02 03 04 05 06 07 08 09 10 11 12 13 14 20 21 22 30 31 40 50 60 70 000 001 002 "
    "003 004 005 006 007 008 009 010 011 012 013 020 021 030 040 050 100 101 102 110 200 0000 0001 0002 0010 "
    "0100";
inline constexpr const char* medusa_zephyr_stage2 =
    "0 1 2 3 4 5 6 7 8 9 00 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 20 21 22 23 30 31 40 41 50 60 70 000 "
    "001 002 003 004 005 006 007 008 009 010 011 012 013 020 021 030 040 050 100 101 110 200 0000 0001 0010";

/// EAGLE-1's tree (also called "mc_sim_7b_63"): 4, 8, 8, 3 and 2 nodes by level.
inline constexpr const char* eagle_25 =
    "0 1 2 3 00 01 02 10 11 20 21 30 000 001 002 010 011 020 021 100 0000 0001 0002 00000 00001";

/// Falcon's tree of two blocks of two positions: 20, 19, 21 and 15 nodes by level.
inline constexpr const char* falcon_depth_4 =
    "0 1 2 3 4 5 6 7 8 9 a b c d e f g h i j 00 01 02 03 04 05 06 07 08 09 0a 10 11 12 13 20 21 22 23 000 001 "
    "002 003 004 005 006 010 011 012 013 014 015 016 017 018 019 020 030 100 200 0000 0001 0002 0003 0004 "
    "0005 0006 0007 0008 0009 0100 0200 0300 1000 2000";

}  // namespace published_paths

/// The rank paths of a list of words; `static_paths::check` says whether they make a tree. A character that is no digit
/// becomes rank -1, which no tree has.
[[nodiscard]] inline std::vector<std::vector<std::int32_t>> paths_from(const char* words) {
  const auto rank_of = [](char digit) -> std::int32_t {
    if (digit >= '0' && digit <= '9') return digit - '0';
    return digit >= 'a' && digit <= 'z' ? digit - 'a' + 10 : -1;
  };
  std::vector<std::vector<std::int32_t>> paths;
  bool in_word = false;
  for (; *words != '\0'; ++words) {
    if (*words == ' ') {
      in_word = false;
      continue;
    }
    if (!in_word) paths.emplace_back();
    in_word = true;
    paths.back().push_back(rank_of(*words));
  }
  return paths;
}

/// `published_tree<ranked>(published_paths::medusa_63)`.
template <class Draw>
[[nodiscard]] static_paths<Draw> published_tree(const char* words, Draw children = {}) {
  return static_paths<Draw>(paths_from(words), std::move(children));
}

}  // namespace decant::inline DECANT_ABI

#endif
