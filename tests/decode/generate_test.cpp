// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tests/support/decoding.hpp"

#include <decant/decode/steady_clock.hpp>
#include <decant/model/chain_model.hpp>

namespace {

using namespace decant_test;
using decant::error_code;

}  // namespace

TEST_CASE("prompts are given in chunks with progress") {
  const decant::hashed_law<float> law{1, 16, 2, 2, 0};
  auto model = decant::make_law_model<decant::row_content::logits>(law, 2000);
  struct progress : decant::generate_hooks {
    std::vector<std::size_t> done;
    std::size_t all = 0;
    void on_prefill(std::size_t so_far, std::size_t total) {
      done.push_back(so_far);
      all = total;
    }
  };
  decant::decode_options options;
  options.vocab_size = 16;
  options.context_size = 2000;
  options.max_tokens = 3;
  auto machine = make_machine(decant::no_drafter{}, decant::greedy{}, at_zero(), options);
  progress hooks;
  token_list prompt(701, 5);
  REQUIRE(decant::generate(model, machine, prompt, hooks).has_value());
  CHECK(hooks.done == std::vector<std::size_t>{256, 512, 700});
  CHECK(hooks.all == 700);

  // The next turn prefills what the model lacks.
  hooks.done.clear();
  REQUIRE(machine.append(token_list(10, 3)).has_value());
  REQUIRE(decant::resume(model, machine, hooks).has_value());
  CHECK(hooks.done == std::vector<std::size_t>{713});
  CHECK(model.counts().prefilled == 710);

  SECTION("a prompt of one token needs no prefill") {
    hooks.done.clear();
    REQUIRE(decant::generate(model, machine, token_list{1}, hooks).has_value());
    CHECK(hooks.done.empty());
  }
  SECTION("cancelling between chunks ends the sequence, and it can go on") {
    struct impatient : progress {
      [[nodiscard]] bool cancelled() const { return done.size() == 2; }
    };
    impatient cancelling;
    const auto ended = decant::generate(model, machine, prompt, cancelling);
    REQUIRE(ended.has_value());
    CHECK(*ended == finish_reason::cancelled);
    CHECK(model.length() == 512);
    CHECK(machine.context().size() == 701);
    REQUIRE(machine.rewind(701).has_value());
    REQUIRE(decant::resume(model, machine, hooks).has_value());
    CHECK(machine.context().size() == 704);
  }
}

TEST_CASE("resume before begin and models of another vocabulary are refused") {
  auto model = decant::make_law_model<decant::row_content::logits>(decant::hashed_law<float>{1, 16, 2, 2, 0});
  decant::decode_options options;
  options.vocab_size = 16;
  options.context_size = 50;
  auto machine = make_machine(decant::no_drafter{}, decant::greedy{}, at_zero(), options);
  CHECK(decant::resume(model, machine).code() == error_code::wrong_call_order);
  CHECK(decant::generate(model, machine, {}).code() == error_code::invalid_argument);
  CHECK(decant::resume(model, machine).code() == error_code::wrong_call_order);
  options.vocab_size = 17;
  auto other = make_machine(decant::no_drafter{}, decant::greedy{}, at_zero(), options);
  CHECK(decant::generate(model, other, token_list{1}).code() == error_code::refused_pairing);
}

TEST_CASE("a prompt that is refused leaves the sequence before it to be resumed") {
  std::vector<scene> all = scenes();
  scene& here = all[1];
  auto machine = make_machine(decant::no_drafter{}, decant::greedy{}, at_zero(), options_for(here));
  const token_list expected = run(here.target, machine, token_list{1, 2});
  REQUIRE(machine.rewind(6).has_value());
  CHECK(decant::generate(here.target, machine, token_list{-1}).code() == error_code::invalid_token);
  REQUIRE(decant::resume(here.target, machine).has_value());
  CHECK(to_token_list(machine.context().subspan(2)) == expected);
}

TEST_CASE("a model that evaluates chains only serves drafters that make chains") {
  const decant::hashed_law<float> law{1, 16, 2, 2, 0};
  decant::chain_model model(decant::make_law_model<decant::row_content::logits>(law));
  decant::decode_options options;
  options.vocab_size = 16;
  options.context_size = 100;
  options.max_tokens = 30;
  auto machine = make_typed_machine(decant::prompt_lookup<>{{.min_match = 1, .index_bits = 6}}, decant::greedy{},
                                    at_zero(), options);
  REQUIRE(decant::generate(model, machine, token_list{1, 2, 1}).has_value());
  const boxed_model tree_model = decant::make_law_model<decant::row_content::logits>(law);
  CHECK(to_token_list(machine.context().subspan(3)) ==
        plain_decoding({1, 2, 1}, options, {}, greedy_choice(tree_model)).emitted);
}

TEST_CASE("a hook may cancel from within a step") {
  std::vector<scene> all = scenes();
  scene& here = all[1];
  auto machine = make_machine(decant::no_drafter{}, decant::greedy{}, at_zero(), options_for(here));
  using machine_type = decltype(machine);
  struct stopper : collector {
    machine_type* machine = nullptr;
    void on_step(const decant::decode_step& step) {
      collector::on_step(step);
      if (steps == 3) machine->cancel();
    }
  };
  stopper hooks;
  hooks.machine = &machine;
  const auto ended = decant::generate(here.target, machine, token_list{1, 2}, hooks);
  REQUIRE(ended.has_value());
  CHECK(*ended == finish_reason::cancelled);
  CHECK(hooks.streamed.size() == 3);
  CHECK(here.target.length() == machine.context().size() - 1);
}

TEST_CASE("time goes to the phase that spends it") {
  struct ticking {
    double* time;
    [[nodiscard]] double now() const { return *time; }
  };
  static double time = 0;
  time = 0;
  struct slow_hooks : decant::generate_hooks {
    void on_step(const decant::decode_step&) { time += 1000; }
  };
  std::vector<scene> all = scenes();
  scene& here = all[0];
  struct slow_model : decant::model_wrapper<boxed_model&> {
    using decant::model_wrapper<boxed_model&>::model_wrapper;
    decant::result<void> prefill(token_span tokens) {
      time += 10;
      return model_wrapper::prefill(tokens);
    }
    decant::result<rows_type> evaluate(const decant::token_tree& tree, decant::node_span nodes) {
      time += 2;
      return model_wrapper::evaluate(tree, nodes);
    }
    decant::result<void> commit(decant::node_span path) {
      time += 0.5;
      return model_wrapper::commit(path);
    }
  };
  slow_model model(here.target);
  auto machine = make_machine(decant::no_drafter{}, decant::greedy{}, at_zero(), options_for(here, 4));
  REQUIRE(decant::generate(model, machine, token_list{1, 2}, slow_hooks{}, ticking{&time}).has_value());
  CHECK(machine.statistics().seconds == decant::phase_seconds{10, 0, 8, 0, 2});
  CHECK(machine.statistics().tokens_per_second() == 0.4);

  decant::steady_clock clock;
  const double before = clock.now();
  CHECK(clock.now() >= before);
}

TEST_CASE("every reason to end has a name") {
  CHECK(std::string(decant::name(finish_reason::none)) == "none");
  CHECK(std::string(decant::name(finish_reason::end_of_sequence)) == "end of sequence");
  CHECK(std::string(decant::name(finish_reason::stop_string)) == "stop string");
  CHECK(std::string(decant::name(finish_reason::token_limit)) == "token limit");
  CHECK(std::string(decant::name(finish_reason::context_full)) == "context full");
  CHECK(std::string(decant::name(finish_reason::cancelled)) == "cancelled");
  CHECK(std::string(decant::name(static_cast<finish_reason>(99))) == "unknown");
}
