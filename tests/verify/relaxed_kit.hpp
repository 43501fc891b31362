// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The golden laws of the relaxed verifiers, and the law that a transform rule makes of them.
#ifndef DECANT_TESTS_VERIFY_RELAXED_KIT_HPP
#define DECANT_TESTS_VERIFY_RELAXED_KIT_HPP

#include <decant/verify/transform_verifier.hpp>

#include "tests/verify/verify_kit.hpp"

namespace decant_test {

inline const std::vector<double> golden_p{.5, .3, .2};
inline const std::vector<double> golden_q{.2, .3, .5};

[[nodiscard]] inline distribution_view<double> view_of(const std::vector<double>& row) {
  double mass = 0;
  for (const double x : row) mass += x;
  return {row, mass};
}

/// A root with a draft row and, below it, one token drawn from it.
[[nodiscard]] inline verify_case drawn_case(token drawn, std::vector<double> p = golden_p,
                                            const std::vector<double>& q = golden_q) {
  verify_case given;
  const std::int32_t row = given.add_row(q);
  given.draft.set_row_after(0, row);
  (void)given.add(0, drawn, {edge_law::independent, row});
  given.rows = {p, std::vector<double>(p.size(), 1.0)};
  return given;
}

/// The law a rule makes of p and q: what is drawn from after a root without children.
template <class Rule>
[[nodiscard]] std::vector<double> emitted_by(const Rule& rule, const std::vector<double>& p = golden_p,
                                             const std::vector<double>& q = golden_q) {
  verify_case given;
  given.draft.set_row_after(0, given.add_row(q));
  given.rows = {p};
  told_chance chance{{}, {0}};
  (void)run_verifier(transform_verifier<Rule>{rule}, given, chance);
  return chance.draws.empty() ? std::vector<double>{} : chance.draws[0].law;
}

/// Probability that a token drawn from q is accepted for a law: sum of min(pi, q).
[[nodiscard]] inline double acceptance_of(const std::vector<double>& law, const std::vector<double>& q = golden_q) {
  double sum = 0;
  for (std::size_t v = 0; v < law.size(); ++v) sum += std::min(law[v], q[v]);
  return sum;
}

/// Whether two rows are equal up to `tolerance`.
[[nodiscard]] inline bool close_rows(const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!near(a[i], b[i], tolerance)) return false;
  }
  return true;
}

/// A random law; about a third of the tokens have no mass when `zeros` is set.
[[nodiscard]] inline std::vector<double> random_row(std::uint64_t& state, std::size_t vocab_size, bool zeros) {
  std::vector<double> row(vocab_size);
  double sum = 0;
  for (double& x : row) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const auto bits = static_cast<double>(state >> 40);
    x = zeros && (state >> 33) % 3 == 0 ? 0 : 1 + bits;
    sum += x;
  }
  if (!(sum > 0)) row[0] = sum = 1;
  for (double& x : row) x /= sum;
  return row;
}

}  // namespace decant_test

#endif
