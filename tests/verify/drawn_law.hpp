// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The law of the first token of a step, by sampling: a draft of one level is drawn and verified under many seeds of the
// production chance source, in any scalar and with sparse or dense rows. The proofs by enumeration run in double and in
// rationals; this is for float.
#ifndef DECANT_TESTS_VERIFY_DRAWN_LAW_HPP
#define DECANT_TESTS_VERIFY_DRAWN_LAW_HPP

#include <decant/core/philox.hpp>
#include <decant/tree/children.hpp>
#include <decant/verify/verifier.hpp>

#include <vector>

#include "tests/support/allocation_counter.hpp"
#include "tests/support/laws.hpp"
#include "tests/support/random.hpp"
#include "tests/support/test_kit.hpp"

namespace decant_test {

/// One target law after every node.
template <class Real>
struct same_law_everywhere {
  using value_type = Real;
  const decant::distribution<Real>& target;

  [[nodiscard]] const decant::distribution<Real>* law(decant::node_id) const { return &target; }
  [[nodiscard]] decant::error_code status() const { return decant::error_code::none; }
};

struct drawn_counts {
  std::vector<double> tokens;   ///< how often each was the first one emitted
  double accepted = 0;          ///< how often it had been drafted and accepted
  std::size_t allocations = 0;  ///< of drawing and verifying in the second half of the rounds
};

template <class Real, class Draw, class V>
[[nodiscard]] drawn_counts count_first_tokens(const Draw& children, std::int32_t count, const V& verifier,
                                              const decant::distribution<Real>& target,
                                              const decant::distribution<Real>& proposal, std::uint64_t rounds) {
  drawn_counts seen{std::vector<double>(target.view().vocab_size())};
  decant::token_draft<Real> draft;
  typename V::template work<Real> scratch{};
  decant::verdict made;
  same_law_everywhere<Real> laws{target};
  for (std::uint64_t seed = 0; seed < rounds; ++seed) {
    decant::philox_chance chance{seed};
    draft.reset(0);
    draft.add_row_after(0).assign(proposal);
    auto status = decant::error_code::none;
    const std::size_t allocations = allocations_of([&] {
      children.draw(draft, 0, count, 10, chance);
      status = verifier.verify(draft, laws, chance, 10, scratch, made);
    });
    if (seed >= rounds / 2) seen.allocations += allocations;
    REQUIRE(status == decant::error_code::none);
    const bool accepted = made.path.size() > 1;
    ++seen.tokens[decant::index(accepted ? draft.tree.token_of(made.path[1]) : made.last)];
    seen.accepted += accepted;
  }
  return seen;
}

/// Checks the law of the first token on random float rows, sparse and dense, some tokens without weight; and that
/// nothing is allocated after warm-up.
template <class Draw, class V>
void check_drawn_law(const Draw& children, std::int32_t count, const V& verifier, std::uint64_t seed) {
  random_source random(seed);
  constexpr std::uint64_t rounds = 20000;
  for (const bool sparse_target : {false, true}) {
    for (const bool sparse_draft : {false, true}) {
      const auto p = law_in_form(random.weights<float>(30, 0.3), sparse_target);
      const auto q = law_in_form(random.weights<float>(30, 0.3), sparse_draft);
      const drawn_counts seen = count_first_tokens(children, count, verifier, p, q, rounds);
      std::vector<double> expected(30);
      for (decant::token t = 0; t < 30; ++t) {
        expected[decant::index(t)] = static_cast<double>(rounds) * p.view().probability(t);
      }
      CAPTURE(sparse_target, sparse_draft);
      CHECK(frequencies_agree(seen.tokens, expected));
      CHECK(seen.allocations == 0);
    }
  }
}

}  // namespace decant_test

#endif
