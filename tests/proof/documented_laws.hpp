// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Proofs that a relaxed verifier has the law it documents: the law of each position, written here a second time in
// plain vectors, against the enumerated law of a step in the real loop. Positions with a draft row have the law of the
// rule, the position after a full draft has another one.
#ifndef DECANT_TESTS_PROOF_DOCUMENTED_LAWS_HPP
#define DECANT_TESTS_PROOF_DOCUMENTED_LAWS_HPP

#include <decant/proof/prove.hpp>
#include <decant/tree/any_builder.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/any_verifier.hpp>

#include "tests/support/test_kit.hpp"

namespace decant_test {

using namespace decant;  // NOLINT: test support

/// Probabilities by token.
using plain_row = std::vector<double>;

inline plain_row normalise(plain_row row) {
  double sum = 0;
  for (const double x : row) sum += x;
  for (double& x : row) x /= sum;
  return row;
}
[[nodiscard]] inline bool has_mass(const plain_row& row) {
  return std::any_of(row.begin(), row.end(), [](double x) { return x > 0; });
}
[[nodiscard]] inline std::size_t top_of(const plain_row& row) {
  return static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin());
}
[[nodiscard]] inline plain_row point(std::size_t v, std::size_t vocab_size) {
  plain_row row(vocab_size);
  row[v] = 1;
  return row;
}
/// norm(relu(p - q)), or p when that is empty.
[[nodiscard]] inline plain_row residual_of(const plain_row& p, const plain_row& q) {
  plain_row row(p.size());
  for (std::size_t v = 0; v < p.size(); ++v) row[v] = std::max(p[v] - q[v], 0.0);
  return has_mass(row) ? normalise(row) : p;
}

/// The law of a position, from the target's and the draft's, after a context.
using position_law = std::function<plain_row(const plain_row& p, const plain_row& q, token_span context)>;

[[nodiscard]] inline position_law keeps_target() {
  return [](const plain_row& p, const plain_row&, token_span) { return p; };
}
[[nodiscard]] inline position_law most_probable() {
  return [](const plain_row& p, const plain_row&, token_span) { return point(top_of(p), p.size()); };
}

/// The law of a text whose first `levels` positions after the prompt follow `inside`, the others `bonus`.
[[nodiscard]] inline proof::erased_law<double> documented_law(const proof::toy<double>& world, std::size_t levels,
                                                              const position_law& inside, const position_law& bonus) {
  return {world.vocab_size(), [=](token_span context, std::span<double> out) {
            plain_row p(out.size());
            plain_row q(out.size());
            world.target.weights(context, p);
            world.draft.weights(context, q);
            const bool is_drafted = context.size() < world.prompt.size() + levels;
            const plain_row law = (is_drafted ? inside : bonus)(normalise(p), normalise(q), context);
            std::copy(law.begin(), law.end(), out.begin());
          }};
}

// One machine is compiled for all: the type-erased forms forward to the typed ones.
using proved_builder = any_builder<double, proof::proof_chance<double>>;
using proved_verifier = any_verifier<double, proof::proof_chance<double>>;

/// Trees of fixed widths, by how their children are made.
enum class made : std::uint8_t { ranked, independent, distinct };

struct tree_form {
  made children;
  std::vector<std::int32_t> widths;

  [[nodiscard]] std::size_t levels() const { return widths.size(); }
  [[nodiscard]] std::string name() const {
    std::string text = children == made::ranked ? "ranked" : children == made::independent ? "independent" : "distinct";
    for (const std::int32_t width : widths) text += " " + std::to_string(width);
    return text;
  }
  [[nodiscard]] proved_builder builder() const {
    if (std::all_of(widths.begin(), widths.end(), [](std::int32_t width) { return width == 1; })) {
      const auto length = static_cast<std::int32_t>(widths.size());
      if (children == made::ranked) return chain<ranked>{length};
      if (children == made::independent) return chain<independent>{length};
      return chain<without_replacement>{length};
    }
    std::array<std::int32_t, 16> all{};
    std::copy(widths.begin(), widths.end(), all.begin());
    if (children == made::ranked) return static_widths<ranked>{all};
    if (children == made::independent) return static_widths<independent>{all};
    return static_widths<without_replacement>{all};
  }
};

/// One step of a verifier on a toy against the law it documents.
[[nodiscard]] inline proof::proof_report<double> prove_position_law(const proof::toy<double>& world,
                                                                    const proved_builder& builder,
                                                                    const proved_verifier& verifier,
                                                                    const proof::erased_law<double>& documented,
                                                                    const proof::proof_options& options = {}) {
  proof::proof_report<double> report{
      proof::enumerate_outcomes(world, proof::drafter_of(world, builder), verifier, options), {}, 0.0};
  auto distance = proof::completion<double, proof::erased_law<double>>(documented)
                      .distance(report.found.law, world.prompt, report.found.law.longest());
  report.total_variation = std::move(distance.total_variation);
  report.largest_error = distance.largest_error;
  return report;
}

/// Counts proofs and the worst distance of a test case.
struct proof_tally {
  std::size_t proofs = 0;
  double worst = 0;
  double farthest_from_target = 0;  ///< so that a rule that never does anything is noticed

  void add(const std::string& what, const proof::toy<double>& world, const tree_form& form,
           const proved_verifier& verifier, const position_law& inside, const position_law& bonus) {
    const auto report =
        prove_position_law(world, form.builder(), verifier, documented_law(world, form.levels(), inside, bonus));
    INFO(what << ", " << form.name() << ", toy " << world.name << ": " << report.describe());
    CHECK(report.exact());
    ++proofs;
    worst = std::max(worst, report.worst());
    const auto to_target = proof::completion<double, proof::erased_law<double>>(world.target)
                               .distance(report.found.law, world.prompt, report.found.law.longest());
    for (const double tv : to_target.total_variation) farthest_from_target = std::max(farthest_from_target, tv);
  }
};

}  // namespace decant_test

#endif
