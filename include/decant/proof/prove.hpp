// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Proofs of decoding policies by enumeration. A policy runs in the real loop (state machine, model commits, rollback)
// on a toy, once for every combination of its random choices, and the law of what it emits is compared with the
// target's. In double the distance must not exceed 1e-12; in an exact scalar it must be 0.
//
//   const auto report = proof::prove(my_verifier{}, my_builder{});        // standard toys, one step and two steps
//   assert(report.exact());                                               // else: report.describe() says what is wrong
//
// Needs exceptions only as far as the policies under proof do. Complexity: one decode step for every path of choices,
// a few hundred (a chain of 3 at V = 4) to 1e5 (trees of 6 nodes).
#ifndef DECANT_PROOF_PROVE_HPP
#define DECANT_PROOF_PROVE_HPP

#include <decant/core/distances.hpp>
#include <decant/decode/generate.hpp>
#include <decant/draft/model_drafter.hpp>
#include <decant/model/law_model.hpp>
#include <decant/proof/sequence_law.hpp>
#include <decant/proof/toys.hpp>

#include <cstdio>

namespace decant::inline DECANT_ABI::proof {

/// What to run.
struct proof_options {
  std::size_t steps = 1;   ///< whole steps in sequence; their joint law is what is compared
  std::size_t tokens = 0;  ///< when not 0: run until this many tokens are emitted instead
  draft_limits limits{64, 16};
  std::size_t max_paths = 20'000'000;  ///< gives up beyond, with a failure
  repeated_keys repeats = repeated_keys::refused;
};

/// Everything a policy can do on a toy.
template <class Prob>
struct outcomes {
  sequence_law<Prob> law;      ///< of the tokens emitted in all steps together
  std::size_t paths = 0;       ///< combinations of choices
  draw_counts fewest_draws{};  ///< of the path with the fewest draws in total
  draw_counts most_draws{};    ///< of the path with the most
  std::string failure{};       ///< empty when the policy kept its contracts
};

namespace detail {

/// Six significant digits.
[[nodiscard]] inline std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

}  // namespace detail

/// A policy against a law.
template <class Prob>
struct proof_report {
  outcomes<Prob> found;
  std::vector<Prob> total_variation{};  ///< entry k-1: of the first k tokens; one entry for a documented law of steps
  Prob largest_error{0};                ///< largest error of a single probability

  [[nodiscard]] static constexpr double tolerance() noexcept { return std::is_floating_point_v<Prob> ? 1e-12 : 0; }

  /// Largest total variation distance over all prefix lengths.
  [[nodiscard]] double worst() const {
    double worst = 0;
    for (const Prob& tv : total_variation) worst = std::max(worst, as_double(tv));
    return worst;
  }
  /// Whether the laws agree: to 1e-12, or exactly for exact scalars.
  [[nodiscard]] bool same_law() const {
    const auto close = [](const Prob& x) {
      return std::is_floating_point_v<Prob> ? as_double(x) <= tolerance() : !(x > Prob(0));
    };
    return close(magnitude<Prob>(found.law.mass() - Prob(1))) &&
           std::all_of(total_variation.begin(), total_variation.end(), close);
  }
  /// Whether the policy is proved: same law, and no contract broken.
  [[nodiscard]] bool exact() const { return found.failure.empty() && !total_variation.empty() && same_law(); }
  /// Mean number of tokens emitted.
  [[nodiscard]] double expected_emitted() const { return as_double(found.law.expected_length()); }

  /// One line: the verdict, the largest total variation (by prefix length when it is not exact), the number of paths,
  /// the mean number of tokens, the draws of a path, and what contract was broken.
  [[nodiscard]] std::string describe() const {
    std::string text = exact() ? "exact: total variation " : "NOT exact: total variation ";
    text += detail::short_number(worst());
    if (!exact() && total_variation.size() > 1) text += " (by length" + distances() + ")";
    text += " over " + std::to_string(found.paths) + " paths, " + detail::short_number(expected_emitted()) +
            " tokens, " + std::to_string(found.fewest_draws.total()) + " to " +
            std::to_string(found.most_draws.total()) + " draws";
    return found.failure.empty() ? text : text + "; " + found.failure;
  }

 private:
  [[nodiscard]] std::string distances() const {
    std::string text;
    for (const Prob& tv : total_variation) text += " " + detail::short_number(as_double(tv));
    return text;
  }
};

namespace detail {

/// Watches the loop: stops it after some steps and checks what the machine takes from the verifier on trust.
template <class Machine>
struct step_watcher : generate_hooks {
  const Machine& machine;
  std::size_t steps_left;
  std::string failure{};

  step_watcher(const Machine& watched, std::size_t steps) : machine(watched), steps_left(steps) {}

  [[nodiscard]] bool cancelled() const { return steps_left == 0; }

  void on_step(const decode_step& step) {
    if (steps_left > 0) --steps_left;
    check_path(machine.draft_tree(), step.kept);
    if (step.tokens.size() != step.kept.size()) fail("the step did not emit one token per kept node");
    for (const token t : step.tokens) {
      if (t < 0 || index(t) >= machine.options().vocab_size) fail("a token outside the vocabulary was emitted");
    }
  }

 private:
  void check_path(const token_tree& tree, node_span kept) {
    if (kept.empty() || kept[0] != 0) fail("the kept path does not start at the root");
    for (std::size_t i = 1; i < kept.size(); ++i) {
      if (tree.parent(kept[i]) != kept[i - 1]) fail("the kept nodes are no path");
      if (tree.kind(kept[i]) != node_kind::drafted) fail("a probe was accepted");
    }
  }
  void fail(const char* why) {
    if (failure.empty()) failure = why;
  }
};

template <class Real>
[[nodiscard]] decode_options machine_options(const toy<Real>& world, const proof_options& options) {
  decode_options result;
  result.vocab_size = world.vocab_size();
  result.context_size = 4096;
  result.limits = options.limits;
  if (options.tokens > 0) result.max_tokens = options.tokens;
  return result;
}

inline void note(std::string& failure, const std::string& why) {
  if (failure.empty()) failure = why;
}

template <class Prob>
void count_draws(outcomes<Prob>& found, const draw_counts& draws) {
  const bool first = found.paths == 0;
  if (first || draws.total() < found.fewest_draws.total()) found.fewest_draws = draws;
  if (first || draws.total() > found.most_draws.total()) found.most_draws = draws;
}

/// Puts a drafter back to what it was before the first run, for drafters that learn. One that cannot be copied only
/// forgets its tokens, which `begin` makes every drafter do.
template <class D>
class pristine_copy {
 public:
  explicit pristine_copy(const D& drafter) : drafter_(drafter) {}
  void restore(D& drafter) const { drafter = drafter_; }

 private:
  D drafter_;
};
template <class D>
requires(!std::is_copy_constructible_v<D> || !std::is_copy_assignable_v<D>) class pristine_copy<D> {
 public:
  explicit pristine_copy(const D&) {}
  void restore(D&) const {}
};

}  // namespace detail

/// The scalar in which the probabilities of rows of scalar `Real` are multiplied.
template <class Real>
using probability_t = mass_t<Real>;

/// The chance source of proofs, for policies that name theirs: `any_builder<Real, proof_chance<Real>>`.
template <class Real>
using proof_chance = chance_handle<enumerating_chance<probability_t<Real>>>;

/// The model that has a toy's law as its rows: weights for `given_law`, logits for every other sampler.
template <class Real, class S>
using toy_model =
    law_model<erased_law<Real>, std::is_same_v<S, given_law> ? row_content::weights : row_content::logits>;

/// The law that a sampler makes of a model's rows, its state advanced along the whole context, whose output begins
/// after `prompt` tokens: a sampler that learns does so from those of the output.
template <class Real, class S>
[[nodiscard]] erased_law<Real> processed_law(const erased_law<Real>& law, const S& sampler, std::size_t prompt = 0) {
  if constexpr (std::is_same_v<S, given_law>) {
    return law;
  } else {
    return {law.vocab_size(), [law, sampler, prompt](token_span context, std::span<Real> out) {
              std::vector<Real> logits(out.size());
              const auto read_row = [&](std::size_t length) {
                law.weights(context.first(length), logits);
                for (Real& value : logits) value = std::log(value);
                return std::span<const Real>(logits);
              };
              typename S::template scratch_type<Real> scratch{};
              auto state = sampler.initial_state();
              for (std::size_t i = 0; i < context.size(); ++i) {
                if (i == prompt) begin_output(sampler, state);
                double observed = std::numeric_limits<double>::quiet_NaN();
                if constexpr (LearningSampler<S, Real>) {
                  if (i >= prompt) observed = sampler.observe(read_row(i), state, scratch, context[i]);
                }
                advance_observed<Real>(sampler, state, context[i], observed);
              }
              if (context.size() == prompt) begin_output(sampler, state);
              distribution<Real> processed;
              (void)sampler.law(read_row(context.size()), state, scratch, processed);
              for (std::size_t v = 0; v < out.size(); ++v) out[v] = processed.view().weight_of(static_cast<token>(v));
            }};
  }
}

/// Runs every combination of random choices of a self-driven drafter and a verifier. `sampler` processes the target's
/// rows.
template <class Real, class D, class V, class S = given_law>
[[nodiscard]] outcomes<probability_t<Real>> enumerate_outcomes(const toy<Real>& world, D drafter, const V& verifier,
                                                               const proof_options& options = {},
                                                               const S& sampler = {}) {
  using Prob = probability_t<Real>;
  using machine_type = speculation<D, V, S, proof_chance<Real>, Real>;
  static_assert(SelfDrivenDrafter<D, Real>, "prove: give the drafter a model of its own, for instance model_drafter");

  enumerating_chance<Prob> chance(options.repeats);
  toy_model<Real, S> model(world.target);
  const detail::pristine_copy<D> pristine(drafter);
  machine_type machine(std::move(drafter), verifier, sampler, proof_chance<Real>{&chance},
                       detail::machine_options(world, options));
  outcomes<Prob> found;
  const std::size_t steps = options.tokens > 0 ? options.tokens : options.steps;
  const auto run = [&] {
    pristine.restore(machine.drafter());
    detail::step_watcher<machine_type> watcher(machine, steps);
    const auto finished = generate(model, machine, world.prompt, watcher);
    if (!finished) detail::note(found.failure, std::string(finished.error().message().c_str()));
    if (!watcher.failure.empty()) detail::note(found.failure, watcher.failure);
    const token_span text = machine.context();  // empty when the machine refused to begin
    found.law.add(text.subspan(std::min(text.size(), world.prompt.size())), chance.probability());
    detail::count_draws(found, chance.draws());
    ++found.paths;
  };
  const std::size_t paths = enumerate(chance, run, options.max_paths);
  if (!chance.failure().empty()) detail::note(found.failure, chance.failure());
  if (paths == options.max_paths) detail::note(found.failure, "more paths than max_paths");
  return found;
}

/// A draft model over the toy's draft law with a tree builder: what most proofs draft with. `sampler` processes its
/// rows.
template <class Real, class Builder, class S = given_law>
[[nodiscard]] auto drafter_of(const toy<Real>& world, const Builder& builder, const S& sampler = {}) {
  using model = toy_model<Real, S>;
  return model_drafter<model, Builder, S>(model(world.draft), builder, sampler);
}

/// Proves a drafter and a verifier against the target's law, as the sampler processes it.
template <class Real, class D, class V, class S = given_law>
[[nodiscard]] proof_report<probability_t<Real>> prove_drafter(const toy<Real>& world, D drafter, const V& verifier,
                                                              const proof_options& options = {},
                                                              const S& sampler = {}) {
  using Prob = probability_t<Real>;
  proof_report<Prob> report{enumerate_outcomes(world, std::move(drafter), verifier, options, sampler), {}, Prob(0)};
  const erased_law<Real> target = processed_law(world.target, sampler, world.prompt.size());
  auto distance =
      completion<Prob, erased_law<Real>>(target).distance(report.found.law, world.prompt, report.found.law.longest());
  report.total_variation = std::move(distance.total_variation);
  report.largest_error = distance.largest_error;
  return report;
}

/// Proves a tree builder, drafting with the toy's draft model, and a verifier: options.steps whole steps. The samplers
/// process the target's and the draft's rows.
template <class Real, class Builder, class V, class S = given_law, class DraftS = given_law>
[[nodiscard]] proof_report<probability_t<Real>> prove_steps(const toy<Real>& world, const Builder& builder,
                                                            const V& verifier, const proof_options& options = {},
                                                            const S& sampler = {}, const DraftS& draft_sampler = {}) {
  return prove_drafter(world, drafter_of(world, builder, draft_sampler), verifier, options, sampler);
}

/// Checks a lossy policy against the law it documents: `documented` is the law of what the steps emit, written
/// independently of the policy.
template <class Real, class D, class V>
[[nodiscard]] proof_report<probability_t<Real>> prove_documented(const toy<Real>& world, D drafter, const V& verifier,
                                                                 const sequence_law<probability_t<Real>>& documented,
                                                                 const proof_options& options = {}) {
  using Prob = probability_t<Real>;
  proof_report<Prob> report{enumerate_outcomes(world, std::move(drafter), verifier, options), {}, Prob(0)};
  report.total_variation.push_back(total_variation(report.found.law, documented));
  return report;
}

/// Many proofs of one policy.
struct suite_report {
  std::size_t proofs = 0;
  std::size_t paths = 0;
  double worst = 0;                     ///< largest total variation distance
  std::vector<std::string> failures{};  ///< one line for each proof that did not hold

  [[nodiscard]] bool exact() const noexcept { return proofs > 0 && failures.empty(); }

  template <class Prob>
  void add(const std::string& what, const proof_report<Prob>& report) {
    ++proofs;
    paths += report.found.paths;
    worst = std::max(worst, report.worst());
    if (!report.exact()) failures.push_back(what + ": " + report.describe());
  }
  [[nodiscard]] std::string describe() const {
    std::string text = exact() ? "exact: " : "NOT exact: ";
    text += std::to_string(proofs) + " proofs, " + std::to_string(paths) + " paths, largest total variation " +
            detail::short_number(worst);
    for (const std::string& failure : failures) text += "\n  " + failure;
    return text;
  }
};

/// Two steps are proved where one step has no more paths than this.
inline constexpr std::size_t most_paths_for_two_steps = 300;

/// The short form: a verifier with the trees of a builder on A, B and twenty random toys, one step and, where that is
/// feasible, two steps in sequence. A pairing that breaks the law does not compile. For drafters of other kinds, other
/// steps or one toy use `prove_drafter` and `prove_steps`.
template <class V, class Builder, class Real = double>
[[nodiscard]] suite_report prove(const V& verifier, const Builder& builder,
                                 const std::vector<toy<Real>>& toys = standard_toys<Real>(4, 26)) {
  static_assert(Verifier<V>, "prove: the first parameter must be a verifier");
  static_assert(TreeBuilder<Builder, Real>, "prove: the second parameter must be a tree builder");
  suite_report suite;
  for (const toy<Real>& world : toys) {
    const auto one_step = prove_steps(world, builder, verifier);
    suite.add("toy " + world.name + ", one step", one_step);
    if (one_step.found.paths > most_paths_for_two_steps) continue;
    suite.add("toy " + world.name + ", two steps", prove_steps(world, builder, verifier, {2}));
  }
  return suite;
}

}  // namespace decant::inline DECANT_ABI::proof

#endif
