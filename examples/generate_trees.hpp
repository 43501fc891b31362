// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `generate`: the trees of a draft model by name.
#ifndef DECANT_EXAMPLES_GENERATE_TREES_HPP
#define DECANT_EXAMPLES_GENERATE_TREES_HPP

#include "generate_verifiers.hpp"

#include <decant/tree/any_builder.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/coupled_draws.hpp>
#include <decant/tree/dyspec_heap.hpp>
#include <decant/tree/dyspec_threshold.hpp>
#include <decant/tree/expand_and_rerank.hpp>
#include <decant/tree/greedy_multi_draft.hpp>
#include <decant/tree/opt_tree.hpp>
#include <decant/tree/static_paths.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/tree/stochastic_beam.hpp>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace generate_program {

inline constexpr std::int32_t longest_draft = 255;  ///< most nodes of a tree whose size is not given
inline constexpr std::int32_t largest_tree = 768;   ///< most nodes of one whose size is

inline std::string_view tree_name(const options& chosen) {
  return chosen.tree ? std::string_view(*chosen.tree) : std::string_view("chain");
}

/// The numbers of "4,2,1", or nothing if it is something else.
inline std::optional<std::vector<std::int32_t>> parse_numbers(std::string_view text, char separator) {
  std::vector<std::int32_t> numbers;
  while (true) {
    const std::string_view word = text.substr(0, text.find(separator));
    std::int32_t number = 0;
    const auto read = std::from_chars(word.data(), word.data() + word.size(), number);
    if (read.ec != std::errc() || read.ptr != word.data() + word.size()) return std::nullopt;
    numbers.push_back(number);
    if (word.size() == text.size()) return numbers;
    text.remove_prefix(word.size() + 1);
  }
}

[[noreturn]] inline void refuse_tree(const options& chosen, std::string_view why) {
  throw refusal(fmt::format("--tree {}: {}", *chosen.tree, why));
}

template <class Builder>
decant::any_builder<> checked(const options& chosen, Builder builder) {
  if (const auto sound = builder.check(); !sound) refuse_tree(chosen, sound.error().message().c_str());
  return builder;
}

template <class Draw>
decant::any_builder<> make_widths(const options& chosen, std::string_view shape) {
  const auto widths = parse_numbers(shape, ',');
  decant::static_widths<Draw> builder;
  if (!widths || widths->size() > builder.widths.size()) {
    refuse_tree(chosen, fmt::format("after widths: come 1 to {} numbers like 4,2,1", builder.widths.size()));
  }
  builder.widths.fill(0);
  std::copy(widths->begin(), widths->end(), builder.widths.begin());
  return checked(chosen, builder);
}

template <class Draw>
decant::any_builder<> make_paths_of(const options& chosen, std::string_view shape) {
  std::vector<std::vector<std::int32_t>> paths;
  for (std::size_t begin = 0; begin <= shape.size();) {
    const std::size_t end = std::min(shape.find(',', begin), shape.size());
    auto ranks = parse_numbers(shape.substr(begin, end - begin), '.');
    if (!ranks) refuse_tree(chosen, "after paths: come ranks like 0,1,0.0,0.1");
    paths.push_back(std::move(*ranks));
    begin = end + 1;
  }
  return checked(chosen, decant::static_paths<Draw>(std::move(paths)));
}

inline decant::any_builder<> make_paths(const options& chosen, std::string_view shape) {
  switch (drafting_for(chosen)) {
    case drafting::chosen:
    case drafting::coupled: return make_paths_of<decant::ranked>(chosen, shape);
    case drafting::without_repetition:
    case drafting::top_and_drawn: return make_paths_of<decant::without_replacement>(chosen, shape);
    case drafting::independently: break;
  }
  refuse_tree(chosen,
              fmt::format("--verifier {} is made for siblings that are drawn alike, and those of paths are not; "
                          "use widths:",
                          verifier_name(chosen)));
}

// --- Trees of a given size ---

/// A number behind the name of a tree.
inline std::int32_t read_size(const options& chosen, std::string_view text) {
  const auto numbers = parse_numbers(text, ',');
  if (numbers && numbers->size() == 1 && numbers->front() >= 1 && numbers->front() <= largest_tree) {
    return numbers->front();
  }
  refuse_tree(chosen, fmt::format("behind the colon comes a number of nodes from 1 to {}", largest_tree));
}

inline decant::any_builder<> make_dyspec_threshold(const options& chosen, std::string_view text) {
  double threshold = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), threshold);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size() || !(threshold > 0 && threshold < 1)) {
    refuse_tree(chosen, "behind the colon comes a probability between 0 and 1 like 0.02");
  }
  return checked(chosen, decant::dyspec_threshold{threshold, largest_tree});
}

inline decant::any_builder<> make_beam(const options& chosen, std::string_view text) {
  const auto sizes = parse_numbers(text, 'x');
  const bool is_pair = sizes && sizes->size() == 2 && sizes->front() >= 1 && sizes->back() >= 1;
  if (!is_pair || std::int64_t{sizes->front()} * sizes->back() > largest_tree) {
    refuse_tree(chosen,
                fmt::format("behind the colon come width and depth like 6x5, of at most {} nodes", largest_tree));
  }
  return checked(chosen, decant::stochastic_beam{sizes->front(), sizes->back()});
}

// --- All trees ---

template <class Draw>
decant::any_builder<> make_chain_or_widths(const options& chosen) {
  const std::string_view tree = tree_name(chosen);
  if (tree.starts_with("widths:")) return make_widths<Draw>(chosen, tree.substr(7));
  return decant::chain<Draw>{chosen.draft_length.value_or(longest_draft)};
}

inline decant::any_builder<> make_builder(const options& chosen) {
  const std::string_view tree = tree_name(chosen);
  const std::string_view name = tree.substr(0, tree.find(':'));
  const std::string_view rest = tree.substr(std::min(name.size() + 1, tree.size()));
  if (name == "paths") return make_paths(chosen, rest);
  if (name == "dyspec") return decant::dyspec_heap{read_size(chosen, rest)};
  if (name == "dyspec-threshold") return make_dyspec_threshold(chosen, rest);
  if (name == "beam") return make_beam(chosen, rest);
  if (name == "opt-tree") return decant::opt_tree{read_size(chosen, rest)};
  if (name == "eagle2") return decant::expand_and_rerank{read_size(chosen, rest) + 1};
  if (tree != "chain" && name != "widths") {
    refuse_tree(chosen,
                "a tree is one of: chain, widths:4,2,1, paths:0,1,0.0,0.1, opt-tree:50, eagle2:60, dyspec:64, "
                "dyspec-threshold:0.02, beam:6x5");
  }
  switch (drafting_for(chosen)) {
    case drafting::chosen: break;
    case drafting::without_repetition: return make_chain_or_widths<decant::without_replacement>(chosen);
    case drafting::independently: return make_chain_or_widths<decant::independent>(chosen);
    case drafting::top_and_drawn: return make_chain_or_widths<decant::greedy_multi_draft>(chosen);
    case drafting::coupled: return make_chain_or_widths<decant::coupled_draws>(chosen);
  }
  return make_chain_or_widths<decant::ranked>(chosen);
}

/// Refuses trees of drawn tokens where nothing tests their probabilities, and trees of chosen ones where that is what
/// is tested: both would be exact, and accept less than they cost.
inline void check_tree(const options& chosen) {
  if (!chosen.tree_is_sized()) return;
  const bool is_drawn = !chosen.tree->starts_with("opt-tree:") && !chosen.tree->starts_with("eagle2:");
  const drafting wanted = drafting_for(chosen);
  const bool takes_chosen = wanted == drafting::chosen || wanted == drafting::coupled;
  if (is_drawn == !takes_chosen) return;
  refuse_tree(chosen, fmt::format("its tokens are {}, and --verifier {} is for tokens that are {}",
                                  is_drawn ? "drawn" : "chosen, not drawn", verifier_name(chosen),
                                  is_drawn ? "chosen" : "drawn"));
}

}  // namespace generate_program

#endif
