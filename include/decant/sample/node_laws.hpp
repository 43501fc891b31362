// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Processed distributions along a token tree, made only for the nodes that are asked for, each with the sampler state
// of its own path. This is what a verifier sees of the target, and what a drafter uses for its own rows.
#ifndef DECANT_SAMPLE_NODE_LAWS_HPP
#define DECANT_SAMPLE_NODE_LAWS_HPP

#include <decant/core/rows.hpp>
#include <decant/core/token_draft.hpp>
#include <decant/sample/sampler.hpp>

namespace decant::inline DECANT_ABI {

/// Sampler states along the paths of one tree, made when they are first asked for. Reused from step to step.
template <class S>
class node_states {
 public:
  using state_type = typename S::state_type;

  /// Starts a new tree whose root is in state `root_state` (all committed tokens, the root included).
  void reset(const state_type& root_state) {
    used_ = 0;
    slot_.clear();
    add(0, root_state);
  }

  /// The state after node `n`. The reference is valid until the next call. O(unvisited ancestors).
  [[nodiscard]] const state_type& after(const S& sampler, const token_tree& tree, node_id n) {
    return after(tree, n, [&](state_type& state, node_id child) { sampler.advance(state, tree.token_of(child)); });
  }
  /// As above, for a sampler that learns from what was drawn: `advance(state, node)` is the state after the parent made
  /// the one after the node.
  template <class Advance>
  [[nodiscard]] const state_type& after(const token_tree& tree, node_id n, Advance&& advance) {
    if (index(n) >= slot_.size()) slot_.resize(tree.size(), -1);
    if (slot_[index(n)] >= 0) return states_[index(slot_[index(n)])];
    (void)after(tree, tree.parent(n), advance);
    state_type& state = add(n, states_[index(slot_[index(tree.parent(n))])]);
    advance(state, n);
    return state;
  }

 private:
  state_type& add(node_id n, const state_type& value) {
    if (slot_.size() <= index(n)) slot_.resize(index(n) + 1, -1);
    slot_[index(n)] = static_cast<std::int32_t>(used_);
    if (used_ == states_.size()) {
      states_.push_back(state_type(value));  // a copy first: `value` may live in the vector that grows
    } else {
      states_[used_] = value;
    }
    return states_[used_++];
  }

  std::vector<std::int32_t> slot_;
  std::vector<state_type> states_;
  std::size_t used_ = 0;
};

/// Reusable memory of `node_laws`.
template <class Real, class S>
class law_workspace {
 private:
  template <class, class, class>
  friend class node_laws;

  void reset(const typename S::state_type& root_state, std::size_t node_count) {
    states_.reset(root_state);
    slot_.assign(node_count, -1);
    laws_.reserve(node_count);  // laws handed out stay where they are for the whole step
    used_ = 0;
  }

  node_states<S> states_;
  std::vector<std::int32_t> slot_;
  std::vector<distribution<Real>> laws_;
  std::size_t used_ = 0;
  typename S::template scratch_type<Real> scratch_;
};

/// The lazily processed laws of one tree. Lives for one step; refers to everything it is given.
template <class Real, class S, class Rows>
class node_laws {
 public:
  using value_type = Real;
  static_assert(std::is_same_v<typename Rows::value_type, Real>, "rows and draft use the same scalar");

  /// `root_state` is the sampler's state after all committed tokens, the root included.
  node_laws(const S& sampler, const typename S::state_type& root_state, const token_tree& tree, Rows& rows,
            law_workspace<Real, S>& work, std::size_t vocab_size)
      : sampler_(sampler), tree_(tree), rows_(rows), work_(work), vocab_size_(vocab_size) {
    work_.reset(root_state, tree.size());
  }

  /// The law after node `n`, or nullptr when its row is missing or bad: then `status()` says why. The pointer is valid
  /// for the whole step.
  [[nodiscard]] const distribution<Real>* law(node_id n) {
    std::int32_t& slot = work_.slot_[index(n)];
    if (slot >= 0) return &work_.laws_[index(slot)];
    const std::span<const Real> row = rows_.row(n);
    if (work_.used_ == work_.laws_.size()) work_.laws_.emplace_back();
    distribution<Real>& law = work_.laws_[work_.used_];
    status_ = row.empty()                 ? error_code::row_unavailable
              : row.size() != vocab_size_ ? error_code::row_wrong_size
                                          : sampler_.law(row, state(n), work_.scratch_, law);
    if (status_ != error_code::none) return nullptr;
    slot = static_cast<std::int32_t>(work_.used_++);
    return &law;
  }

  /// The sampler's state after node `n`, valid until the next call. Of a sampler that learns, nodes were drawn after
  /// the rows of their parents.
  [[nodiscard]] const typename S::state_type& state(node_id n) {
    return work_.states_.after(tree_, n, [this](typename S::state_type& state, node_id child) {
      const double observed = observe(state, tree_.parent(child), tree_.token_of(child));
      advance_observed<Real>(sampler_, state, tree_.token_of(child), observed);
    });
  }

  /// What the sampler learns from token `t` drawn after node `n`; NaN if nothing.
  [[nodiscard]] double observe(node_id n, token t) { return observe(state(n), n, t); }

  /// Why the sampler could not learn from a node, if that has happened.
  [[nodiscard]] error_code learning_status() const noexcept { return learning_status_; }

  /// Why the last `law` returned nullptr.
  [[nodiscard]] error_code status() const noexcept { return status_; }
  /// Number of rows processed so far: the cost of the step.
  [[nodiscard]] std::size_t processed() const noexcept { return work_.used_; }

 private:
  [[nodiscard]] double observe([[maybe_unused]] const typename S::state_type& before, [[maybe_unused]] node_id n,
                               [[maybe_unused]] token t) {
    if constexpr (LearningSampler<S, Real>) {
      if (sampler_.learns()) {
        const std::span<const Real> row = rows_.row(n);
        if (row.size() == vocab_size_) return sampler_.observe(row, before, work_.scratch_, t);
        learning_status_ = row.empty() ? error_code::row_unavailable : error_code::row_wrong_size;
      }
    }
    return std::numeric_limits<double>::quiet_NaN();
  }

  const S& sampler_;
  const token_tree& tree_;
  Rows& rows_;
  law_workspace<Real, S>& work_;
  std::size_t vocab_size_;
  error_code status_ = error_code::none;
  error_code learning_status_ = error_code::none;
};

}  // namespace decant::inline DECANT_ABI

#endif
