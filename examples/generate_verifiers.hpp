// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `generate`: verifiers by name, their parameters, and what each asks of drafts and samplers.
#ifndef DECANT_EXAMPLES_GENERATE_VERIFIERS_HPP
#define DECANT_EXAMPLES_GENERATE_VERIFIERS_HPP

#include "generate_judge.hpp"
#include "generate_model.hpp"

#include <decant/verify/any_verifier.hpp>
#include <decant/verify/block_verification.hpp>
#include <decant/verify/canonical_decomposition.hpp>
#include <decant/verify/cascades.hpp>
#include <decant/verify/drafter_invariant.hpp>
#include <decant/verify/greedy.hpp>
#include <decant/verify/judge.hpp>
#include <decant/verify/k_seq.hpp>
#include <decant/verify/lenience.hpp>
#include <decant/verify/margin_acceptance.hpp>
#include <decant/verify/match.hpp>
#include <decant/verify/membership.hpp>
#include <decant/verify/mentored.hpp>
#include <decant/verify/random_order.hpp>
#include <decant/verify/recursive_rejection.hpp>
#include <decant/verify/reflective.hpp>
#include <decant/verify/speculative_sampling.hpp>
#include <decant/verify/top_k_acceptance.hpp>
#include <decant/verify/traversal.hpp>
#include <decant/verify/typical_acceptance.hpp>

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace generate_program {

// --- What a verifier asks for ---

/// How the tokens of a draft should come about.
enum class drafting : std::uint8_t {
  chosen,              ///< the most probable ones
  without_repetition,  ///< drawn, siblings without replacement
  independently,       ///< drawn, each sibling from the whole law
  top_and_drawn,       ///< the most probable ones and a drawn one
  coupled              ///< the first of the race that the verifier holds later
};

/// What a verifier is to see of the model's law at temperature 0.
enum class law_at_zero : std::uint8_t {
  one_token,  ///< the most probable token alone: it draws from the law
  either,     ///< it looks for the most probable token itself
  whole       ///< all of it: it judges tokens by their probabilities
};

/// What is known of a verifier beside what its type says.
struct verifier_facts {
  std::string_view name;
  drafting drafts = drafting::chosen;   ///< at temperatures above 0
  drafting at_zero = drafting::chosen;  ///< at temperature 0
  law_at_zero law = law_at_zero::one_token;
  bool compares_laws = false;  ///< weighs the draft's law, so that it needs one, and a temperature above 0
};

inline constexpr std::array all_verifiers{
    verifier_facts{"greedy", drafting::chosen, drafting::chosen, law_at_zero::either},
    verifier_facts{"match"},
    verifier_facts{"speculative-sampling", drafting::without_repetition, drafting::without_repetition},
    verifier_facts{"block", drafting::without_repetition, drafting::without_repetition},
    verifier_facts{"rejection", drafting::without_repetition, drafting::without_repetition},
    verifier_facts{"traversal", drafting::without_repetition, drafting::without_repetition},
    verifier_facts{"k-seq", drafting::independently, drafting::independently},
    verifier_facts{"random-order", drafting::independently, drafting::independently},
    verifier_facts{"canonical", drafting::independently, drafting::independently},
    verifier_facts{"membership", drafting::top_and_drawn, drafting::top_and_drawn},
    verifier_facts{"drafter-invariant", drafting::coupled},
    verifier_facts{"lenience", drafting::without_repetition, drafting::without_repetition, law_at_zero::one_token,
                   true},
    verifier_facts{"mentored", drafting::without_repetition, drafting::without_repetition, law_at_zero::one_token,
                   true},
    verifier_facts{"cascade", drafting::without_repetition, drafting::without_repetition, law_at_zero::one_token, true},
    verifier_facts{"typical", drafting::chosen, drafting::chosen, law_at_zero::whole},
    verifier_facts{"top-k", drafting::chosen, drafting::chosen, law_at_zero::whole},
    verifier_facts{"margin", drafting::chosen, drafting::chosen, law_at_zero::whole},
    verifier_facts{"judge", drafting::without_repetition, drafting::chosen, law_at_zero::whole},
    verifier_facts{"reflective", drafting::without_repetition, drafting::chosen, law_at_zero::whole},
};

inline std::string verifier_name(const options& chosen) {
  if (chosen.verifier != "auto") return chosen.verifier;
  return chosen.temperature > 0 ? "match" : "greedy";
}

inline const verifier_facts& facts_of(const options& chosen) {
  const std::string name = verifier_name(chosen);
  return *std::find_if(all_verifiers.begin(), all_verifiers.end(),
                       [&name](const verifier_facts& facts) { return facts.name == name; });
}

/// Whether the text for a seed is the same whatever drafts, though it is not that of plain sampling.
inline bool is_drafter_invariant(const options& chosen) { return verifier_name(chosen) == "drafter-invariant"; }

inline drafting drafting_for(const options& chosen) {
  const verifier_facts& facts = facts_of(chosen);
  return chosen.temperature > 0 ? facts.drafts : facts.at_zero;
}

/// Refuses a verifier whose setting leaves it nothing to do, and options that belong to another one.
inline void check_verifier(const options& chosen) {
  const std::string name = verifier_name(chosen);
  const bool samples = chosen.temperature > 0;
  if (name == "greedy" && samples) {
    throw refusal("--verifier greedy takes the most probable token every time: it needs --temperature 0");
  }
  if (facts_of(chosen).compares_laws && !samples) {
    throw refusal(fmt::format(
        "--verifier {} weighs probabilities, of which --temperature 0 leaves one: it needs a --temperature above 0",
        name));
  }
  if (facts_of(chosen).compares_laws && chosen.draft_model().empty()) {
    throw refusal(fmt::format(
        "--verifier {} weighs the probabilities of a draft model against the model's: it needs --draft model:FILE",
        name));
  }
  const std::pair<std::string_view, std::string_view> owners[] = {
      {"--lenience", "lenience"},        {"--kl-budget", "mentored"}, {"--cascade-rule", "cascade"},
      {"--cascade-alpha", "cascade"},    {"--accept-top-k", "top-k"}, {"--margin", "margin"},
      {"--judge-head", "judge"},         {"--judge-bias", "judge"},   {"--reflect-alpha", "reflective"},
      {"--reflect-prompt", "reflective"}};
  const bool given[] = {chosen.lenience.has_value(),      chosen.kl_budget.has_value(),
                        chosen.cascade_rule.has_value(),  chosen.cascade_alpha.has_value(),
                        chosen.accept_top_k.has_value(),  chosen.margin.has_value(),
                        chosen.judge_head.has_value(),    chosen.judge_bias.has_value(),
                        chosen.reflect_alpha.has_value(), chosen.reflect_prompt.has_value()};
  for (std::size_t i = 0; i < std::size(owners); ++i) {
    if (!given[i] || owners[i].second == name) continue;
    throw refusal(fmt::format("{} is a setting of --verifier {}, not of {}", owners[i].first, owners[i].second, name));
  }
}

// --- Making one ---

using judged_rows = decant::hidden_level<decant::reference_model>;

/// The rows a judge looks at: what the last layer leaves at each token.
inline judged_rows rows_for_judge(const loaded_model& model) { return {&model.network, model.network.layer_count()}; }

/// Asks the model to keep them.
inline void keep_rows_for_judge(loaded_model& model) {
  const std::size_t levels[] = {model.network.layer_count()};
  model.network.capture_hidden(levels).value_or_throw();
}

/// A relaxed verifier that ends a text no more freely than exact decoding does.
template <class V>
decant::any_verifier<> relaxed(V verifier, const loaded_model& model) {
  const decant::token_span ends = model.words.words().end_of_generation();
  verifier.ends.ids.assign(ends.begin(), ends.end());
  verifier.check().value_or_throw();
  return verifier;
}

/// A predicate on the target's law: what follows a refusal is the most probable token at temperature 0, else a draw.
template <class Test>
decant::any_verifier<> relaxed_by(const options& chosen, Test test, const loaded_model& model) {
  decant::predicate_verifier<Test> verifier{std::move(test)};
  if (chosen.temperature > 0) verifier.correction = decant::correction_rule::draw;
  return relaxed(std::move(verifier), model);
}

inline decant::cascade make_cascade(const options& chosen) {
  constexpr std::array<std::string_view, 7> names{"chow",     "chow-log", "difference", "optimal",
                                                  "token-v1", "token-v2", "token-v3"};
  decant::cascade rule;
  if (chosen.cascade_rule) {
    const auto found = std::find(names.begin(), names.end(), *chosen.cascade_rule);
    rule.rule = static_cast<decant::cascade_rule>(found - names.begin());
  }
  rule.alpha = chosen.cascade_alpha.value_or(rule.alpha);
  return rule;
}

/// The head of the file, or one that says the same of every token: weights of 0 and a bias.
inline judge_settings judge_for(const options& chosen, const loaded_model& model) {
  const std::size_t size = model.network.hidden_size();
  if (!chosen.judge_head) return {{std::vector<float>(size, 0.0f), chosen.judge_bias.value_or(0)}, 0.5};
  judge_settings read = read_judge(*chosen.judge_head);
  if (read.head.weights.size() == size) return read;
  throw refusal(fmt::format("the judge in {} has {} weights, but rows of this model have {} numbers",
                            *chosen.judge_head, read.head.weights.size(), size));
}

inline decant::any_verifier<> make_judge(const options& chosen, const loaded_model& model, const judged_rows& rows) {
  using decant::standard_test;
  judge_settings settings = judge_for(chosen, model);
  const decant::judge_test<judged_rows> test{std::move(settings.head), settings.threshold, {&rows}};
  if (chosen.temperature > 0) return relaxed(decant::judge<standard_test::rejection, judged_rows>{test}, model);
  return relaxed(decant::judge<standard_test::greedy, judged_rows>{test}, model);
}

inline bool reflects(const options& chosen) { return verifier_name(chosen) == "reflective"; }

inline decant::any_verifier<> make_reflective(const options& chosen, const loaded_model& model) {
  decant::reflection rule;
  rule.alpha = chosen.reflect_alpha.value_or(rule.alpha);
  if (chosen.temperature > 0) return relaxed(decant::reflective_verification<>{rule}, model);
  return relaxed(decant::reflective_verification<decant::greedy>{rule}, model);
}

inline decant::any_verifier<> make_relaxed_verifier(const options& chosen, const loaded_model& model,
                                                    const judged_rows& rows) {
  const std::string name = verifier_name(chosen);
  if (name == "lenience") {
    decant::lenience rule;
    rule.factor = chosen.lenience.value_or(rule.factor);
    return relaxed(decant::lenient_verification<>{rule}, model);
  }
  if (name == "mentored") {
    decant::mentored rule;
    rule.budget = chosen.kl_budget.value_or(rule.budget);
    return relaxed(decant::mentored_decoding<>{rule}, model);
  }
  if (name == "cascade") return relaxed(decant::speculative_cascade<>{make_cascade(chosen)}, model);
  if (name == "top-k") {
    decant::top_k_test test;
    test.k = chosen.accept_top_k.value_or(test.k);
    return relaxed_by(chosen, test, model);
  }
  if (name == "margin") {
    decant::margin_test test;
    test.margin = chosen.margin.value_or(test.margin);
    return relaxed_by(chosen, test, model);
  }
  if (name == "judge") return make_judge(chosen, model, rows);
  if (name == "reflective") return make_reflective(chosen, model);
  decant::typical_acceptance typical;
  typical.greedy_last = !(chosen.temperature > 0);
  return typical;
}

/// A judge keeps a pointer to `rows`.
inline decant::any_verifier<> make_verifier(const options& chosen, const loaded_model& model, const judged_rows& rows) {
  const std::string name = verifier_name(chosen);
  if (name == "greedy") return decant::greedy{};
  if (name == "match") return decant::match{};
  if (name == "speculative-sampling") return decant::speculative_sampling{};
  if (name == "block") return decant::block_verification{};
  if (name == "rejection") return decant::recursive_rejection{};
  if (name == "traversal") return decant::traversal{};
  if (name == "k-seq") return decant::k_seq{};
  if (name == "random-order") return decant::random_order{};
  if (name == "canonical") return decant::canonical_decomposition{};
  if (name == "membership") return decant::membership{};
  if (name == "drafter-invariant") return decant::drafter_invariant{};
  return make_relaxed_verifier(chosen, model, rows);
}

}  // namespace generate_program

#endif
