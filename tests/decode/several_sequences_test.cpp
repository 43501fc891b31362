// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A host with a loop of its own: the draft passes and the target passes of eight sequences are each one batch, in any
// order, with plans dropped and drafts interrupted, and every sequence gets the text it gets alone.
#include "tests/decode/support/batch_engine.hpp"
#include "tests/support/decoding.hpp"

#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/prune.hpp>
#include <decant/tree/static_paths.hpp>
#include <decant/tree/static_widths.hpp>

namespace {

using namespace decant_test;
using decant::node_id;

constexpr std::size_t sequence_count = 8;
constexpr std::size_t vocab_size = 30;
using target_law = decant::hashed_law<float>;
using draft_law = decant::mixed_law<target_law, target_law>;

const target_law target{21, vocab_size, 3, 2, 30};
const draft_law drafted = decant::blend(target, target_law{22, vocab_size, 2, 2, 0}, 0.4f);

decant::decode_options options_of(std::size_t sequence) {
  decant::decode_options options;
  options.vocab_size = vocab_size;
  options.context_size = 90;
  options.max_tokens = 12 + sequence;
  options.limits = {7, 4};
  if (sequence % 2 == 1) options.end_of_sequence = {static_cast<token>(sequence)};
  return options;
}

token_list prompt_of(std::size_t sequence) {
  random_source random(sequence);
  return random_prompt(random, vocab_size, 12);
}

/// What happens to a sequence: a turn, a second one after appended tokens, a third after a rewind, a fourth after a
/// rewind followed by appended tokens. Some are cancelled on the way.
struct script {
  std::size_t sequence;
  std::size_t turn = 0;

  /// Whether the sequence is to be cancelled now.
  template <class Machine>
  [[nodiscard]] bool cancels(const Machine& machine) const {
    return sequence % 4 == 3 && turn == 1 && machine.emitted_count() >= 5;
  }
  /// Opens the next turn; false when there is none.
  template <class Machine>
  [[nodiscard]] bool next(Machine& machine) {
    const std::size_t half = machine.context().size() / 2;
    switch (++turn) {
      case 1: return machine.append(token_list{2, 1, static_cast<token>(sequence)}).has_value();
      case 2: return machine.rewind(half + 1).has_value();
      case 3: return machine.rewind(half + 1).has_value() && machine.append(token_list(half / 2 + 3, 5)).has_value();
      default: return false;
    }
  }
};

/// What a sequence gave: the text and the reason at the end of every turn.
struct turn_end {
  token_list text;
  finish_reason reason;
  friend bool operator==(const turn_end&, const turn_end&) = default;
};
using history = std::vector<turn_end>;

template <class Builder>
using guided = decant::guided_drafter<Builder, chain_sampler>;

template <class Builder, class V>
history alone(std::size_t sequence, Builder builder) {
  auto model = decant::make_law_model<decant::row_content::logits>(target);
  auto draft_model = decant::make_law_model<decant::row_content::logits>(drafted);
  auto machine = make_machine(decant::make_model_drafter(draft_model, builder, penalised()), V{}, penalised(),
                              options_of(sequence), decant::philox_chance{5, static_cast<std::uint32_t>(sequence)});
  using machine_type = decltype(machine);
  script plan{sequence};
  struct hooks_type : decant::generate_hooks {
    const machine_type* machine;
    const script* plan;
    [[nodiscard]] bool cancelled() const { return plan->cancels(*machine); }
  };
  hooks_type hooks;
  hooks.machine = &machine;
  hooks.plan = &plan;
  history out;
  auto ended = decant::generate(model, machine, prompt_of(sequence), hooks);
  for (;;) {
    REQUIRE(ended.has_value());
    out.push_back({to_token_list(machine.context()), *ended});
    if (!plan.next(machine)) return out;
    ended = decant::resume(model, machine, hooks);
  }
}

/// The host. `disorder` draws the order of sequences in every batch, what is dropped, and what is interrupted.
template <class Builder, class V>
class batch_host {
  using machine_type = decant::speculation<guided<Builder>, V, chain_sampler>;

 public:
  batch_host(Builder builder, std::uint64_t disorder) : engine_(target, sequence_count), random_(disorder) {
    for (std::size_t i = 0; i < sequence_count; ++i) {
      machines_.emplace_back(guided<Builder>(builder, penalised()), V{}, penalised(),
                             decant::philox_chance{5, static_cast<std::uint32_t>(i)}, options_of(i));
      scripts_.push_back({i});
    }
  }

  std::vector<history> run() {
    std::vector<history> out(sequence_count);
    for (std::size_t i = 0; i < sequence_count; ++i) {
      REQUIRE(machines_[i].begin(prompt_of(i)).has_value());
      synchronise(i);
    }
    for (;;) {
      const std::vector<std::size_t> active = advance_scripts(out);
      if (active.empty()) return out;
      draft(active);
      target_pass(active);
    }
  }

 private:
  /// Contract (a): everything committed but the last token.
  void synchronise(std::size_t i) {
    const token_span context = machines_[i].context();
    engine_.truncate(i, std::min(machines_[i].still_valid(), context.size() - 1));
    engine_.prefill(i, context.subspan(engine_.length(i), context.size() - 1 - engine_.length(i)));
  }

  /// Records turns that ended and opens the next ones; the sequences that go on, in a random order.
  std::vector<std::size_t> advance_scripts(std::vector<history>& out) {
    std::vector<std::size_t> active;
    for (const std::size_t i : random_.permutation(sequence_count)) {
      machine_type& machine = machines_[i];
      while (scripts_[i].turn < 4) {
        if (!machine.finished() && scripts_[i].cancels(machine)) machine.cancel();
        if (!machine.finished()) break;
        out[i].push_back({to_token_list(machine.context()), machine.finish()});
        if (scripts_[i].next(machine)) synchronise(i);
      }
      if (!machine.finished()) active.push_back(i);
    }
    return active;
  }

  /// Draft passes over the wanted nodes of all sequences, until every tree is ready.
  void draft(const std::vector<std::size_t>& active) {
    for (const std::size_t i : active) REQUIRE(machines_[i].begin_plan().has_value());
    for (;;) {
      struct wanted_row {
        std::size_t sequence;
        node_id node;
      };
      std::vector<wanted_row> batch;
      for (const std::size_t i : active) {
        // A draft that is interrupted starts over.
        if (!machines_[i].wanted_draft_rows().empty() && random_.coin(0.1)) {
          REQUIRE(machines_[i].begin_plan().has_value());
        }
        for (const node_id n : machines_[i].wanted_draft_rows()) batch.push_back({i, n});
      }
      if (batch.empty()) return;
      std::vector<float> rows(batch.size() * vocab_size);
      for (std::size_t r = 0; r < batch.size(); ++r) {
        write_draft_row(batch[r].sequence, batch[r].node, std::span<float>(rows).subspan(r * vocab_size, vocab_size));
      }
      for (const std::size_t i : active) {
        if (machines_[i].wanted_draft_rows().empty()) continue;
        auto mine = decant::rows_from<float>([&](node_id n) -> std::span<const float> {
          for (std::size_t r = 0; r < batch.size(); ++r) {
            if (batch[r].sequence == i && batch[r].node == n) {
              return std::span<const float>(rows).subspan(r * vocab_size, vocab_size);
            }
          }
          return {};
        });
        REQUIRE(machines_[i].supply_draft_rows(mine).has_value());
      }
    }
  }

  void write_draft_row(std::size_t i, node_id n, std::span<float> out) {
    token_list context = to_token_list(machines_[i].context());
    token_list path;
    machines_[i].draft_tree().path_tokens(n, path);
    context.insert(context.end(), path.begin(), path.end());
    drafted.weights(context, out);
    for (float& weight : out) weight = std::log(weight);
  }

  void target_pass(const std::vector<std::size_t>& active) {
    std::vector<std::size_t> first_rows;
    for (const std::size_t i : active) {
      auto plan = machines_[i].plan();
      REQUIRE(plan.has_value());
      CHECK(plan->root_position == engine_.length(i));
      first_rows.push_back(engine_.add(i, *plan));
    }
    const std::vector<float> rows = engine_.run();
    for (std::size_t k = 0; k < active.size(); ++k) {
      const std::size_t i = active[k];
      if (random_.coin(0.2)) continue;  // the plan is dropped
      decant::matrix_rows<float> mine{rows, vocab_size, first_rows[k]};
      auto step = machines_[i].absorb(mine);
      REQUIRE(step.has_value());
      engine_.keep(i, first_rows[k], step->kept);
      CHECK(engine_.length(i) == machines_[i].context().size() - 1);
    }
    engine_.drop_pass();
  }

  batch_engine<target_law> engine_;
  random_source random_;
  std::vector<machine_type> machines_;
  std::vector<script> scripts_;
};

template <class Builder, class V>
void compare(Builder builder) {
  std::vector<history> expected;
  for (std::size_t i = 0; i < sequence_count; ++i) {
    expected.push_back(alone<Builder, V>(i, builder));
    REQUIRE(expected.back().size() == 4);
  }
  for (std::uint64_t disorder = 0; disorder < 6; ++disorder) {
    INFO("disorder " << disorder);
    CHECK(batch_host<Builder, V>(builder, disorder).run() == expected);
  }
}

}  // namespace

TEST_CASE("eight sequences in one batch get the texts of eight runs: chains and speculative sampling") {
  compare<decant::chain<decant::independent>, decant::speculative_sampling>({4});
}

TEST_CASE("eight sequences in one batch get the texts of eight runs: sampled trees and recursive rejection") {
  compare<decant::static_widths<decant::without_replacement>, decant::recursive_rejection>({{2, 2, 1}});
  compare<decant::static_widths<decant::independent>, decant::recursive_rejection>({{3, 2}});
}

TEST_CASE("eight sequences in one batch get the texts of eight runs: top-k trees and match") {
  compare<decant::static_paths<decant::ranked>, decant::match>(
      decant::static_paths<decant::ranked>({{0}, {1}, {0, 0}, {1, 0}, {0, 0, 0}}));
}

TEST_CASE("eight sequences in one batch get the texts of eight runs: re-ranked trees and match") {
  compare<decant::reranked<decant::static_widths<decant::independent>>, decant::match>({{{3, 3, 2}}, 6, 30});
}
