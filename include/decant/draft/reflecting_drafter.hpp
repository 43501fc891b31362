// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The draft shown a second time behind a prompt (arXiv 2505.18629), for verify/reflective.hpp. Around any drafter: when
// its draft is ready, probes are appended that are evaluated in the same target pass and never accepted:
//   root -> reflect prompt -> the last tokens of the text, the root last -> a copy of every inner node of the draft.
// The last of the repeated text tokens is the copy of the root, and copies hang together as the nodes do. A copy also
// sees nodes of the draft itself, the one it copies listed last (which is how a verifier finds it). Positions go on
// after the deepest drafted node.
// What of the draft a copy sees:
//   own_path     the path to its node, in trees and chains; then the fused law is the law that is emitted;
//   whole_draft  all of it, and so do prompt and text: ordinary causal attention over a longer chain, as in the paper.
// Prompt, number of repeated text tokens and the form for trees are reconstructed; the paper's were not available.
// Guarantee: the draft is what the drafter makes under smaller limits, so its laws and its tree class stay.
// Needs: a target with general masks, in `limits.nodes` room for prompt, text and twice the draft.
// Complexity: O(nodes * depth) per draft (whole_draft: O(nodes^2)). Example: a chain of 4 with a prompt of 3 and 8
// repeated tokens has 4 + 3 + 8 + 3 nodes.
#ifndef DECANT_DRAFT_REFLECTING_DRAFTER_HPP
#define DECANT_DRAFT_REFLECTING_DRAFTER_HPP

#include <decant/core/rows.hpp>
#include <decant/draft/drafter.hpp>

namespace decant::inline DECANT_ABI {

/// What of the draft a copy sees beside the text and the probes above it.
enum class reflection_view : std::uint8_t { own_path, whole_draft };

struct reflection_settings {
  std::vector<token> prompt{};       ///< tokens that ask the target to check and correct what it has read
  std::int32_t repeated_tokens = 8;  ///< last tokens of the text that are repeated after the prompt; at least 1
  reflection_view view = reflection_view::own_path;

  [[nodiscard]] result<void> check() const {
    if (repeated_tokens < 1) {
      return error{error_code::invalid_argument, "reflection_settings: repeated_tokens is below 1"};
    }
    return {};
  }

  friend bool operator==(const reflection_settings&, const reflection_settings&) = default;
};

template <class D>
class reflecting_drafter {
 public:
  static constexpr tree_class produces = D::produces;
  static constexpr bool chains_only = false;  // probes hang on its chains

  explicit reflecting_drafter(D inner, reflection_settings settings = {})
      : inner_(std::move(inner)), settings_(std::move(settings)) {}

  [[nodiscard]] tree_class produces_value() const { return produces_of(inner_); }
  [[nodiscard]] bool chains_only_value() const { return false; }
  [[nodiscard]] result<void> check() const {
    if (auto valid = settings_.check(); !valid) return valid;
    return check_of(inner_);
  }

  [[nodiscard]] std::size_t length() const { return inner_.length(); }
  result<void> extend(token_span tokens) { return inner_.extend(tokens); }
  result<void> truncate(std::size_t length) { return inner_.truncate(length); }

  /// `invalid_argument` for settings out of range or, with `whole_draft`, once the draft is no chain.
  template <class Real, class Chance>
  result<void> start(token_draft<Real>& draft, const draft_site& site, Chance& chance) {
    if (auto valid = settings_.check(); !valid) return valid;
    repeated_.assign(last_tokens(site.context).begin(), last_tokens(site.context).end());
    is_complete_ = false;
    draft_site smaller = site;
    smaller.limits.nodes = room_for_draft(site.limits.nodes);
    if (smaller.limits.nodes == 0) smaller.limits.depth = 0;
    if (auto started = inner_.start(draft, smaller, chance); !started) return started;
    if constexpr (SelfDrivenDrafter<D, Real>) {
      return {};
    } else {
      return complete(draft.tree);
    }
  }

  [[nodiscard]] node_span wanted() const { return inner_.wanted(); }

  template <class Real, class Chance>
  requires SelfDrivenDrafter<D, Real> result<void> run(token_draft<Real>& draft, Chance& chance) {
    if (auto grown = inner_.run(draft, chance); !grown) return grown;
    return complete(draft.tree);
  }

  template <class Real, RowSource Rows, class Chance>
  requires HostDrivenDrafter<D, Real> result<void> supply(token_draft<Real>& draft, Rows& rows, Chance& chance) {
    if (auto grown = inner_.supply(draft, rows, chance); !grown) return grown;
    return complete(draft.tree);
  }

  void observe(const token_tree& tree, node_span kept) { inner_.observe(tree, kept); }

  [[nodiscard]] D& inner() noexcept { return inner_; }
  [[nodiscard]] const reflection_settings& settings() const noexcept { return settings_; }

 private:
  [[nodiscard]] token_span last_tokens(token_span context) const noexcept {
    return context.last(std::min(context.size(), index(settings_.repeated_tokens)));
  }

  /// Most nodes n of a draft such that n, the probes before the copies and n - 1 copies fit.
  [[nodiscard]] std::int32_t room_for_draft(std::int32_t nodes) const noexcept {
    const auto before_copies = static_cast<std::int32_t>(settings_.prompt.size() + repeated_.size());
    return std::max(0, (nodes - before_copies + 1) / 2);
  }

  /// Appends the probes once the draft is ready.
  result<void> complete(token_tree& tree) {
    if (is_complete_ || !inner_.wanted().empty()) return {};
    is_complete_ = true;
    if (tree.size() == 1) return {};
    if (settings_.view == reflection_view::whole_draft && !tree.is_chain()) {
      return error{error_code::invalid_argument, "reflecting_drafter: only the whole of a chain can be seen"};
    }
    const std::size_t drafted = tree.size();
    std::int32_t position = 0;
    for (const node_id n : tree.all()) position = std::max(position, tree.position_offset(n));
    node_id above = 0;
    for (const token t : settings_.prompt) above = append(tree, above, t, drafted, no_node, ++position);
    for (const token t : token_span(repeated_).first(repeated_.size() - 1)) {
      above = append(tree, above, t, drafted, no_node, ++position);
    }
    copy_of_.assign(drafted, no_node);
    copy_of_[0] = append(tree, above, repeated_.back(), drafted, 0, ++position);
    for (node_id n = 1; index(n) < drafted; ++n) {
      if (tree.kind(n) != node_kind::drafted || tree.first_child(n) == no_node) continue;
      copy_of_[index(n)] =
          append(tree, copy_of_[index(tree.parent(n))], tree.token_of(n), drafted, n, position + tree.depth(n));
    }
    return {};
  }

  /// A probe that sees what it should of the first `drafted` nodes, `copied` listed last.
  node_id append(token_tree& tree, node_id above, token t, std::size_t drafted, node_id copied, std::int32_t position) {
    seen_.clear();
    if (settings_.view == reflection_view::whole_draft) {
      for (node_id n = 1; index(n) < drafted; ++n) {
        if (n != copied) seen_.push_back(n);
      }
    } else {
      for (node_id n = copied; n > 0; n = tree.parent(n)) seen_.push_back(n);
      std::reverse(seen_.begin(), seen_.end());
      if (!seen_.empty()) seen_.pop_back();
    }
    if (copied != no_node) seen_.push_back(copied);
    return tree.append_probe(above, t, seen_, position);
  }

  D inner_;
  reflection_settings settings_;
  std::vector<token> repeated_;
  std::vector<node_id> copy_of_;
  std::vector<node_id> seen_;
  bool is_complete_ = false;
};

}  // namespace decant::inline DECANT_ABI

#endif
