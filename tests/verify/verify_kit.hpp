// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs one verifier on a hand-made draft and hand-made rows, with a chance source that answers as it is told and writes
// down what it was asked.
#ifndef DECANT_TESTS_VERIFY_VERIFY_KIT_HPP
#define DECANT_TESTS_VERIFY_VERIFY_KIT_HPP

#include <decant/sample/node_laws.hpp>
#include <decant/verify/verifier.hpp>

#include <deque>
#include <vector>

#include "tests/support/test_kit.hpp"

namespace decant_test {

using namespace decant;  // NOLINT: test support

/// Answers from lists. Running out of answers is a failure of the test, noted in `exhausted`.
struct told_chance {
  std::deque<bool> accepts{};
  std::deque<token> picks{};

  struct question {
    chance_key key;
    double a;
    double b;
  };
  struct drawing {
    chance_key key;
    std::vector<double> law;  ///< dense probabilities
  };
  std::vector<question> coins{};
  std::vector<drawing> draws{};
  bool exhausted = false;

  template <class Mass>
  bool accept(chance_key key, const Mass& a, const Mass& b) {
    coins.push_back({key, as_double(a), as_double(b)});
    return next(accepts);
  }
  template <class Real>
  token pick(chance_key key, distribution_view<Real> law) {
    std::vector<double> row(law.vocab_size());
    for (std::size_t i = 0; i < law.size(); ++i) row[index(law.id(i))] = law.probability(law.id(i));
    draws.push_back({key, row});
    return next(picks);
  }
  template <class Real>
  std::size_t ordered_sample(chance_key, distribution_view<Real>, std::span<token>) {
    exhausted = true;  // no verifier draws ordered samples
    return 0;
  }

 private:
  template <class T>
  T next(std::deque<T>& answers) {
    if (answers.empty()) {
      exhausted = true;
      return T{};
    }
    const T answer = answers.front();
    answers.pop_front();
    return answer;
  }
};

/// A draft, its target rows, and what a verifier makes of them.
struct verify_case {
  token_draft<double> draft{};
  std::vector<std::vector<double>> rows{};  ///< by node; an empty one cannot be had
  std::uint64_t root_position = 10;

  explicit verify_case(token root = 0) { draft.reset(root); }

  /// Adds a draft row and returns its id.
  std::int32_t add_row(const std::vector<double>& weights) {
    distribution<double>& row = draft.rows.add();
    const std::span<double> out = row.begin_dense(weights.size());
    std::copy(weights.begin(), weights.end(), out.begin());
    (void)row.finish();
    return static_cast<std::int32_t>(draft.rows.size()) - 1;
  }
  node_id add(node_id parent, token id, tree_edge edge = {}) { return draft.tree.append(parent, id, edge); }
};

struct verify_outcome {
  error_code status = error_code::none;
  verdict made{};
  std::vector<node_id> asked_rows{};  ///< in the order in which they were first asked for
};

template <class V, class Chance>
[[nodiscard]] verify_outcome run_verifier(const V& verifier, verify_case& given, Chance& chance) {
  verify_outcome result;
  auto rows = rows_from<double>([&](node_id n) -> std::span<const double> {
    result.asked_rows.push_back(n);
    return given.rows[index(n)];
  });
  const given_law sampler;
  law_workspace<double, given_law> work;
  std::size_t vocab_size = 0;
  for (const auto& row : given.rows) vocab_size = std::max(vocab_size, row.size());
  node_laws<double, given_law, decltype(rows)> laws(sampler, no_state{}, given.draft.tree, rows, work, vocab_size);
  typename V::template work<double> scratch{};
  result.status = verifier.verify(given.draft, laws, chance, given.root_position, scratch, result.made);
  return result;
}

/// Whether two rows are equal up to rounding.
[[nodiscard]] inline bool same_row(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!near(a[i], b[i], 1e-12)) return false;
  }
  return true;
}

using path = std::vector<node_id>;

}  // namespace decant_test

#endif
