// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the verifiers that test draws against a running residual share: the walk down the accepted path, the test of a
// single draw, and the list of draws below a node for those that take several of them together or in another order.
#ifndef DECANT_VERIFY_REJECTION_WALK_HPP
#define DECANT_VERIFY_REJECTION_WALK_HPP

#include <decant/verify/edge_laws.hpp>
#include <decant/verify/verifier.hpp>

namespace decant::inline DECANT_ABI::detail {

/// Goes down the tree from the root. `test_draws(n)` is the accepted child of node n or `no_node`; the running residual
/// has the target's law at n when it is called, and what is left of it when it returns `no_node`.
template <class Real, class Laws, class Chance, class TestDraws>
[[nodiscard]] error_code walk_by_rejection(const token_draft<Real>& draft, Laws& target, Chance& chance,
                                           std::uint64_t root_position, running_residual<Real>& residual, verdict& out,
                                           TestDraws&& test_draws) {
  out.reset();
  for (;;) {
    const distribution<Real>* law = target.law(out.end());
    if (law == nullptr) return target.status();
    const chance_key last = sample_key(root_position + out.path.size());
    if (draft.tree.first_child(out.end()) == no_node) {
      finish(out, chance.pick(last, law->view()), draft.tree, last_token_kind::correction);
      return error_code::none;
    }
    residual.reset(law->view());
    const node_id accepted = test_draws(out.end());
    if (accepted == no_node) {
      finish(out, chance.pick(last, residual.law()), draft.tree, last_token_kind::correction);
      return error_code::none;
    }
    out.path.push_back(accepted);
  }
}

/// Accepts a draw with probability min(1, R(x) / Q(x)).
template <class Real, class Chance>
[[nodiscard]] bool accept_draw(Chance& chance, chance_key key, const proposal<Real>& drawn,
                               distribution_view<Real> running) {
  const auto weight = static_cast<mass_t<Real>>(running.weight_of(drawn.id));
  if (drawn.point_mass) return chance.accept(key, weight, running.mass());
  return chance.accept(key, weight * drawn.mass, static_cast<mass_t<Real>>(drawn.weight) * running.mass());
}

/// R <- norm(relu(R - Q)) after a rejection.
template <class Real>
void reject_draw(const proposal<Real>& drawn, running_residual<Real>& residual) {
  if (drawn.point_mass) {
    residual.remove(drawn.id);
  } else {
    residual.subtract(drawn.row, drawn.mass);
  }
}

/// One draw below a node and the law it was drawn from.
template <class Real>
struct listed_draw {
  tree_draw draw;
  proposal<Real> drawn;

  /// Whether both were drawn from one row independently of each other.
  [[nodiscard]] bool in_one_run_with(const listed_draw& other) const {
    return draw.edge.law == edge_law::independent && draw.edge == other.draw.edge;
  }
};

/// Tests one draw by itself: its child when it is accepted, else `no_node` and the residual without it.
template <class Real, class Chance>
[[nodiscard]] node_id test_draw(Chance& chance, std::uint64_t root_position, const listed_draw<Real>& one,
                                running_residual<Real>& residual) {
  if (accept_draw(chance, accept_key(root_position, one.draw.coin), one.drawn, residual.law())) return one.draw.child;
  reject_draw(one.drawn, residual);
  return no_node;
}

/// The draws below one node in draw order, without those that their own law could not have given. Reused from node to
/// node.
template <class Real>
class draw_list {
 public:
  void read(const token_draft<Real>& draft, node_id n) {
    draws_.clear();
    edges_.reset();
    draft.tree.for_each_draw(n, [&](const tree_draw& draw) {
      const proposal<Real> drawn = edges_.next(draft, draw.child, draw.edge);
      if (!drawn.impossible()) draws_.push_back({draw, drawn});
      return false;
    });
  }
  [[nodiscard]] std::span<const listed_draw<Real>> all() const noexcept { return draws_; }

  /// Length of the run of independent draws from one row that begins at `first`; 1 for other draws.
  [[nodiscard]] std::size_t run_from(std::size_t first) const noexcept {
    std::size_t end = first + 1;
    while (end < draws_.size() && draws_[first].in_one_run_with(draws_[end])) ++end;
    return end - first;
  }

 private:
  std::vector<listed_draw<Real>> draws_;
  edge_laws<Real> edges_;
};

/// Tests the draws of a list, runs of independent draws in groups of up to `longest` by `test_group(group)`, which is
/// the accepted child or `no_node` with the residual brought up to date; single draws by themselves.
template <class Real, class Chance, class TestGroup>
[[nodiscard]] node_id test_in_groups(Chance& chance, std::uint64_t root_position, const draw_list<Real>& list,
                                     running_residual<Real>& residual, std::size_t longest, TestGroup&& test_group) {
  const std::span<const listed_draw<Real>> draws = list.all();
  for (std::size_t first = 0; first < draws.size();) {
    const std::size_t count = std::min(longest, list.run_from(first));
    const node_id accepted =
        count == 1 ? test_draw(chance, root_position, draws[first], residual) : test_group(draws.subspan(first, count));
    if (accepted != no_node) return accepted;
    first += count;
  }
  return no_node;
}

/// A whole verification in which every node's draws are tested in groups; `work` has a residual and a draw list.
template <class Real, class Laws, class Chance, class Work, class TestGroup>
[[nodiscard]] error_code verify_in_groups(const token_draft<Real>& draft, Laws& target, Chance& chance,
                                          std::uint64_t root_position, Work& work, verdict& out, std::size_t longest,
                                          const TestGroup& test_group) {
  return walk_by_rejection(draft, target, chance, root_position, work.residual, out, [&](node_id n) {
    work.draws.read(draft, n);
    return test_in_groups(chance, root_position, work.draws, work.residual, longest, test_group);
  });
}

}  // namespace decant::inline DECANT_ABI::detail

#endif
