// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What tests of decoding share: toy targets with drafters of middling quality, plain decoding loops written without the
// library's loop and verifiers, and every shipped drafter and exact verifier, type-erased, so that tests over all of
// them are compiled once (typed_pairings_test.cpp shows that the typed forms do the same).
#ifndef DECANT_TESTS_SUPPORT_DECODING_HPP
#define DECANT_TESTS_SUPPORT_DECODING_HPP

#include <decant/decode/generate.hpp>
#include <decant/decode/text_output.hpp>
#include <decant/draft/any_drafter.hpp>
#include <decant/draft/model_drafter.hpp>
#include <decant/draft/no_drafter.hpp>
#include <decant/draft/prompt_lookup.hpp>
#include <decant/model/law_model.hpp>
#include <decant/model/laws.hpp>
#include <decant/sample/any_sampler.hpp>
#include <decant/sample/penalties.hpp>
#include <decant/sample/temperature.hpp>
#include <decant/sample/top_k.hpp>
#include <decant/tree/any_builder.hpp>
#include <decant/verify/any_verifier.hpp>
#include <decant/verify/greedy.hpp>
#include <decant/verify/match.hpp>
#include <decant/verify/recursive_rejection.hpp>
#include <decant/verify/speculative_sampling.hpp>

#include "tests/support/boxed_model.hpp"
#include "tests/support/random.hpp"
#include "tests/support/test_kit.hpp"

#include <functional>
#include <string>
#include <vector>

namespace decant_test {

using decant::finish_reason;
using decant::token;
using decant::token_span;

using token_list = std::vector<token>;

[[nodiscard]] inline token_list to_token_list(token_span span) { return {span.begin(), span.end()}; }
[[nodiscard]] inline std::string to_string(std::span<const char> span) { return {span.begin(), span.end()}; }
[[nodiscard]] inline std::span<const char> bytes_of(const std::string& text) { return {text.data(), text.size()}; }

// --- Samplers ---

/// A chain with memory: what is penalised depends on the whole path.
using chain_sampler = decant::sampler_chain<decant::penalties, decant::top_k, decant::temperature>;
[[nodiscard]] chain_sampler penalised();
/// Greedy, as a chain of the same type.
[[nodiscard]] chain_sampler at_zero();

// --- Targets and draft models ---

/// A target and a draft model that agrees with it now and then.
struct scene {
  std::string name;
  boxed_model target;
  boxed_model draft;

  [[nodiscard]] std::size_t vocab_size() const { return target.vocab_size(); }
};

inline constexpr std::size_t scene_context = 256;

/// Table, n-gram, hashed and integer network.
[[nodiscard]] std::vector<scene> scenes();

[[nodiscard]] token_list random_prompt(random_source& random, std::size_t vocab_size, std::size_t longest = 10);

// --- Plain decoding, token by token ---

/// The row after a text, from a model that starts from nothing each time.
[[nodiscard]] std::vector<float> row_after(const boxed_model& model, token_span text);

/// Chooses the next token after a text.
using chooser = std::function<token(token_span)>;

/// Most probable token, the lowest id among equals.
[[nodiscard]] chooser greedy_choice(const boxed_model& model);

/// A sample with the draw of its position; the sampler's state is made afresh from the whole text.
[[nodiscard]] chooser sampled_choice(const boxed_model& model, const chain_sampler& sampler,
                                     decant::philox_chance chance);

/// What a decoder gave: the tokens, the text without the stop string, why it ended.
struct outcome {
  token_list emitted;
  std::string text;
  finish_reason finish = finish_reason::none;

  friend bool operator==(const outcome&, const outcome&) = default;
};

/// A detokeniser whose tokens begin, end and cross characters and stop strings; id modulo its size.
struct toy_vocabulary {
  std::vector<std::string> words{"a",   "b",        "ab",       "ba", "\xE2\x82", "\xAC", "",
                                 "aab", "\xF0\x9F", "\x98\x80", "c",  "bc",       " "};

  [[nodiscard]] std::span<const char> token_bytes(token t) const {
    return bytes_of(words[decant::index(t) % words.size()]);
  }
};

/// Stop strings, token after token and byte after byte, in the most obvious way.
struct naive_stops {
  std::vector<std::string> strings;
  std::string text;

  /// Whether a stop string is complete; then it is cut off.
  [[nodiscard]] bool feed(std::span<const char> bytes);
};

/// Plain decoding under the same stop rules.
[[nodiscard]] outcome plain_decoding(token_list text, const decant::decode_options& options,
                                     const std::vector<std::string>& stops, const chooser& choose);

// --- Decoding with the library ---

[[nodiscard]] decant::decode_options options_for(const scene& here, std::size_t max_tokens = 24);

/// Collects what a run streams and looks at every step.
struct collector : decant::generate_hooks {
  token_list streamed;
  std::size_t steps = 0;
  bool sound = true;                                      ///< every kept path is one, as long as what was emitted
  std::size_t stop_after = static_cast<std::size_t>(-1);  ///< cancels after so many steps

  void on_step(const decant::decode_step& step);
  [[nodiscard]] bool cancelled() const { return steps >= stop_after; }
};

/// A run from a prompt; checks that model and machine agree at the end.
template <class M, class Machine>
[[nodiscard]] token_list run(M& model, Machine& machine, token_span prompt) {
  collector hooks;
  const auto finished = decant::generate(model, machine, prompt, hooks);
  CHECK(finished.code() == decant::error_code::none);
  CHECK(hooks.sound);
  CHECK(to_token_list(machine.context().subspan(prompt.size())) == hooks.streamed);
  CHECK(model.length() == machine.context().size() - 1);
  return hooks.streamed;
}

/// The machine of most tests; every policy is chosen at run time.
using erased_machine = decant::speculation<decant::any_drafter<>, decant::any_verifier<>, decant::any_sampler<>>;

[[nodiscard]] erased_machine make_machine(decant::any_drafter<> drafter, decant::any_verifier<> verifier,
                                          decant::any_sampler<> sampler, decant::decode_options options,
                                          decant::philox_chance chance = {});

template <class D, class V, class S>
using typed_machine = decant::speculation<D, V, S>;
template <class D, class V, class S>
[[nodiscard]] typed_machine<D, V, S> make_typed_machine(D drafter, V verifier, S sampler,
                                                        decant::decode_options options,
                                                        decant::philox_chance chance = {}) {
  return {std::move(drafter), std::move(verifier), std::move(sampler), chance, std::move(options)};
}

// --- Every shipped builder, drafter and exact verifier ---

struct shipped_builder {
  std::string name;
  decant::any_builder<> builder;
};
[[nodiscard]] std::vector<shipped_builder> shipped_builders();

struct shipped_drafter {
  std::string name;
  decant::tree_class produces;
  bool chains_only;
  std::function<decant::any_drafter<>(boxed_model&)> make;  ///< from a draft model that outlives the drafter
};
[[nodiscard]] const std::vector<shipped_drafter>& shipped_drafters();

struct shipped_verifier {
  std::string name;
  decant::any_verifier<> verifier;

  [[nodiscard]] bool fits(const shipped_drafter& drafter) const;
};
[[nodiscard]] const std::vector<shipped_verifier>& exact_verifiers();

}  // namespace decant_test

// Compiled in decoding.cpp.
extern template class decant::speculation<decant::any_drafter<>, decant::any_verifier<>, decant::any_sampler<>>;

#endif
