// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Top-k acceptance: a draft is accepted when the target ranks its token among its k most probable ones (ties: lowest id
// first). A token the target excludes is never accepted. With k = 1 and the default correction it is greedy
// verification. Report k together with the loss: k says nothing of how improbable the accepted tokens are.
// Guarantee: lossy, see predicate_verifier.hpp. Needs nothing of the tree (true laws when OR-ed with the coin).
// Complexity: the heaviest blocks of the law and a heap of k per visited node. Example: p = (.5,.3,.2), k = 2 accepts
// tokens 0 and 1.
#ifndef DECANT_VERIFY_TOP_K_ACCEPTANCE_HPP
#define DECANT_VERIFY_TOP_K_ACCEPTANCE_HPP

#include <decant/verify/predicate_verifier.hpp>

namespace decant::inline DECANT_ABI {

struct top_k_test {
  static constexpr bool law_only = true;
  /// The best tokens so far, the worst of them first.
  template <class Real>
  struct work {
    std::vector<weighted_token<Real>> heap;
  };

  std::size_t k = 2;

  [[nodiscard]] result<void> check() const {
    if (k == 0) return error{error_code::invalid_argument, "top_k_test: k is 0"};
    return {};
  }

  template <class Real>
  [[nodiscard]] auto at(const predicate_site<Real>& site, work<Real>& scratch) const {
    const auto law = site.target;
    const weighted_token<Real> last = rank_k(law, scratch.heap);
    return [law, last](token id, node_id) {
      const Real weight = law.weight_of(id);
      return weight > Real(0) && !ranks_before(last, {id, weight});
    };
  }

  friend constexpr bool operator==(const top_k_test&, const top_k_test&) = default;

 private:
  /// The token of rank k, or the last one of a shorter law.
  template <class Real>
  [[nodiscard]] weighted_token<Real> rank_k(distribution_view<Real> law,
                                            std::vector<weighted_token<Real>>& heap) const {
    const auto before = [](const auto& a, const auto& b) { return ranks_before(a, b); };
    heap.clear();
    visit_heaviest(law, [&](const weighted_token<Real>& entry) {
      if (heap.size() < k) {
        heap.push_back(entry);
        std::push_heap(heap.begin(), heap.end(), before);
      } else if (before(entry, heap.front())) {
        std::pop_heap(heap.begin(), heap.end(), before);
        heap.back() = entry;
        std::push_heap(heap.begin(), heap.end(), before);
      }
      return heap.size() < k ? Real(0) : heap.front().weight;
    });
    return heap.front();
  }
};

/// Top-k acceptance, on chains and trees.
template <standard_test Standard = standard_test::none>
using top_k_acceptance = predicate_verifier<top_k_test, Standard>;

static_assert(Verifier<top_k_acceptance<>>);

}  // namespace decant::inline DECANT_ABI

#endif
