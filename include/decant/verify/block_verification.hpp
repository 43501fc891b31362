// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Block verification (arXiv 2403.10444): accepts a prefix of a chain by its joint ratio, so that a token the target
// likes better than the drafter can pay for an earlier one it likes less; the best exact verifier of one drawn chain.
//   b_0 = 1, b_i = min(1, b_{i-1} P_{i-1}(x_i) / Q_{i-1}(x_i));
//   Z_i = sum relu(b_i P_i - Q_i), h_i = Z_i / (Z_i + 1 - b_i), for the last token h = b;
//   the longest prefix i whose coin falls below h_i is accepted, then a token from norm(relu(b_i P_i - Q_i)) follows.
// Guarantee: exact in law; never fewer tokens than speculative sampling, and the same for a chain of one.
// Needs: target laws of the whole chain (after its end only when all is accepted), edge laws. Complexity: from the end,
// one residual pass per rejected prefix whose coin b alone does not refuse (core/chance.hpp, `accept_within`; h <= b).
// Worked example (V = 4, p = (.4,.3,.2,.1), q = (.1,.4,.2,.3)): 2.30 and 2.811 tokens a step for chains of 2 and 3.
#ifndef DECANT_VERIFY_BLOCK_VERIFICATION_HPP
#define DECANT_VERIFY_BLOCK_VERIFICATION_HPP

#include <decant/verify/traversal.hpp>

namespace decant::inline DECANT_ABI {

struct block_verification {
  static constexpr guarantee promises = guarantee::exact_in_law;
  static constexpr edge_needs needs = edge_needs::true_laws;
  static constexpr shape_needs shape = shape_needs::chain;

  template <class Real>
  struct work {
    /// A token of the chain: how it was proposed, and b of the prefix that ends with it.
    struct link {
      node_id node;
      proposal<Real> drawn;
      mass_t<Real> weight;
    };
    std::vector<link> links;
    detail::weighted_residual<Real> running;
    edge_laws<Real> edges;
  };

  template <class Real, class Laws, class Chance>
  [[nodiscard]] error_code verify(const token_draft<Real>& draft, Laws& target, Chance& chance,
                                  std::uint64_t root_position, work<Real>& scratch, verdict& out) const {
    DECANT_PRECONDITION(draft.tree.is_chain() && draft.tree.repeats().empty());
    using mass = mass_t<Real>;
    out.reset();
    if (const error_code failed = weigh(draft, target, scratch); failed != error_code::none) return failed;
    std::size_t length = scratch.links.size();
    if (length > 0 && !(scratch.links.back().weight > mass(0))) --length;
    error_code status = error_code::none;
    for (; length > 0; --length) {
      const auto& last = scratch.links[length - 1];
      const auto weight = [&] {
        if (length == scratch.links.size()) return last.weight;
        status = leave_after(length, target, scratch);
        return status == error_code::none ? scratch.running.weight : mass(0);
      };
      if (accept_within(chance, accept_key(root_position, last.node), last.weight, weight)) break;
      if (status != error_code::none) return status;
    }
    if (length == 0 || length == scratch.links.size()) status = leave_after(length, target, scratch);
    if (status != error_code::none) return status;
    for (std::size_t i = 0; i < length; ++i) out.path.push_back(scratch.links[i].node);
    finish(out, chance.pick(sample_key(root_position + out.path.size()), scratch.running.target.law()), draft.tree,
           last_token_kind::correction);
    return error_code::none;
  }

  friend constexpr bool operator==(block_verification, block_verification) { return true; }

 private:
  /// Makes `running` what a prefix of some length leaves: the target's law at its end and h.
  template <class Real, class Laws>
  [[nodiscard]] static error_code leave_after(std::size_t length, Laws& target, work<Real>& scratch) {
    const distribution<Real>* law = target.law(length == 0 ? 0 : scratch.links[length - 1].node);
    if (law == nullptr) return target.status();
    scratch.running.reset(law->view(), length == 0 ? mass_t<Real>(1) : scratch.links[length - 1].weight);
    if (length < scratch.links.size()) scratch.running.reject(scratch.links[length].drawn);
    return error_code::none;
  }

  /// Lists the tokens up to the first that cannot be accepted. One that its own law could not give ends the chain
  /// before it.
  template <class Real, class Laws>
  [[nodiscard]] static error_code weigh(const token_draft<Real>& draft, Laws& target, work<Real>& scratch) {
    using mass = mass_t<Real>;
    scratch.links.clear();
    mass weight(1);
    node_id parent = 0;
    for (node_id n = draft.tree.first_child(0); n != no_node; n = draft.tree.first_child(n)) {
      const distribution<Real>* law = target.law(parent);
      if (law == nullptr) return target.status();
      scratch.edges.reset();
      const proposal<Real> drawn = scratch.edges.next(draft, n, draft.tree.edge(n));
      if (drawn.impossible()) break;
      weight = detail::path_weight(weight, law->view(), drawn);
      scratch.links.push_back({n, drawn, weight});
      if (!(weight > mass(0))) break;
      parent = n;
    }
    return error_code::none;
  }
};

static_assert(Verifier<block_verification>);

}  // namespace decant::inline DECANT_ABI

#endif
