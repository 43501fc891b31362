// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Judge and reflective verification on a real model: hidden rows of drafted nodes, probes with a general mask.
#include <decant/decode/generate.hpp>
#include <decant/draft/model_drafter.hpp>
#include <decant/draft/reflecting_drafter.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/judge.hpp>
#include <decant/verify/reflective.hpp>

#include <vector>

#include "reference/tiny_pair.hpp"
#include "support/test_kit.hpp"

namespace {

using namespace decant;
using decant_test::load_model;
using decant_test::load_words;
using decant_test::tiny_draft_file;
using decant_test::tiny_prompts;
using decant_test::tiny_target_file;

using token_list = std::vector<token>;
using hidden_rows = hidden_level<reference_model>;
using sampling_judge = judge<standard_test::rejection, hidden_rows>;

static_assert(HiddenRows<hidden_rows>);

/// What was decoded, and the loss of all steps.
struct decoded : generate_hooks {
  struct entry {
    token_list accepted;
    std::vector<bool> relaxed;
    token refused = no_token;  ///< the drafted token after them, if there was one
  };
  const token_tree* tree = nullptr;
  std::vector<entry> steps{};
  token_list text{};

  void on_step(const decode_step& step) {
    entry seen;
    for (const node_id n : step.kept.subspan(1)) {
      seen.accepted.push_back(tree->token_of(n));
      seen.relaxed.push_back(std::find(step.relaxed.begin(), step.relaxed.end(), n) != step.relaxed.end());
    }
    const node_id next = tree->first_child(step.kept.back());
    if (next != no_node && step.finish == finish_reason::none) seen.refused = tree->token_of(next);
    steps.push_back(std::move(seen));
  }
};

template <class Drafter, class Verifier>
decoded decode(reference_model& target, const token_list& prompt, Drafter drafter, Verifier verifier,
               std::uint64_t seed, std::int32_t nodes, std::size_t tokens = 24) {
  decode_options options;
  options.vocab_size = target.vocab_size();
  options.context_size = target.context_size();
  options.max_tokens = tokens;
  options.limits = {nodes, 16};
  speculation machine(std::move(drafter), std::move(verifier), sampler_chain<>{}, philox_chance{seed}, options);
  decoded result;
  result.tree = &machine.draft_tree();
  (void)generate(target, machine, prompt, result).value_or_throw();
  result.text.assign(machine.context().begin(), machine.context().end());
  return result;
}

/// A head with stated toy weights: alternating signs.
linear_head toy_head(std::size_t size) {
  linear_head head;
  for (std::size_t i = 0; i < size; ++i) head.weights.push_back(i % 2 == 0 ? .5f : -.25f);
  return head;
}

/// The head's score of a text's last token, from plain evaluation of that text.
double score_after(reference_model& plain, const token_list& text, const linear_head& head) {
  REQUIRE(plain.truncate(0).has_value());
  REQUIRE(plain.prefill(token_span(text).first(text.size() - 1)).has_value());
  const token_tree root(text.back());
  REQUIRE(plain.evaluate(root, root.all()).has_value());
  const auto row = plain.hidden(plain.layer_count(), 0);
  REQUIRE(row.size() == head.weights.size());
  double sum = head.bias;
  for (std::size_t i = 0; i < row.size(); ++i)
    sum += static_cast<double>(head.weights[i]) * static_cast<double>(row[i]);
  return sum;
}

}  // namespace

TEST_CASE("a judge on a real model looks at the last layer's row of the drafted token") {
  reference_model target = load_model(tiny_target_file);
  reference_model draft = load_model(tiny_draft_file);
  reference_model plain = load_model(tiny_target_file);
  const tokenizer words = load_words(tiny_target_file);
  const std::size_t last_layer[] = {target.layer_count()};
  REQUIRE(target.capture_hidden(last_layer).has_value());
  REQUIRE(plain.capture_hidden(last_layer).has_value());
  const hidden_rows rows{&target, target.layer_count()};
  const linear_head head = toy_head(target.hidden_size());
  std::size_t relaxed = 0;
  std::size_t refused = 0;
  for (std::size_t i = 0; i < 16; ++i) {
    const token_list prompt = words.encode(tiny_prompts[i]).value_or_throw();
    const sampling_judge verifier{{head, .5, {&rows}}};
    const decoded seen = decode(target, prompt, make_model_drafter(draft, chain<independent>{4}), verifier, i, 16);
    token_list text = prompt;
    for (const auto& step : seen.steps) {
      for (std::size_t k = 0; k < step.accepted.size(); ++k) {
        text.push_back(step.accepted[k]);
        if (!step.relaxed[k]) continue;
        CHECK(score_after(plain, text, head) > 0);
        ++relaxed;
      }
      if (step.refused != no_token) {
        token_list tried = text;
        tried.push_back(step.refused);
        CHECK_FALSE(score_after(plain, tried, head) > 0);
        ++refused;
      }
      text.assign(seen.text.begin(), seen.text.begin() + static_cast<std::ptrdiff_t>(text.size() + 1));
    }
    CHECK(text == seen.text);
  }
  CHECK(relaxed > 10);
  CHECK(refused > 10);
}

TEST_CASE("the limits of a judge hold on a real model") {
  reference_model target = load_model(tiny_target_file);
  reference_model draft = load_model(tiny_draft_file);
  const tokenizer words = load_words(tiny_target_file);
  const std::size_t last_layer[] = {target.layer_count()};
  REQUIRE(target.capture_hidden(last_layer).has_value());
  const hidden_rows rows{&target, target.layer_count()};
  const linear_head head = toy_head(target.hidden_size());
  for (std::size_t i = 0; i < 4; ++i) {
    const token_list prompt = words.encode(tiny_prompts[i]).value_or_throw();
    const auto text_by = [&](auto verifier) {
      return decode(target, prompt, make_model_drafter(draft, static_widths<without_replacement>{{2, 2}}), verifier, i,
                    16)
          .text;
    };
    CHECK(text_by(sampling_judge{{head, 1, {&rows}}}) == text_by(recursive_rejection{}));
    const auto loose = decode(target, prompt, make_model_drafter(draft, chain<independent>{5}),
                              sampling_judge{{head, 0, {&rows}}}, i, 16);
    CHECK(loose.steps.size() == 4);  // 24 tokens, six in each
  }
}

TEST_CASE("a judge says that the model was not asked to keep the rows") {
  reference_model target = load_model(tiny_target_file);
  reference_model draft = load_model(tiny_draft_file);
  const tokenizer words = load_words(tiny_target_file);
  const hidden_rows rows{&target, target.layer_count()};
  decode_options options;
  options.vocab_size = target.vocab_size();
  options.context_size = target.context_size();
  options.max_tokens = 200;
  speculation machine(make_model_drafter(draft, chain<independent>{4}),
                      sampling_judge{{toy_head(target.hidden_size()), .5, {&rows}}}, sampler_chain<>{},
                      philox_chance{1}, options);
  const auto finished = generate(target, machine, words.encode(tiny_prompts[0]).value_or_throw());
  REQUIRE_FALSE(finished.has_value());
  CHECK(finished.error().code == error_code::row_unavailable);
}

TEST_CASE("reflective verification runs on a real model and leaves nothing of its probes behind") {
  reference_model target = load_model(tiny_target_file);
  reference_model draft = load_model(tiny_draft_file);
  const tokenizer words = load_words(tiny_target_file);
  const token_list ask = words.encode(" I mean").value_or_throw();
  std::size_t changed = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const token_list prompt = words.encode(tiny_prompts[i]).value_or_throw();
    const auto trees = [&] { return make_model_drafter(draft, static_widths<without_replacement>{{2, 1, 1}}); };
    const std::int32_t six_nodes_and_probes = 6 + static_cast<std::int32_t>(ask.size()) + 4 + 5;
    const auto reflected = [&](reflection rule, reflection_view view = reflection_view::own_path) {
      return decode(target, prompt, reflecting_drafter(trees(), {ask, 4, view}), reflective_verification<>{rule}, i,
                    six_nodes_and_probes)
          .text;
    };
    const token_list plain = decode(target, prompt, trees(), recursive_rejection{}, i, 6).text;
    CHECK(reflected({0}) == plain);
    const token_list fused = reflected({.5, reflection_fusion::logit});
    CHECK(fused.size() == plain.size());
    changed += fused != plain;
    changed += reflected({.5, reflection_fusion::probability}) != plain;
    // The paper's form: a chain whose copies see all of it.
    const auto whole = decode(
        target, prompt,
        reflecting_drafter(make_model_drafter(draft, chain<independent>{4}), {ask, 4, reflection_view::whole_draft}),
        reflective_verification<>{{.3}}, i, 32);
    CHECK(whole.text.size() == plain.size());
  }
  CHECK(changed >= 4);
}
