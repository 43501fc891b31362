// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Plain decoding as a drafter: the tree stays empty, every step emits one token. Fits every verifier.
#ifndef DECANT_DRAFT_NO_DRAFTER_HPP
#define DECANT_DRAFT_NO_DRAFTER_HPP

#include <decant/draft/drafter.hpp>

namespace decant::inline DECANT_ABI {

class no_drafter {
 public:
  // An empty tree satisfies every demand on edges, so it may call itself sampled.
  static constexpr tree_class produces = tree_class::counted;
  static constexpr bool chains_only = true;

  [[nodiscard]] std::size_t length() const noexcept { return length_; }
  result<void> extend(token_span tokens) noexcept {
    length_ += tokens.size();
    return {};
  }
  result<void> truncate(std::size_t length) noexcept {
    length_ = std::min(length_, length);
    return {};
  }
  template <class Real, class Chance>
  result<void> start(token_draft<Real>&, const draft_site&, Chance&) noexcept {
    return {};
  }
  template <class Real, class Chance>
  result<void> run(token_draft<Real>&, Chance&) noexcept {
    return {};
  }
  [[nodiscard]] node_span wanted() const noexcept { return {}; }
  void observe(const token_tree&, node_span) noexcept {}

 private:
  std::size_t length_ = 0;
};

static_assert(SelfDrivenDrafter<no_drafter>);

}  // namespace decant::inline DECANT_ABI

#endif
