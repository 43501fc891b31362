// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Ends of a sequence, inside accepted paths and at their borders: tokens, streamed text and reason are those of plain
// decoding, and afterwards model, drafter and sampler agree.
#include "tests/support/decoding.hpp"

#include <decant/tree/chain.hpp>
#include <decant/tree/static_widths.hpp>

namespace {

using namespace decant_test;

const toy_vocabulary vocabulary;

/// Collects the streamed text too.
struct reader : collector {
  decant::text_output output{decant::token_bytes::from(vocabulary)};
  std::string text;
  std::size_t shown_too_early = 0;  ///< pieces that ended inside a character, the last piece left aside

  void on_step(const decant::decode_step& step) {
    collector::on_step(step);
    text += to_string(output.add(step));
    if (step.finish == finish_reason::none && !text.empty() && (text.back() & '\xC0') == '\xC0') ++shown_too_early;
  }
};

const std::vector<std::string> stop_pool{"ab", "aab", "abab", "\xE2\x82\xAC", "bc", "a b", "\xF0\x9F\x98\x80",
                                         "cc", "ba",  "b"};

struct task {
  decant::decode_options options;
  std::vector<std::string> stops;
  token_list prompt;
};

task random_task(random_source& random, const scene& here) {
  task out{options_for(here), {}, random_prompt(random, here.vocab_size())};
  out.options.bytes = decant::token_bytes::from(vocabulary);
  out.options.max_tokens = random.between(1, 24);
  out.options.context_size = out.prompt.size() + random.between(1, 24);
  out.options.limits = {static_cast<std::int32_t>(random.between(0, 12)),
                        static_cast<std::int32_t>(random.between(0, 8))};
  for (std::size_t i = random.below(3); i > 0; --i) {
    out.options.end_of_sequence.push_back(random.token_below(here.vocab_size()));
  }
  for (std::size_t i = random.below(4); i > 0; --i) {
    out.stops.push_back(stop_pool[random.below(stop_pool.size())]);
    out.options.stops.add(bytes_of(out.stops.back()));
  }
  return out;
}

/// Runs a task; then goes on after more tokens, which must be as a fresh run from the whole text.
finish_reason compare(scene& here, decant::any_drafter<> drafter, const decant::any_verifier<>& verifier,
                      const chain_sampler& sampler, const task& job, decant::philox_chance chance,
                      const chooser& choose) {
  const outcome expected = plain_decoding(job.prompt, job.options, job.stops, choose);
  auto machine = make_machine(std::move(drafter), verifier, sampler, job.options, chance);
  reader hooks;
  const auto ended = decant::generate(here.target, machine, job.prompt, hooks);
  REQUIRE(ended.has_value());
  CHECK(outcome{hooks.streamed, hooks.text, *ended} == expected);
  CHECK(hooks.shown_too_early == 0);
  CHECK(machine.emitted_count() == expected.emitted.size());
  CHECK(here.target.length() == machine.context().size() - 1);
  CHECK(to_token_list(machine.context().subspan(job.prompt.size())) == expected.emitted);

  // The next turn.
  const token_list more{2, 1};
  if (machine.context().size() + more.size() >= job.options.context_size) {
    const std::size_t before = machine.context().size();
    const auto appended = machine.append(more);
    CHECK(appended.has_value() == (before + more.size() == job.options.context_size));
    if (!appended) return *ended;
    CHECK(machine.finish() == finish_reason::context_full);
    CHECK(*decant::resume(here.target, machine) == finish_reason::context_full);
    CHECK(machine.context().size() == job.options.context_size);
    return *ended;
  }
  REQUIRE(machine.append(more).has_value());
  token_list whole = to_token_list(machine.context());
  const outcome expected_more = plain_decoding(whole, job.options, job.stops, choose);
  reader next;
  const auto ended_again = decant::resume(here.target, machine, next);
  REQUIRE(ended_again.has_value());
  CHECK(outcome{next.streamed, next.text, *ended_again} == expected_more);
  CHECK(here.target.length() == machine.context().size() - 1);
  return *ended;
}

}  // namespace

TEST_CASE("sequences end where plain decoding ends, with its text and reason") {
  std::vector<scene> all = scenes();
  random_source random(9);
  std::array<std::size_t, 6> reasons{};
  for (std::size_t i = 0; i < 400; ++i) {
    scene& here = all[i % all.size()];
    const task job = random_task(random, here);
    const decant::philox_chance chance{random.bits(), 0};
    boxed_model perfect = here.target;  // drafts what the target will say: ends lie inside accepted paths
    const auto chain = decant::make_model_drafter(perfect, decant::chain<decant::ranked>{8});
    const auto tree = decant::make_model_drafter(perfect, decant::static_widths<decant::ranked>{{2, 2, 1, 1}});
    const decant::prompt_lookup<> lookup{{.min_match = 1, .index_bits = 6}};
    const auto greedy = greedy_choice(here.target);
    const auto sampled = sampled_choice(here.target, penalised(), chance);
    INFO(here.name << ", task " << i);
    const finish_reason reason = compare(here, chain, decant::greedy{}, at_zero(), job, chance, greedy);
    ++reasons[static_cast<std::size_t>(reason)];
    compare(here, lookup, decant::greedy{}, at_zero(), job, chance, greedy);
    compare(here, tree, decant::match{}, penalised(), job, chance, sampled);
    compare(here, chain, decant::recursive_rejection{}, at_zero(), job, chance, greedy);
  }
  for (const finish_reason reason : {finish_reason::end_of_sequence, finish_reason::stop_string,
                                     finish_reason::token_limit, finish_reason::context_full}) {
    CHECK(reasons[static_cast<std::size_t>(reason)] > 20);
  }
}

TEST_CASE("a stop inside the accepted path drops what follows it everywhere") {
  // A law that always says the next number; the draft model knows it, so paths are as long as the limit.
  decant::table_law<float> counting(10, 1);
  for (token t = 0; t < 10; ++t) {
    const std::span<float> row = counting.row(token_list{t});
    std::fill(row.begin(), row.end(), 0.0f);
    row[decant::index((t + 1) % 10)] = 1.0f;
  }
  auto model = decant::make_law_model<decant::row_content::logits>(counting, 64);
  auto draft_model = model;
  decant::decode_options options;
  options.vocab_size = 10;
  options.context_size = 64;
  options.limits = {8, 8};
  options.end_of_sequence = {5};
  auto machine = make_machine(decant::make_model_drafter(draft_model, decant::chain<decant::ranked>{8}),
                              decant::recursive_rejection{}, at_zero(), options);
  REQUIRE(machine.begin(token_list{0, 1, 2}).has_value());
  REQUIRE(model.prefill(token_list{0, 1}).has_value());
  auto plan = machine.plan();
  REQUIRE(plan.has_value());
  REQUIRE(plan->tree.size() == 9);
  auto rows = model.evaluate(plan->tree, plan->tree.all());
  auto step = machine.absorb(*rows);
  REQUIRE(step.has_value());
  CHECK(to_token_list(step->tokens) == token_list{3, 4, 5});
  CHECK(to_token_list(step->kept) == token_list{0, 1, 2});
  CHECK(step->finish == finish_reason::end_of_sequence);
  CHECK(machine.finish() == finish_reason::end_of_sequence);
  CHECK(machine.statistics().drafted() == decant::draft_counts{8, 4, 3});
  REQUIRE(model.commit(step->kept).has_value());
  CHECK(model.length() == 5);

  // The drafter's model kept no more than the text, and the sequence goes on from it.
  REQUIRE(machine.append(token_list{7}).has_value());
  CHECK(*decant::resume(model, machine) == finish_reason::end_of_sequence);
  CHECK(to_token_list(machine.context()) == token_list{0, 1, 2, 3, 4, 5, 7, 8, 9, 0, 1, 2, 3, 4, 5});
  for (std::size_t i = 0; i < draft_model.length(); ++i) {
    CHECK(draft_model.committed()[i] == decant::cached_token{machine.context()[i], static_cast<std::int64_t>(i)});
  }
}

TEST_CASE("cancelling between any two steps leaves what was emitted, and the sequence can go on") {
  std::vector<scene> all = scenes();
  for (scene& here : all) {
    const token_list prompt{1, 2, 1, 2};
    decant::decode_options options = options_for(here);
    options.bytes = decant::token_bytes::from(vocabulary);
    const std::string stop = "abcc";
    options.stops.add(bytes_of(stop));
    const auto choose = sampled_choice(here.target, penalised(), {});
    const outcome expected = plain_decoding(prompt, options, {stop}, choose);
    for (const shipped_drafter& drafter : shipped_drafters()) {
      for (std::size_t after = 0; after < 30; ++after) {
        INFO(here.name << ": " << drafter.name << ", cancelled after " << after);
        auto machine = make_machine(drafter.make(here.draft), decant::match{}, penalised(), options);
        reader hooks;
        hooks.stop_after = after;
        const auto ended = decant::generate(here.target, machine, prompt, hooks);
        REQUIRE(ended.has_value());
        if (*ended != finish_reason::cancelled) break;
        CHECK(machine.finished());
        CHECK(machine.plan().code() == decant::error_code::wrong_call_order);
        CHECK(to_token_list(machine.context().subspan(prompt.size())) == hooks.streamed);
        std::string all_bytes;
        for (const token t : hooks.streamed) all_bytes += to_string(vocabulary.token_bytes(t));
        std::string whole_text = hooks.text + to_string(hooks.output.rest());
        CHECK(whole_text == all_bytes);

        REQUIRE(machine.rewind(machine.context().size()).has_value());
        hooks.stop_after = static_cast<std::size_t>(-1);
        CHECK(*decant::resume(here.target, machine, hooks) == expected.finish);
        CHECK(hooks.streamed == expected.emitted);
      }
    }
  }
}

TEST_CASE("a sequence that may emit nothing more is finished at once") {
  std::vector<scene> all = scenes();
  scene& here = all[0];
  decant::decode_options options = options_for(here, 5);
  options.context_size = 10;
  auto machine = make_machine(decant::no_drafter{}, decant::greedy{}, at_zero(), options);
  SECTION("a prompt as long as the context") {
    REQUIRE(machine.begin(token_list(10, 1)).has_value());
    CHECK(machine.finished());
    CHECK(machine.finish() == finish_reason::context_full);
    CHECK(*decant::resume(here.target, machine) == finish_reason::context_full);
    CHECK(here.target.length() == 9);
    REQUIRE(machine.rewind(10).has_value());
    CHECK(machine.finish() == finish_reason::context_full);
    REQUIRE(machine.rewind(9).has_value());
    CHECK_FALSE(machine.finished());
    CHECK(*decant::resume(here.target, machine) == finish_reason::context_full);
    CHECK(machine.context().size() == 10);
  }
  SECTION("a rewind to where the token limit was met") {
    CHECK(*decant::generate(here.target, machine, token_list{1, 2}) == finish_reason::token_limit);
    CHECK(machine.emitted_count() == 5);
    REQUIRE(machine.rewind(7).has_value());
    CHECK(machine.finish() == finish_reason::token_limit);
    CHECK(*decant::resume(here.target, machine) == finish_reason::token_limit);
    CHECK(machine.context().size() == 7);
    REQUIRE(machine.rewind(5).has_value());
    CHECK(machine.emitted_count() == 3);
    CHECK(*decant::resume(here.target, machine) == finish_reason::token_limit);
    CHECK(machine.context().size() == 7);
    REQUIRE(machine.rewind(1).has_value());
    CHECK(machine.emitted_count() == 0);
  }
}
