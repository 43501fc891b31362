// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Long texts decoded by the real state machine with the production chance source, real sampler chains and real
// builders from float rows, and their laws.
//
// The world is a Markov chain: the row after a token is one of a few, so that every step starts at one of a few roots
// and the laws of its tokens are computed directly, in double. What is compared with them, given the row before:
//   first   the first token of a step;
//   two     the first two tokens from a step's start on (of steps whose start the pair before does not reach);
//   ratio   every token of the text, in bins of like draft / target ratio, in which no bias of a verifier cancels;
//   places  every token of the text, in bins of neighbours in the vocabulary.
// And no token without probability may ever be emitted.
//
// If a verifier is exact the whole text has the chain's law whatever it depends on where a step starts, so all of this
// holds by the (strong) Markov property; a coin used in two steps shows as well.
#ifndef DECANT_TESTS_SAMPLED_SAMPLED_TEXT_HPP
#define DECANT_TESTS_SAMPLED_SAMPLED_TEXT_HPP

#include <decant/decode/speculation.hpp>
#include <decant/draft/guided_drafter.hpp>
#include <decant/sample/temperature.hpp>
#include <decant/sample/top_k.hpp>
#include <decant/sample/top_p.hpp>
#include <decant/tree/any_builder.hpp>
#include <decant/verify/any_verifier.hpp>

#include <array>
#include <cstdio>
#include <string>

#include "tests/sampled/support/goodness_of_fit.hpp"
#include "tests/support/random.hpp"
#include "tests/support/sampling.hpp"

namespace decant_test {

using namespace decant;  // NOLINT: test support

using sampled_chain = sampler_chain<temperature, top_k, top_p>;

/// A sampler that processes each of a few rows once: what costs most in a large vocabulary, and is the same each time.
struct remembering_sampler {
  using state_type = no_state;
  template <class Real>
  struct scratch_type {
    typename sampled_chain::scratch_type<Real> inner;
    std::vector<std::pair<const Real*, distribution<Real>>> known;
  };

  sampled_chain chain;
  bool remembers = true;

  [[nodiscard]] static no_state initial_state() noexcept { return {}; }
  static void advance(no_state, token) noexcept {}

  template <class Real>
  [[nodiscard]] error_code law(std::span<const Real> row, no_state, scratch_type<Real>& scratch,
                               distribution<Real>& out) const {
    if (!remembers) return chain.law(row, chain.initial_state(), scratch.inner, out);
    for (const auto& [known, law] : scratch.known) {
      if (known != row.data()) continue;
      out.assign(law);
      return error_code::none;
    }
    distribution<Real> made;
    const error_code status = chain.law(row, chain.initial_state(), scratch.inner, made);
    if (status == error_code::none) scratch.known.emplace_back(row.data(), made);
    out.assign(made);
    return status;
  }
};

/// What is done to the rows of the target and of the draft.
struct row_processing {
  std::string name;
  sampled_chain target;
  sampled_chain draft;
};

[[nodiscard]] inline sampled_chain processing(float t, std::int32_t k, float p) {
  return make_sampler(temperature{t}, top_k{k}, top_p{p});
}
[[nodiscard]] inline row_processing dense_rows() {
  return {"dense", processing(1.0f, 0, 1.0f), processing(0.9f, 0, 1.0f)};
}
[[nodiscard]] inline row_processing sparse_rows() {
  return {"sparse", processing(0.8f, 60, 0.95f), processing(0.9f, 40, 1.0f)};
}
[[nodiscard]] inline row_processing mixed_rows() {
  return {"sparse target, dense draft", processing(1.0f, 0, 0.9f), processing(0.8f, 0, 1.0f)};
}

/// The law a chain makes of a row, in double and by sorting everything.
[[nodiscard]] inline std::vector<double> slow_law(const std::vector<float>& logits, const sampled_chain& chain) {
  slow_candidates set(logits);
  set.divide_by(static_cast<double>(chain.get<temperature>().value));
  if (const std::int32_t k = chain.get<top_k>().k; k > 0) set.keep_first(index(k));
  if (const float p = chain.get<top_p>().p; p < 1) set.top_p(static_cast<double>(p), 1);
  return set.law();
}

/// A Markov chain over a vocabulary: which row follows depends on the last token alone.
struct sampled_world {
  static constexpr std::size_t rows = 2;

  row_processing by;
  std::array<std::vector<float>, rows> target{};  ///< logits
  std::array<std::vector<float>, rows> draft{};
  std::array<std::vector<double>, rows> p{};  ///< laws
  std::array<std::vector<double>, rows> q{};

  [[nodiscard]] static std::size_t row_after(token last) noexcept {
    return (static_cast<std::uint32_t>(last) * 2654435761u >> 16) % rows;
  }
  [[nodiscard]] std::size_t vocab_size() const noexcept { return target[0].size(); }
};

[[nodiscard]] inline sampled_world make_world(std::size_t vocab_size, const row_processing& by, std::uint64_t seed) {
  random_source random(seed);
  sampled_world world{by};
  for (std::size_t r = 0; r < sampled_world::rows; ++r) {
    world.target[r] = random.logits<float>(vocab_size, 3);
    for (const float logit : world.target[r]) {
      world.draft[r].push_back(0.7f * logit + static_cast<float>(random.normal()));
    }
    world.p[r] = slow_law(world.target[r], by.target);
    world.q[r] = slow_law(world.draft[r], by.draft);
  }
  return world;
}

using sampled_builder = any_builder<float, philox_chance>;
using sampled_verifier = any_verifier<float, philox_chance>;

/// One text to decode.
struct sampled_case {
  std::string verifier;
  std::string builder;
  sampled_verifier verify_by;
  sampled_builder build_by;
  std::size_t world;           ///< number of its world in a list
  std::size_t passes;          ///< steps
  bool nightly = false;        ///< not in the default suite
  bool processes_all = false;  ///< the samplers run for every row of every step
};

/// A decoded text and where its steps began.
struct sampled_text {
  std::vector<token> tokens{};  ///< the first one is the prompt
  std::vector<std::size_t> starts{};
  std::string failure{};  ///< of the machine
};

[[nodiscard]] inline sampled_text decode_text(const sampled_world& world, const sampled_case& one, std::size_t passes,
                                              std::uint64_t seed) {
  using drafter = guided_drafter<sampled_builder, remembering_sampler, float>;
  using machine_type = speculation<drafter, sampled_verifier, remembering_sampler, philox_chance, float>;
  decode_options options;
  options.vocab_size = world.vocab_size();
  options.context_size = std::size_t{1} << 30;
  options.limits = {64, 16};
  const bool remembers = !one.processes_all;
  machine_type machine(drafter(one.build_by, {world.by.draft, remembers}), one.verify_by, {world.by.target, remembers},
                       philox_chance{seed}, options);
  const auto rows_of = [&machine](const auto& logits) {
    return rows_from<float>([&machine, &logits](node_id n) {
      return std::span<const float>(logits[sampled_world::row_after(machine.draft_tree().token_of(n))]);
    });
  };
  auto target_rows = rows_of(world.target);
  auto draft_rows = rows_of(world.draft);

  sampled_text text;
  const token prompt[] = {0};
  const auto run = [&]() -> result<void> {
    if (auto begun = machine.begin(prompt); !begun) return begun;
    for (std::size_t pass = 0; pass < passes; ++pass) {
      text.starts.push_back(machine.context().size());
      if (auto begun = machine.begin_plan(); !begun) return begun;
      while (!machine.wanted_draft_rows().empty()) {
        if (auto supplied = machine.supply_draft_rows(draft_rows); !supplied) return supplied;
      }
      if (auto planned = machine.plan(); !planned) return planned.error();
      if (auto step = machine.absorb(target_rows); !step) return step.error();
    }
    return {};
  };
  if (auto done = run(); !done) text.failure = std::string(done.error().message().c_str());
  text.tokens.assign(machine.context().begin(), machine.context().end());
  return text;
}

/// What was seen of one text.
struct sampled_report {
  static constexpr std::array<const char*, 4> tests{"first", "two", "ratio", "places"};

  std::array<double, 4> p_values{};
  std::array<double, 4> detectable{};  ///< total variation found with probability .999
  std::size_t impossible = 0;          ///< tokens without probability
  double tokens_per_pass = 0;
  std::string failure{};

  [[nodiscard]] double smallest() const { return *std::min_element(p_values.begin(), p_values.end()); }
  [[nodiscard]] std::string describe() const {
    std::string text = failure;
    for (std::size_t i = 0; i < tests.size(); ++i) {
      char line[64];
      std::snprintf(line, sizeof line, "%s p = %.2g, ", tests[i], p_values[i]);
      text += line;
    }
    return text + std::to_string(impossible) + " impossible tokens, " + std::to_string(tokens_per_pass) + " a step";
  }
  [[nodiscard]] bool agrees(double alpha) const { return failure.empty() && impossible == 0 && smallest() >= alpha; }
};

/// Compares texts with a chain's law.
class law_of_text {
 public:
  explicit law_of_text(const sampled_world& world)
      : ratio_(bins([&](std::size_t r) { return bins_of_like_ratio(world.p[r], world.q[r], 24); })),
        coarse_(bins([&](std::size_t r) { return bins_of_like_ratio(world.p[r], world.q[r], 6); })),
        places_(bins([&](std::size_t r) { return bins_of_neighbours(world.p[r], 24); })),
        pairs_(laws_of_pairs(world)) {}

  [[nodiscard]] sampled_report compare(const sampled_text& text, double alpha) const {
    sampled_report report;
    report.failure = text.failure;
    const auto& tokens = text.tokens;
    if (!report.failure.empty() || text.starts.empty()) return report;
    report.tokens_per_pass = static_cast<double>(tokens.size() - 1) / static_cast<double>(text.starts.size());
    for (std::size_t i = 1; i < tokens.size(); ++i) report.impossible += bin(ratio_, tokens, i) == token_bins::none;
    if (report.impossible > 0) return report;

    std::array<conditional_counts, 4> counts{masses(ratio_), conditional_counts(pairs_), masses(ratio_),
                                             masses(places_)};
    std::size_t free_from = 0;  // where the pair before ends
    for (const std::size_t at : text.starts) {
      counts[0].add(row(tokens, at), bin(ratio_, tokens, at));
      if (at < free_from || at + 1 >= tokens.size()) continue;
      counts[1].add(row(tokens, at), cell_of(bin(coarse_, tokens, at), bin(coarse_, tokens, at + 1)));
      free_from = at + 2;
    }
    for (std::size_t i = 1; i < tokens.size(); ++i) {
      counts[2].add(row(tokens, i), bin(ratio_, tokens, i));
      counts[3].add(row(tokens, i), bin(places_, tokens, i));
    }
    for (std::size_t i = 0; i < counts.size(); ++i) {
      const fit seen = counts[i].compared();
      report.p_values[i] = seen.p_value();
      report.detectable[i] = detectable_distance(seen.degrees, seen.samples, alpha);
    }
    return report;
  }

 private:
  using binning = std::array<token_bins, sampled_world::rows>;

  template <class Make>
  [[nodiscard]] static binning bins(const Make& make) {
    binning made;
    for (std::size_t r = 0; r < made.size(); ++r) made[r] = make(r);
    return made;
  }
  [[nodiscard]] static conditional_counts masses(const binning& bins) {
    std::vector<std::vector<double>> laws;
    for (const token_bins& one : bins) laws.push_back(one.mass);
    return conditional_counts(std::move(laws));
  }
  [[nodiscard]] static std::size_t row(const std::vector<token>& tokens, std::size_t at) {
    return sampled_world::row_after(tokens[at - 1]);
  }
  [[nodiscard]] static std::size_t bin(const binning& bins, const std::vector<token>& tokens, std::size_t at) {
    return bins[row(tokens, at)].of[index(tokens[at])];
  }

  [[nodiscard]] std::size_t most_coarse_bins() const {
    std::size_t most = 0;
    for (const token_bins& one : coarse_) most = std::max(most, one.size());
    return most;
  }
  [[nodiscard]] std::size_t cell_of(std::size_t first, std::size_t second) const {
    return first * most_coarse_bins() + second;
  }
  /// Sums over the first token: its row decides the law of the second.
  [[nodiscard]] std::vector<std::vector<double>> laws_of_pairs(const sampled_world& world) const {
    std::vector<std::vector<double>> laws;
    for (std::size_t r = 0; r < sampled_world::rows; ++r) {
      std::vector<double> law(most_coarse_bins() * most_coarse_bins(), 0.0);
      for (std::size_t v = 0; v < world.vocab_size(); ++v) {
        if (!(world.p[r][v] > 0)) continue;
        const token_bins& next = coarse_[sampled_world::row_after(static_cast<token>(v))];
        for (std::size_t b = 0; b < next.size(); ++b) {
          law[cell_of(coarse_[r].of[v], b)] += world.p[r][v] * next.mass[b];
        }
      }
      laws.push_back(std::move(law));
    }
    return laws;
  }

  binning ratio_;
  binning coarse_;
  binning places_;
  std::vector<std::vector<double>> pairs_;
};

}  // namespace decant_test

#endif
