// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Several drafters that draft the same step, their trees merged into one (SpecInfer's merge-based trees,
// arXiv 2305.09781): several small draft models, or a model beside prompt lookup. Nodes with equal token paths become
// one node that keeps every law its token was drawn from; a coupling verifier tests each of them. The draws of a part
// come before those of the next.
// All parts get the same limits; of what they drafted, the merged tree takes the first `limits.nodes` nodes, so put the
// best drafter first and give each part's builder its share. The cut counts draws and never looks at their tokens.
// Guarantee: that of the parts. Each part draws in a lane of its own (`chance_lane`), so that draws are independent;
// part 0 draws what it would draw alone.
// Needs: parts that finish their drafts by themselves. Complexity: that of the parts, one after the other, and the
// copying of the rows of all parts but the first.
// Example: toy A of the proofs with a second draft law, one child of the root from each, each extended by one token of
// its own law: 2.403 tokens per step under recursive rejection, 2.453 under traversal, while the two stay apart.
#ifndef DECANT_DRAFT_MERGED_DRAFTER_HPP
#define DECANT_DRAFT_MERGED_DRAFTER_HPP

#include <decant/draft/drafter.hpp>
#include <decant/tree/merge.hpp>

#include <array>
#include <tuple>

namespace decant::inline DECANT_ABI {

namespace detail {

/// The class of the merged trees of parts with these classes.
template <class... Classes>
[[nodiscard]] constexpr tree_class class_after_merging_all(tree_class first, Classes... others) noexcept {
  ((first = class_after_merging(first, others)), ...);
  return first;
}

}  // namespace detail

/// `merged_drafter<float, A, B>(a, b)` for parts with draft scalar `Real`. A type-erased part must name the source it
/// will meet: `any_drafter<float, chance_lane<philox_chance>>`. Merge many parts at once; lanes do not nest.
template <class Real, class... Parts>
class merged_drafter {
 public:
  static_assert(sizeof...(Parts) >= 1 && (SelfDrivenDrafter<Parts, Real> && ...),
                "merged_drafter: every part must be a drafter that finishes its draft by itself");

  static constexpr tree_class produces = detail::class_after_merging_all(Parts::produces...);
  static constexpr bool chains_only = false;

  explicit merged_drafter(Parts... parts, std::int32_t max_nodes = draft_merger::unlimited)
      : parts_(std::move(parts)...), max_nodes_(max_nodes) {}

  [[nodiscard]] tree_class produces_value() const {
    return std::apply([](const auto&... part) { return detail::class_after_merging_all(produces_of(part)...); },
                      parts_);
  }

  /// The first complaint of a part about its parameters.
  [[nodiscard]] result<void> check() const {
    result<void> first;
    const auto ask = [&first](const auto& part) {
      if (first.has_value()) first = check_of(part);
    };
    std::apply([&](const auto&... part) { (ask(part), ...); }, parts_);
    return first;
  }

  /// What all parts know.
  [[nodiscard]] std::size_t length() const {
    return std::apply([](const auto&... part) { return std::min({static_cast<std::size_t>(part.length())...}); },
                      parts_);
  }
  /// A part that is ahead of the others, after one of them failed, is given the rest only.
  result<void> extend(token_span tokens) {
    const std::size_t known = length();
    return for_each_part([&](auto& part, std::size_t) {
      return part.extend(tokens.subspan(std::min(tokens.size(), static_cast<std::size_t>(part.length()) - known)));
    });
  }
  result<void> truncate(std::size_t length) {
    return for_each_part([&](auto& part, std::size_t) { return part.truncate(length); });
  }

  template <class Chance>
  result<void> start(token_draft<Real>& draft, const draft_site& site, Chance& chance) {
    max_nodes_now_ = std::min(max_nodes_, site.limits.nodes);
    return for_each_part([&](auto& part, std::size_t i) {
      chance_lane<Chance> lane{chance, static_cast<std::uint32_t>(i)};
      if (i > 0) drafts_[i].reset(draft.tree.token_of(0));
      return part.start(i > 0 ? drafts_[i] : draft, site, lane);
    });
  }
  [[nodiscard]] node_span wanted() const noexcept { return {}; }

  template <class Chance>
  result<void> run(token_draft<Real>& draft, Chance& chance) {
    return for_each_part([&](auto& part, std::size_t i) -> result<void> {
      chance_lane<Chance> lane{chance, static_cast<std::uint32_t>(i)};
      if (auto done = part.run(i > 0 ? drafts_[i] : draft, lane); !done) return done;
      if (i > 0) {
        mergers_[i].merge(draft, drafts_[i], max_nodes_now_);
      } else {
        drafts_[0].tree = draft.tree;  // its nodes keep their ids
      }
      return {};
    });
  }

  /// Tells each part its own tree, and the kept path as far as it lies in that tree.
  void observe(const token_tree&, node_span kept) {
    (void)for_each_part([&](auto& part, std::size_t i) -> result<void> {
      own_path_.clear();
      for (const node_id n : kept) {
        const node_id own = own_id(i, n);
        if (own == no_node) break;
        own_path_.push_back(own);
      }
      part.observe(drafts_[i].tree, own_path_);
      return {};
    });
  }

  /// Part number `I`.
  template <std::size_t I>
  [[nodiscard]] auto& part() noexcept {
    return std::get<I>(parts_);
  }

 private:
  /// Calls `visit(part, number)` for every part until one of the calls fails.
  template <class Visit>
  result<void> for_each_part(const Visit& visit) {
    result<void> done;
    std::size_t next = 0;
    std::apply([&](auto&... part) { (void)((done = visit(part, next++)) && ...); }, parts_);
    return done;
  }

  /// The node of part `i` that became node `n` of the merged tree, or `no_node`.
  [[nodiscard]] node_id own_id(std::size_t i, node_id n) const {
    if (i > 0) return mergers_[i].came_from(n);
    return drafts_[0].tree.contains(n) ? n : no_node;
  }

  std::tuple<Parts...> parts_;
  std::int32_t max_nodes_;
  std::int32_t max_nodes_now_ = 0;
  std::array<token_draft<Real>, sizeof...(Parts)> drafts_;  // entry 0: the tree only, its rows are in the merged draft
  std::array<draft_merger, sizeof...(Parts)> mergers_;      // entry 0 is unused
  std::vector<node_id> own_path_;
};

/// Deduces the parts: `make_merged_drafter(a, b, c)`; the scalar is float unless it is named.
template <class Real = float, class... Parts>
[[nodiscard]] merged_drafter<Real, Parts...> make_merged_drafter(Parts... parts) {
  return merged_drafter<Real, Parts...>(std::move(parts)...);
}

}  // namespace decant::inline DECANT_ABI

#endif
