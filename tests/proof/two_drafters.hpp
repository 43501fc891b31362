// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Drafters with two draft models, for the proofs of trees whose siblings come from different laws.
#ifndef DECANT_TESTS_PROOF_TWO_DRAFTERS_HPP
#define DECANT_TESTS_PROOF_TWO_DRAFTERS_HPP

#include <decant/draft/merged_drafter.hpp>
#include <decant/proof/toys.hpp>

#include <string>

namespace decant_test {

using namespace decant;  // NOLINT: test support

/// The second draft law of toys A and B: r(v | s) = r0[(v + 3 sum(s)) mod 4], r0 = (.3, .1, .35, .25).
template <class Real>
[[nodiscard]] proof::erased_law<Real> second_draft_law() {
  return shifted_law<Real>::toy_a_second_draft(1);
}

/// What to do when the second law gives a token that the first gave already.
enum class duplicate_rule {
  keep_both,     ///< two siblings with one token
  record_again,  ///< one node, tested once more
  drop           ///< forget the second draw, a bias
};

/// One child of the root from each of two laws, each followed by `depth - 1` tokens of its own law.
template <class Real>
class two_law_drafter {
 public:
  static constexpr tree_class produces = tree_class::counted;
  static constexpr bool chains_only = false;

  two_law_drafter(proof::erased_law<Real> first, proof::erased_law<Real> second, duplicate_rule duplicates,
                  std::int32_t depth)
      : laws_{std::move(first), std::move(second)}, duplicates_(duplicates), depth_(depth) {}

  [[nodiscard]] std::size_t length() const noexcept { return context_.size(); }
  result<void> extend(token_span tokens) {
    context_.insert(context_.end(), tokens.begin(), tokens.end());
    return {};
  }
  result<void> truncate(std::size_t length) {
    context_.resize(std::min(length, context_.size()));
    return {};
  }
  template <class Chance>
  result<void> start(token_draft<Real>&, const draft_site& site, Chance&) {
    depth_left_ = std::min(depth_, site.limits.depth);
    root_position_ = site.root_position();
    return {};
  }
  [[nodiscard]] node_span wanted() const noexcept { return {}; }
  template <class Chance>
  result<void> run(token_draft<Real>& draft, Chance& chance) {
    if (depth_left_ == 0) return {};
    const node_id from_first = grow(draft, chance, laws_[0], 0);
    const node_id from_second = grow(draft, chance, laws_[1], 0);
    extend_below(draft, chance, laws_[0], from_first);
    extend_below(draft, chance, laws_[1], from_second);
    return {};
  }
  void observe(const token_tree&, node_span) noexcept {}

 private:
  /// Draws one token below `n`; returns its node, `no_node` when it was dropped.
  template <class Chance>
  node_id grow(token_draft<Real>& draft, Chance& chance, const proof::erased_law<Real>& law, node_id n) {
    const auto row = static_cast<std::int32_t>(draft.rows.size());
    distribution<Real>& stored = draft.rows.add();
    draft.tree.path_tokens(n, path_);
    std::vector<token> before = context_;
    before.insert(before.end(), path_.begin(), path_.end());
    if (law_after(law, before, stored) != error_code::none) return no_node;
    const token drawn = chance.pick(draft_key(root_position_, row), stored.view());
    const tree_edge edge{edge_law::independent, row};
    const node_id known = draft.tree.child_with(n, drawn);
    if (known == no_node || duplicates_ == duplicate_rule::keep_both) return draft.tree.append(n, drawn, edge);
    if (duplicates_ == duplicate_rule::record_again) draft.tree.repeat(known, edge);
    return no_node;
  }
  template <class Chance>
  void extend_below(token_draft<Real>& draft, Chance& chance, const proof::erased_law<Real>& law, node_id n) {
    for (std::int32_t i = 1; i < depth_left_ && n != no_node; ++i) n = grow(draft, chance, law, n);
  }

  proof::erased_law<Real> laws_[2];
  duplicate_rule duplicates_;
  std::int32_t depth_;
  std::int32_t depth_left_ = 0;
  std::uint64_t root_position_ = 0;
  std::vector<token> context_;
  std::vector<token> path_;
};

/// Two drafters whose drafts are merged, each drawing in a lane of its own.
template <class Real, class First, class Second>
using merging_drafter = merged_drafter<Real, First, Second>;

}  // namespace decant_test

#endif
