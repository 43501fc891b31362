// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `generate`: a decoder from the names of its parts.
#ifndef DECANT_EXAMPLES_GENERATE_DECODER_HPP
#define DECANT_EXAMPLES_GENERATE_DECODER_HPP

#include "generate_model.hpp"

#include <decant/control/paced_drafter.hpp>
#include <decant/control/renewal_rule.hpp>
#include <decant/decode/speculation.hpp>
#include <decant/draft/any_drafter.hpp>
#include <decant/draft/model_drafter.hpp>
#include <decant/draft/no_drafter.hpp>
#include <decant/draft/prompt_lookup.hpp>
#include <decant/sample/min_p.hpp>
#include <decant/sample/temperature.hpp>
#include <decant/sample/top_k.hpp>
#include <decant/sample/top_p.hpp>
#include <decant/tree/any_builder.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/static_paths.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/any_verifier.hpp>
#include <decant/verify/block_verification.hpp>
#include <decant/verify/greedy.hpp>
#include <decant/verify/match.hpp>
#include <decant/verify/recursive_rejection.hpp>
#include <decant/verify/speculative_sampling.hpp>
#include <decant/verify/traversal.hpp>
#include <decant/verify/typical_acceptance.hpp>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace generate_program {

using target_sampler =
    decltype(decant::make_sampler(decant::top_k{}, decant::top_p{}, decant::min_p{}, decant::temperature{}));
template <class Trace>
using machine = decant::speculation<decant::any_drafter<>, decant::any_verifier<>, target_sampler,
                                    decant::philox_chance, float, Trace>;

/// What a run needs beside the options.
struct decoder_parts {
  loaded_model& target;
  loaded_model* draft = nullptr;                   ///< when a model drafts
  std::optional<decant::pass_costs> target_costs;  ///< when drafts are paced
  std::optional<decant::pass_costs> draft_costs;

  /// Time of a draft pass in plain target passes.
  [[nodiscard]] double draft_pass() const { return draft_costs->plain_seconds / target_costs->plain_seconds; }
};

// --- Verifiers ---

inline std::string verifier_name(const options& chosen) {
  if (chosen.verifier != "auto") return chosen.verifier;
  return chosen.temperature > 0 ? "match" : "greedy";
}

/// Whether the verifier tests p/q, so that draft tokens must be drawn.
inline bool tests_ratios(const std::string& verifier) {
  constexpr std::string_view names[] = {"speculative-sampling", "block", "rejection", "traversal"};
  return std::find(std::begin(names), std::end(names), verifier) != std::end(names);
}

inline decant::any_verifier<> make_verifier(const options& chosen) {
  const std::string name = verifier_name(chosen);
  if (name == "greedy" && chosen.temperature > 0) {
    throw refusal("--verifier greedy takes the most probable token every time: it needs --temperature 0");
  }
  if (name == "greedy") return decant::greedy{};
  if (name == "speculative-sampling") return decant::speculative_sampling{};
  if (name == "block") return decant::block_verification{};
  if (name == "rejection") return decant::recursive_rejection{};
  if (name == "traversal") return decant::traversal{};
  if (name == "typical") return decant::typical_acceptance{};
  return decant::match{};
}

// --- Samplers ---

inline target_sampler make_sampler(const options& chosen, float temperature) {
  const auto sampler = decant::make_sampler(decant::top_k{chosen.top_k}, decant::top_p{chosen.top_p},
                                            decant::min_p{chosen.min_p}, decant::temperature{temperature});
  sampler.check().value_or_throw();
  return sampler;
}

inline target_sampler make_target_sampler(const options& chosen) {
  // The greedy verifier finds the most probable token itself; the law stays whole if its probabilities are asked for.
  const bool whole_law = chosen.logprobs && !(chosen.temperature > 0);
  return make_sampler(chosen, whole_law ? 1.0f : chosen.temperature);
}

/// A p/q test needs drafts from the target's settings. Elsewhere a draft law only ranks tokens: at temperature 0 it
/// stays whole, so that there are second choices and a measure of how sure the first one is.
inline target_sampler make_draft_sampler(const options& chosen) {
  const bool ranks = !tests_ratios(verifier_name(chosen));
  return make_sampler(chosen, ranks && !(chosen.temperature > 0) ? 1.0f : chosen.temperature);
}

// --- Trees ---

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
decant::any_builder<> make_paths(const options& chosen, std::string_view shape) {
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

template <class Draw>
decant::any_builder<> make_builder_of(const options& chosen) {
  constexpr std::int32_t longest = 255;
  const std::string_view tree = chosen.tree ? std::string_view(*chosen.tree) : "chain";
  if (tree == "chain") return decant::chain<Draw>{chosen.draft_length.value_or(longest)};
  if (tree.starts_with("widths:")) return make_widths<Draw>(chosen, tree.substr(7));
  if (tree.starts_with("paths:")) return make_paths<Draw>(chosen, tree.substr(6));
  refuse_tree(chosen, "a tree is one of: chain, widths:4,2,1, paths:0,1,0.0,0.1");
}

inline decant::any_builder<> make_builder(const options& chosen) {
  return tests_ratios(verifier_name(chosen)) ? make_builder_of<decant::without_replacement>(chosen)
                                             : make_builder_of<decant::ranked>(chosen);
}

// --- Drafters ---

/// Paced by measured costs, or as it is.
template <class D>
decant::any_drafter<> paced_if_measured(D drafter, const decoder_parts& parts, double pass_cost) {
  if (!parts.target_costs) return drafter;
  return decant::paced_drafter(std::move(drafter), decant::renewal_rule(parts.target_costs->curve), pass_cost);
}

inline decant::any_drafter<> make_drafter(const options& chosen, const decoder_parts& parts) {
  if (chosen.draft == "none") return decant::no_drafter();
  if (chosen.draft == "lookup") return paced_if_measured(decant::prompt_lookup<>(), parts, 0);
  using drafter = decant::model_drafter<decant::reference_model&, decant::any_builder<>, target_sampler>;
  return paced_if_measured(drafter(parts.draft->network, make_builder(chosen), make_draft_sampler(chosen)), parts,
                           parts.draft_costs ? parts.draft_pass() : 0);
}

// --- The machine ---

inline decant::decode_options make_decode_options(const options& chosen, const loaded_model& model) {
  constexpr std::int32_t longest_paced = 48;
  decant::decode_options made;
  made.vocab_size = model.network.vocab_size();
  made.context_size = model.network.context_size();
  made.max_tokens = chosen.tokens;
  const std::int32_t length = chosen.draft_length.value_or(chosen.tree ? 255 : longest_paced);
  made.limits = {length, length};
  made.log_probabilities = chosen.logprobs;
  const decant::token_span ends = model.words.words().end_of_generation();
  made.end_of_sequence.assign(ends.begin(), ends.end());
  for (const std::string& stop : chosen.stops) {
    if (stop.empty()) throw refusal("a stop text is empty");
    made.stops.add(stop);
  }
  made.bytes = decant::token_bytes::from(model.words);
  return made;
}

/// Refuses what cannot be, or does not go together, before anything is measured.
inline void check_parts(const options& chosen, const decoder_parts& parts) {
  if (chosen.tree && parts.draft == nullptr) {
    throw refusal("--tree shapes what a draft model drafts: it needs --draft model:FILE");
  }
  (void)make_target_sampler(chosen);
  (void)make_decode_options(chosen, parts.target);
  const decant::pairing_verdict found = decant::pairing_of(make_drafter(chosen, parts), make_verifier(chosen));
  if (found != decant::pairing_verdict::fits) {
    throw refusal(fmt::format("--draft {} and --verifier {} do not fit: {}", chosen.draft, verifier_name(chosen),
                              decant::sentence(found)));
  }
}

template <class Trace>
machine<Trace> make_machine(const options& chosen, const decoder_parts& parts, Trace trace) {
  return {make_drafter(chosen, parts),
          make_verifier(chosen),
          make_target_sampler(chosen),
          decant::philox_chance{chosen.seed},
          make_decode_options(chosen, parts.target),
          std::move(trace)};
}

}  // namespace generate_program

#endif
