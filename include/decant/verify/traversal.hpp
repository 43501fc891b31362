// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Traversal verification (arXiv 2505.12398): block verification for trees. Leaves are judged first; a node is judged
// only after all its children have failed, and then accepts the whole path from the root to it by the joint ratio of
// the two models. With `a` the weight with which the path to a node may be accepted and R the running target law there:
//   a child x drawn from Q is tried with weight min(1, a R(x) / Q(x)); when it fails, S = sum relu(a R - Q),
//   a <- S / (S + 1 - a), R <- norm(relu(a R - Q)); when no draw is left the node succeeds with probability a and is
//   followed by a token from R. The root always succeeds.
// No official code was found: the formulas are those of the paper, the recursion is reconstructed and proved by
// enumeration. On a chain it is block verification, on one level recursive rejection.
// Guarantee: exact in law for predictable trees with true edge laws (docs/guarantees.md).
// Needs: target laws of inner nodes with a chance of acceptance and of an accepted leaf, edge laws. Complexity: one
// residual pass per rejected draw, on all paths, but for the last draw of a node that a alone refuses (core/chance.hpp,
// `accept_within`: a failed draw never raises a); memory of one residual per level of the tree. Worked example (V = 4,
// p = (.4,.3,.2,.1), q = (.1,.4,.2,.3), two children without replacement on two levels): 2.4235 tokens a step, where
// recursive rejection has 2.3866.
#ifndef DECANT_VERIFY_TRAVERSAL_HPP
#define DECANT_VERIFY_TRAVERSAL_HPP

#include <decant/verify/edge_laws.hpp>
#include <decant/verify/verifier.hpp>

namespace decant::inline DECANT_ABI {

namespace detail {

/// The weight with which a path may go on with a draw, when it may reach the draw's parent with `weight`.
template <class Real>
[[nodiscard]] mass_t<Real> path_weight(const mass_t<Real>& weight, distribution_view<Real> law,
                                       const proposal<Real>& drawn) {
  using mass = mass_t<Real>;
  const mass one(1);
  const mass wanted = weight * static_cast<mass>(law.weight_of(drawn.id)) * (drawn.point_mass ? one : drawn.mass);
  const mass offered = law.mass() * (drawn.point_mass ? one : static_cast<mass>(drawn.weight));
  return wanted < offered ? mass(wanted / offered) : one;
}

/// A running target law with the weight with which its node may be accepted.
template <class Real>
struct weighted_residual {
  running_residual<Real> target;
  mass_t<Real> weight{1};

  void reset(distribution_view<Real> law, const mass_t<Real>& acceptance) {
    target.reset(law);
    weight = acceptance;
  }

  /// What is left when a draw has failed.
  void reject(const proposal<Real>& drawn) {
    using mass = mass_t<Real>;
    const mass left = drawn.point_mass ? remove(drawn.id) : target.subtract(drawn.row, drawn.mass, weight);
    const mass all = left + mass(1) - weight;
    weight = all > mass(0) ? mass(left / all) : mass(1);
  }

 private:
  mass_t<Real> remove(token id) {
    using mass = mass_t<Real>;
    const auto law = target.law();
    const mass before = law.mass();
    const mass share = weight * (before - static_cast<mass>(law.weight_of(id))) / before;
    target.remove(id);
    return share > mass(0) ? share : mass(0);
  }
};

}  // namespace detail

struct traversal {
  static constexpr guarantee promises = guarantee::exact_in_law;
  static constexpr edge_needs needs = edge_needs::true_laws;
  static constexpr shape_needs shape = shape_needs::any_tree;

  /// The nodes of the path under trial, each with the draws below it that are still to be tried.
  template <class Real>
  class work {
   public:
    struct frame {
      node_id node = 0;
      node_id coin = 0;
      detail::weighted_residual<Real> running;
      edge_laws<Real> edges;
      proposal<Real> drawn;        // the draw that led to the frame above
      std::size_t next_draw = 0;   // into the list of draws
      std::size_t first_draw = 0;  // where the draws of this node begin
      bool is_behind = false;      // whether `drawn` has failed and `running` does not know it yet

      /// The weight with which the node may be accepted.
      [[nodiscard]] const mass_t<Real>& weight() {
        catch_up();
        return running.weight;
      }
      void catch_up() {
        if (is_behind) running.reject(drawn);
        is_behind = false;
      }
    };

    struct trial {
      tree_draw draw;
      bool may_open;
    };

    void clear() noexcept {
      depth_ = 0;
      draws_.clear();
    }
    [[nodiscard]] std::size_t depth() const noexcept { return depth_; }
    [[nodiscard]] frame& top() noexcept { return frames_[depth_ - 1]; }
    [[nodiscard]] const frame& operator[](std::size_t level) const noexcept { return frames_[level]; }

    void push(const token_tree& tree, node_id n, node_id coin, distribution_view<Real> law,
              const mass_t<Real>& weight) {
      if (depth_ == frames_.size()) frames_.emplace_back();
      frame& opened = frames_[depth_++];
      opened.node = n;
      opened.coin = coin;
      opened.running.reset(law, weight);
      opened.is_behind = false;
      opened.edges.reset();
      opened.first_draw = opened.next_draw = draws_.size();
      tree.for_each_draw(n, [&](const tree_draw& draw) {
        draws_.push_back({draw, true});
        return false;
      });
    }
    void pop() {
      draws_.resize(top().first_draw);
      --depth_;
    }
    /// The next draw to be tried below the top, or null.
    [[nodiscard]] const trial* next() { return top().next_draw < draws_.size() ? &draws_[top().next_draw++] : nullptr; }
    /// A child fails once: nothing is left of its token in the running law, but for rounding.
    void open_once(node_id child) {
      for (std::size_t i = top().next_draw; i < draws_.size(); ++i) {
        if (draws_[i].draw.child == child) draws_[i].may_open = false;
      }
    }

   private:
    std::vector<frame> frames_;  // kept for their memory
    std::vector<trial> draws_;
    std::size_t depth_ = 0;
  };

  template <class Real, class Laws, class Chance>
  [[nodiscard]] error_code verify(const token_draft<Real>& draft, Laws& target, Chance& chance,
                                  std::uint64_t root_position, work<Real>& scratch, verdict& out) const {
    using mass = mass_t<Real>;
    out.reset();
    scratch.clear();
    if (!open(draft.tree, target, scratch, 0, 0, mass(1))) return target.status();
    for (;;) {
      if (const auto* next = scratch.next(); next != nullptr) {
        const auto [draw, may_open] = *next;
        auto& here = scratch.top();
        here.catch_up();
        here.drawn = here.edges.next(draft, draw.child, draw.edge);
        if (here.drawn.impossible()) continue;
        const mass weight = detail::path_weight(here.running.weight, here.running.target.law(), here.drawn);
        if (!may_open || !(weight > mass(0))) {
          here.is_behind = true;
          continue;
        }
        scratch.open_once(draw.child);
        const bool is_leaf = draft.tree.first_child(draw.child) == no_node;
        if (is_leaf && !chance.accept(accept_key(root_position, draw.coin), weight, mass(1))) {
          here.is_behind = true;
          continue;
        }
        if (!open(draft.tree, target, scratch, draw.child, draw.coin, weight)) return target.status();
        if (is_leaf) break;
        continue;
      }
      auto& judged = scratch.top();
      const auto weight = [&judged] { return judged.weight(); };
      if (judged.node == 0 ||
          accept_within(chance, accept_key(root_position, judged.coin), judged.running.weight, weight)) {
        break;
      }
      scratch.pop();
      scratch.top().is_behind = true;
    }
    scratch.top().catch_up();
    for (std::size_t level = 1; level < scratch.depth(); ++level) out.path.push_back(scratch[level].node);
    finish(out, chance.pick(sample_key(root_position + out.path.size()), scratch.top().running.target.law()),
           draft.tree, last_token_kind::correction);
    return error_code::none;
  }

  friend constexpr bool operator==(traversal, traversal) { return true; }

 private:
  template <class Real, class Laws>
  [[nodiscard]] static bool open(const token_tree& tree, Laws& target, work<Real>& scratch, node_id n, node_id coin,
                                 const mass_t<Real>& weight) {
    const distribution<Real>* law = target.law(n);
    if (law == nullptr) return false;
    scratch.push(tree, n, coin, law->view(), weight);
    return true;
  }
};

static_assert(Verifier<traversal>);

}  // namespace decant::inline DECANT_ABI

#endif
