// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `generate`: a decoder from the names of its parts.
#ifndef DECANT_EXAMPLES_GENERATE_DECODER_HPP
#define DECANT_EXAMPLES_GENERATE_DECODER_HPP

#include "generate_samplers.hpp"
#include "generate_trees.hpp"
#include "generate_verifiers.hpp"

#include <decant/control/paced_drafter.hpp>
#include <decant/control/renewal_rule.hpp>
#include <decant/decode/speculation.hpp>
#include <decant/draft/any_drafter.hpp>
#include <decant/draft/model_drafter.hpp>
#include <decant/draft/no_drafter.hpp>
#include <decant/draft/prompt_lookup.hpp>
#include <decant/draft/reflecting_drafter.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace generate_program {

using target_sampler = decant::any_sampler<>;
template <class Trace>
using machine = decant::speculation<decant::any_drafter<>, decant::any_verifier<>, target_sampler,
                                    decant::philox_chance, float, Trace>;

/// What a run needs beside the options.
struct decoder_parts {
  loaded_model& target;
  loaded_model* draft = nullptr;                   ///< when a model drafts
  std::optional<decant::pass_costs> target_costs;  ///< when drafts are paced
  std::optional<decant::pass_costs> draft_costs;
  judged_rows rows_to_judge{};

  /// Time of a draft pass in plain target passes.
  [[nodiscard]] double draft_pass() const { return draft_costs->plain_seconds / target_costs->plain_seconds; }
};

// --- Samplers ---

inline target_sampler make_target_sampler(const options& chosen, const decoder_parts& parts) {
  // A law that is not drawn from at temperature 0 stays whole if its probabilities are asked for.
  const law_at_zero seen = facts_of(chosen).law;
  const bool is_whole = seen == law_at_zero::whole || (seen == law_at_zero::either && chosen.logprobs);
  return make_sampler(chosen, is_whole && !(chosen.temperature > 0) ? 1.0f : chosen.temperature, parts.target);
}

/// Drawn drafts come from the target's settings. Elsewhere a draft law only ranks tokens: at temperature 0 it
/// stays whole, so that there are second choices and a measure of how sure the first one is.
inline target_sampler make_draft_sampler(const options& chosen, const decoder_parts& parts) {
  const bool ranks = drafting_for(chosen) == drafting::chosen;
  return make_sampler(chosen, ranks && !(chosen.temperature > 0) ? 1.0f : chosen.temperature, parts.target);
}

// --- Drafters ---

/// Paced by measured costs, or as it is.
template <class D>
decant::any_drafter<> paced_if_measured(D drafter, const decoder_parts& parts, double pass_cost) {
  if (!parts.target_costs) return drafter;
  return decant::paced_drafter(std::move(drafter), decant::renewal_rule(parts.target_costs->curve), pass_cost);
}

inline decant::any_drafter<> make_plain_drafter(const options& chosen, const decoder_parts& parts) {
  if (chosen.draft == "none") return decant::no_drafter();
  if (chosen.draft == "lookup") return paced_if_measured(decant::prompt_lookup<>(), parts, 0);
  using drafter = decant::model_drafter<decant::reference_model&, decant::any_builder<>, target_sampler>;
  return paced_if_measured(drafter(parts.draft->network, make_builder(chosen), make_draft_sampler(chosen, parts)),
                           parts, parts.draft_costs ? parts.draft_pass() : 0);
}

/// What the model reads between the two looks at a draft.
inline decant::reflection_settings make_reflection(const options& chosen, const loaded_model& model) {
  decant::reflection_settings made;
  const std::string text = chosen.reflect_prompt.value_or("\n\nThe same once more, checked and corrected:\n\n");
  made.prompt = model.words.encode(text).value_or_throw();
  return made;
}

inline decant::any_drafter<> make_drafter(const options& chosen, const decoder_parts& parts) {
  decant::any_drafter<> plain = make_plain_drafter(chosen, parts);
  if (!reflects(chosen)) return plain;
  return decant::reflecting_drafter(std::move(plain), make_reflection(chosen, parts.target));
}

// --- The machine ---

inline decant::decode_options make_decode_options(const options& chosen, const loaded_model& model) {
  constexpr std::int32_t longest_paced = 48;
  decant::decode_options made;
  made.vocab_size = model.network.vocab_size();
  made.context_size = model.network.context_size();
  made.max_tokens = chosen.tokens;
  const std::int32_t unpaced = chosen.tree_is_sized() ? largest_tree : longest_draft;
  const std::int32_t length = chosen.draft_length.value_or(chosen.tree ? unpaced : longest_paced);
  made.limits = {length, length};
  if (reflects(chosen)) {  // room for prompt, repeated text and the copies
    const decant::reflection_settings again = make_reflection(chosen, model);
    made.limits.nodes += length + static_cast<std::int32_t>(again.prompt.size()) + again.repeated_tokens;
  }
  made.log_probabilities = chosen.logprobs;
  made.alternatives = chosen.alternatives;
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
  check_sampler(chosen);
  check_verifier(chosen);
  check_tree(chosen);
  (void)make_target_sampler(chosen, parts);
  (void)make_decode_options(chosen, parts.target);
  const decant::pairing_verdict found =
      decant::pairing_of(make_drafter(chosen, parts), make_verifier(chosen, parts.target, parts.rows_to_judge));
  if (found != decant::pairing_verdict::fits) {
    throw refusal(fmt::format("--draft {} and --verifier {} do not fit: {}", chosen.draft, verifier_name(chosen),
                              decant::sentence(found)));
  }
}

template <class Trace>
machine<Trace> make_machine(const options& chosen, const decoder_parts& parts, Trace trace) {
  return {make_drafter(chosen, parts),
          make_verifier(chosen, parts.target, parts.rows_to_judge),
          make_target_sampler(chosen, parts),
          decant::philox_chance{chosen.seed},
          make_decode_options(chosen, parts.target),
          std::move(trace)};
}

}  // namespace generate_program

#endif
