// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Failures at every place: model calls that return an error or throw, rows that are unusable, allocations that fail.
// After each, what was emitted stands, nothing half-accepted remains, and going on gives the undisturbed text.
#include "tests/support/decoding.hpp"

#include <decant/proof/faulty_models.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/prune.hpp>
#include <decant/tree/static_widths.hpp>

#include "tests/support/allocation_counter.hpp"

namespace {

using namespace decant_test;
using decant::error_code;
namespace proof = decant::proof;

const token_list prompt{1, 2, 3, 1, 2};
const token_list second_prompt{2, 1, 2};
const token_list appended{4, 1};

/// The undisturbed texts: of a sequence, and of its next turn.
struct expectation {
  token_list first;
  token_list second;
};

expectation undisturbed(boxed_model model, erased_machine& machine, token_span text) {
  expectation out;
  out.first = run(model, machine, text);
  REQUIRE(machine.append(appended).has_value());
  collector hooks;
  REQUIRE(decant::resume(model, machine, hooks).has_value());
  out.second = hooks.streamed;
  return out;
}

/// What a step of a run may end with besides an answer.
enum class attempt : std::uint8_t { done, failed, thrown };

/// Drives a sequence to its end through whatever fails, checking after every failure.
class survivor {
 public:
  survivor(boxed_model& model, erased_machine& machine, const token_list& text, const expectation& expected,
           std::size_t failing_allocation = proof::never)
      : model_(model), machine_(machine), text_(text), expected_(expected), failing_allocation_(failing_allocation) {
    hooks_.streamed.reserve(256);
  }

  /// Runs both turns; returns how often something failed.
  std::size_t run() {
    const token_list all = concatenated(text_, expected_.first);
    while (attempt_once(!begun()) != attempt::done) check_after_failure(all);
    CHECK(hooks_.streamed == expected_.first);
    CHECK(model_.length() == machine_.context().size() - 1);
    hooks_.streamed.clear();
    const token_list before_next = to_token_list(machine_.context());
    const token_list next = concatenated(concatenated(all, appended), expected_.second);
    while (attempt_to_append() != attempt::done) {
      ++failures_;
      CHECK(to_token_list(machine_.context()) == before_next);
      CHECK(machine_.finished());
    }
    while (attempt_once(false) != attempt::done) check_after_failure(next);
    CHECK(hooks_.streamed == expected_.second);
    CHECK(model_.length() == machine_.context().size() - 1);
    return failures_;
  }

  /// The first error seen.
  [[nodiscard]] error_code code() const { return code_; }

 private:
  static token_list concatenated(token_list a, const token_list& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }

  /// Whether the machine holds this sequence, or still what it held before.
  [[nodiscard]] bool begun() const {
    const token_span context = machine_.context();
    return context.size() >= text_.size() && std::equal(text_.begin(), text_.end(), context.begin()) && started_;
  }

  attempt attempt_once(bool anew) {
    started_ = true;
    return guarded([&]() -> decant::result<void> {
      const auto ended =
          anew ? decant::generate(model_, machine_, text_, hooks_) : decant::resume(model_, machine_, hooks_);
      if (!ended) return ended.error();
      return {};
    });
  }

  /// Here the drafter is told how the last step ended, and its model may fail.
  attempt attempt_to_append() {
    return guarded([&] { return machine_.append(appended); });
  }

  /// Makes a call, of whose allocations the chosen one fails.
  template <class Call>
  attempt guarded(Call&& call) {
    const std::size_t before = allocations();
    attempt ended = attempt::thrown;
    try {
      const failing_allocation failing(failing_allocation_ - std::min(failing_allocation_, allocated_));
      if (const decant::result<void> done = call(); done) {
        ended = attempt::done;
      } else {
        ended = attempt::failed;
        if (code_ == error_code::none) code_ = done.code();
      }
    } catch (const proof::injected_failure&) {
    } catch (const std::bad_alloc&) {
      failing_allocation_ = proof::never;
    }
    allocated_ += allocations() - before;
    return ended;
  }

  void check_after_failure(const token_list& whole) {
    ++failures_;
    CAPTURE(static_cast<int>(code_), machine_.context().size(), begun());
    REQUIRE(failures_ < 5);
    if (!begun()) return;
    const token_span context = machine_.context();
    CHECK(std::equal(context.begin(), context.end(), whole.begin()));
    CHECK(std::equal(hooks_.streamed.rbegin(), hooks_.streamed.rend(), context.rbegin()));
    CHECK(machine_.emitted_count() == hooks_.streamed.size());
    CHECK(model_.length() < context.size());
    CHECK(machine_.finished() == (context.size() == whole.size()));
  }

  boxed_model& model_;
  erased_machine& machine_;
  const token_list& text_;
  const expectation& expected_;
  collector hooks_;
  std::size_t failures_ = 0;
  error_code code_ = error_code::none;
  bool started_ = false;
  std::size_t failing_allocation_;  // counted over all calls
  std::size_t allocated_ = 0;
};

/// A way to decode that can fail in its own way.
struct pairing {
  const char* name;
  bool has_draft_model;
  decant::any_verifier<> verifier;
  std::function<decant::any_drafter<>(boxed_model&)> make_drafter;

  [[nodiscard]] erased_machine make(const scene& here, boxed_model& draft_model) const {
    return make_machine(make_drafter(draft_model), verifier, penalised(), options_for(here, 9), {4, 2});
  }
};

std::vector<pairing> pairings() {
  using namespace decant;
  const auto with_model = [](auto builder) {
    return [builder](boxed_model& model) { return make_model_drafter(model, builder, penalised()); };
  };
  return {
      {"plain", false, match{}, [](boxed_model&) { return no_drafter{}; }},
      {"lookup", false, match{}, [](boxed_model&) { return prompt_lookup<2>({.min_match = 1, .index_bits = 6}); }},
      {"chain", true, speculative_sampling{}, with_model(chain<independent>{4})},
      {"tree", true, recursive_rejection{}, with_model(static_widths<without_replacement>{{2, 2, 1}})},
      {"re-ranked tree", true, match{}, with_model(reranked<static_widths<ranked>>{{{3, 2, 1}}, 5, 20})},
      {"tree of an erased builder", true, match{}, with_model(any_builder<>(static_widths<independent>{{2, 2, 1}}))}};
}

/// Puts the fault at place 0, 1, 2, ... of the target or the draft model, until it is never reached.
template <class MakeFaulty>
void walk(MakeFaulty&& make_faulty, error_code expected_code) {
  const std::vector<scene> all = scenes();
  const scene& here = all[2];
  for (const pairing& way : pairings()) {
    boxed_model sound_draft = here.draft;
    auto calm = way.make(here, sound_draft);
    const expectation expected = undisturbed(here.target, calm, prompt);
    for (const bool in_draft_model : {false, true}) {
      std::size_t places = 0;
      std::size_t reported = 0;
      for (;; ++places) {
        INFO(way.name << ", place " << places << (in_draft_model ? " of the draft model" : " of the target"));
        REQUIRE(places < 500);
        boxed_model inner = in_draft_model ? here.draft : here.target;
        auto faulty = make_faulty(inner, places);
        const boxed_model boxed_faulty(decant::model_wrapper<decltype(faulty)&>{faulty});
        boxed_model target = in_draft_model ? here.target : boxed_faulty;
        boxed_model draft = in_draft_model ? boxed_faulty : here.draft;
        auto machine = way.make(here, draft);
        survivor through(target, machine, prompt, expected);
        const std::size_t failures = through.run();
        CHECK(failures <= 1);
        if (failures > 0) CHECK(through.code() == expected_code);
        reported += failures;
        if (!faulty.fired()) break;
      }
      if (!in_draft_model) CHECK(reported == places);
      if (!in_draft_model || way.has_draft_model) CHECK(reported > 8);
      if (in_draft_model && !way.has_draft_model) CHECK(places == 0);
    }
  }
}

}  // namespace

TEST_CASE("a model that returns an error at any call loses nothing") {
  walk([](boxed_model& inner, std::size_t n) { return proof::failing_model<boxed_model&>(inner, n); },
       error_code::model_failed);
}

TEST_CASE("a model that throws at any call loses nothing") {
  walk([](boxed_model& inner, std::size_t n) { return proof::throwing_model<boxed_model&>(inner, n); },
       error_code::none);
}

TEST_CASE("an unusable row at any place loses nothing") {
  for (const proof::row_fault fault : proof::logits_faults) {
    INFO("fault " << static_cast<int>(fault));
    walk([&](boxed_model& inner, std::size_t n) { return proof::corrupt_rows_model<boxed_model&>(inner, n, fault); },
         proof::expected_error(fault));
  }
}

TEST_CASE("an allocation that fails anywhere loses nothing") {
  const std::vector<scene> all = scenes();
  const scene& here = all[2];
  for (const pairing& way : pairings()) {
    boxed_model calm_draft = here.draft;
    auto calm = way.make(here, calm_draft);
    const expectation expected = undisturbed(here.target, calm, prompt);
    for (const bool warm : {false, true}) {
      std::size_t which = 0;
      for (bool happened = true; happened; ++which) {
        INFO(way.name << (warm ? ", warm" : ", cold") << ", allocation " << which);
        REQUIRE(which < 3000);
        boxed_model target = here.target;
        boxed_model draft = here.draft;
        auto machine = way.make(here, draft);
        if (warm) (void)run(target, machine, second_prompt);
        survivor through(target, machine, prompt, expected, which);
        const std::size_t failures = through.run();
        happened = failures > 0;
        CHECK(failures <= 1);
      }
      CHECK(which > 3);
    }
  }
}

TEST_CASE("a hook that throws loses nothing but its own step") {
  std::vector<scene> all = scenes();
  scene& here = all[2];
  struct thrower : collector {
    std::size_t throw_at;
    void on_step(const decant::decode_step& step) {
      collector::on_step(step);
      if (steps == throw_at) throw proof::injected_failure();
    }
  };
  const auto options = options_for(here);
  const token_list expected = plain_decoding(prompt, options, {}, sampled_choice(here.target, penalised(), {})).emitted;
  for (std::size_t at = 1; at < 40; ++at) {
    auto machine =
        make_machine(decant::prompt_lookup<>{{.min_match = 1, .index_bits = 6}}, decant::match{}, penalised(), options);
    thrower hooks;
    hooks.throw_at = at;
    bool thrown = false;
    try {
      (void)decant::generate(here.target, machine, prompt, hooks);
    } catch (const proof::injected_failure&) {
      thrown = true;
    }
    CHECK(thrown == (hooks.steps == at));
    CHECK(decant_test::to_token_list(machine.context().subspan(prompt.size())) == hooks.streamed);
    REQUIRE(decant::resume(here.target, machine, hooks).has_value());
    CHECK(hooks.streamed == expected);
    CHECK(here.target.length() == machine.context().size() - 1);
    if (!thrown) break;
  }
}

TEST_CASE("a target whose context is smaller than promised is an error that leaves the text standing") {
  auto model = decant::make_law_model<decant::row_content::logits>(decant::hashed_law<float>{5, 16, 3, 2, 0}, 12);
  decant::decode_options options;
  options.vocab_size = 16;
  options.context_size = 100;
  auto machine =
      make_machine(decant::prompt_lookup<>{{.min_match = 1, .index_bits = 6}}, decant::greedy{}, at_zero(), options);
  collector hooks;
  CHECK(decant::generate(model, machine, prompt, hooks).code() == error_code::context_full);
  CHECK(decant_test::to_token_list(machine.context().subspan(prompt.size())) == hooks.streamed);
  CHECK(model.length() == machine.context().size() - 1);
  CHECK(model.length() >= 4);
  CHECK(decant::resume(model, machine, hooks).code() == error_code::context_full);
}

TEST_CASE("a draft model whose context ends earlier stops drafting and nothing else") {
  for (const shipped_builder& shape : shipped_builders()) {
    for (const int draft_context : {1, 2, 4, 7, 8, 9, 12, 20}) {
      INFO(shape.name << ", draft context of " << draft_context);
      const decant::hashed_law<float> law{5, 24, 3, 2, 0};
      boxed_model target = decant::make_law_model<decant::row_content::logits>(law, 64);
      auto draft_model = decant::make_law_model<decant::row_content::logits>(law, decant::index(draft_context));
      decant::decode_options options;
      options.vocab_size = 24;
      options.context_size = 40;
      options.limits = {9, 5};
      auto machine =
          make_machine(decant::make_model_drafter(draft_model, shape.builder), decant::match{}, at_zero(), options);
      const token_list found = run(target, machine, token_list{1, 2, 3, 4});
      CHECK(found == plain_decoding({1, 2, 3, 4}, options, {}, greedy_choice(target)).emitted);
      CHECK(draft_model.length() <= decant::index(draft_context));
      REQUIRE(machine.rewind(6).has_value());
      REQUIRE(decant::resume(target, machine).has_value());
      CHECK(decant_test::to_token_list(machine.context().subspan(4)) == found);
    }
  }
}
