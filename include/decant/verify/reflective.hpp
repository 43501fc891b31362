// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reflective verification (arXiv 2505.18629): in the same target pass the draft is shown a second time, behind a short
// prompt to reconsider it (draft/reflecting_drafter.hpp appends these probes). With p the law after a node and r the
// law after its copy, the base verifier runs on
//   probability fusion: pi = (1 - alpha) p + alpha r, so that TV(p, pi) <= alpha;
//   logit fusion:       pi = norm(p^(1 - alpha) r^alpha), for temperature-only samplers the law of the mixed logits
//                       (1 - alpha) z + alpha y at that temperature.
// Where fusion leaves no mass, and after nodes without a copy (bonus tokens), pi = p. alpha = 0 is the base verifier,
// bit for bit. Samplers with a history see the tokens of the probes on the way to a copy.
// The paper's default of alpha and which law it weighs were not available: both are reconstructed.
// Guarantee: lossy, exactly pi, if a copy sees of the draft its own path only. Copies that see the whole draft (the
// paper's chain) make pi depend on the very token it is to judge: the emitted law is then not pi.
// Needs: trees made by reflecting_drafter, true edge laws, a model with general masks. Complexity: one more processed
// row per visited node and a pass over both laws, beside a target pass of about twice the nodes.
// Worked example (p = (.5,.3,.2), r = (.2,.3,.5), alpha = .5): probability fusion (.35,.3,.35), logit fusion
// (.3391,.3217,.3391).
#ifndef DECANT_VERIFY_REFLECTIVE_HPP
#define DECANT_VERIFY_REFLECTIVE_HPP

#include <decant/verify/transform_verifier.hpp>

namespace decant::inline DECANT_ABI {

/// The copy of an inner node: the probe that lists it last among the nodes it also sees; `no_node` when there is none.
/// O(nodes).
[[nodiscard]] inline node_id reflected_copy(const token_tree& tree, node_id n) noexcept {
  if (tree.first_child(n) == no_node) return no_node;
  for (auto probe = static_cast<node_id>(tree.size()) - 1; probe > n; --probe) {
    if (tree.kind(probe) != node_kind::probe) continue;
    const node_span seen = tree.also_visible(probe);
    if (!seen.empty() && seen.back() == n) return probe;
  }
  return no_node;
}

enum class reflection_fusion : std::uint8_t { probability, logit };

struct reflection {
  static constexpr bool needs_draft_row = false;
  template <class Real>
  using work = no_work<Real>;

  double alpha = 0.3;  ///< weight of the second look, in [0, 1]
  reflection_fusion fusion = reflection_fusion::logit;

  [[nodiscard]] result<void> check() const {
    if (!(alpha >= 0 && alpha <= 1)) return error{error_code::invalid_argument, "reflection: alpha is not in [0, 1]"};
    return {};
  }

  template <class Real, class Laws>
  [[nodiscard]] emitted_law transform(const transform_site<Real, Laws>& site, no_work<Real>&,
                                      distribution<Real>& out) const {
    if (!(alpha > 0)) return emitted_law::target;
    const node_id copy = reflected_copy(site.draft.tree, site.node);
    if (copy == no_node) return emitted_law::target;
    const distribution<Real>* second = site.laws.law(copy);
    if (second == nullptr) return emitted_law::failed;
    return fusion == reflection_fusion::probability ? mix(site.target, second->view(), out)
                                                    : mix_logits(site.target, second->view(), out);
  }

  friend constexpr bool operator==(const reflection&, const reflection&) = default;

 private:
  template <class Real>
  [[nodiscard]] emitted_law mix(distribution_view<Real> p, distribution_view<Real> r, distribution<Real>& out) const {
    using mass = mass_t<Real>;
    const auto weight = static_cast<mass>(alpha);
    return detail::write_sum(p, r, out, mass(mass(1) - weight), weight);
  }

  template <class Real>
  [[nodiscard]] emitted_law mix_logits(distribution_view<Real> p, distribution_view<Real> r,
                                       distribution<Real>& out) const {
    using mass = mass_t<Real>;
    const auto mixed = [this](const mass& x, const mass& y) {
      if (!(y > mass(0)) || (!(x > mass(0)) && alpha < 1)) return -std::numeric_limits<double>::infinity();
      const double first = alpha < 1 ? (1 - alpha) * std::log(as_double(x)) : 0.0;
      return first + alpha * std::log(as_double(y));
    };
    double largest = -std::numeric_limits<double>::infinity();
    detail::for_each_probability(
        p, r, [&](token, const mass& x, const mass& y) { largest = std::max(largest, mixed(x, y)); });
    if (!(largest > -std::numeric_limits<double>::infinity())) return emitted_law::target;
    return detail::write_pairwise(
        p, r, out, [&](const mass& x, const mass& y) { return static_cast<mass>(std::exp(mixed(x, y) - largest)); });
  }
};

/// Reflective verification over a base that takes trees: recursive rejection, traversal, match.
template <class Base = recursive_rejection>
using reflective_verification = transform_verifier<reflection, Base>;

static_assert(Verifier<reflective_verification<>>);

}  // namespace decant::inline DECANT_ABI

#endif
