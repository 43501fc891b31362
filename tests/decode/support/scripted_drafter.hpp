// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A drafter whose trees come from a function of the test, good or hostile.
#ifndef DECANT_TESTS_DECODE_SCRIPTED_DRAFTER_HPP
#define DECANT_TESTS_DECODE_SCRIPTED_DRAFTER_HPP

#include <decant/draft/drafter.hpp>

#include <functional>

namespace decant_test {

/// `fill(draft, site)` writes the tree below the root.
template <decant::tree_class Class = decant::tree_class::deterministic, bool ChainsOnly = false>
class scripted_drafter {
 public:
  using fill_type = std::function<void(decant::token_draft<float>&, const decant::draft_site&)>;
  static constexpr decant::tree_class produces = Class;
  static constexpr bool chains_only = ChainsOnly;

  explicit scripted_drafter(fill_type fill) : fill_(std::move(fill)) {}

  [[nodiscard]] std::size_t length() const { return length_; }
  decant::result<void> extend(decant::token_span tokens) {
    length_ += tokens.size();
    return {};
  }
  decant::result<void> truncate(std::size_t length) {
    length_ = std::min(length, length_);
    return {};
  }
  template <class Chance>
  decant::result<void> start(decant::token_draft<float>& draft, const decant::draft_site& site, Chance&) {
    fill_(draft, site);
    return {};
  }
  template <class Chance>
  decant::result<void> run(decant::token_draft<float>&, Chance&) {
    return {};
  }
  [[nodiscard]] decant::node_span wanted() const { return {}; }
  void observe(const decant::token_tree&, decant::node_span) {}

 private:
  fill_type fill_;
  std::size_t length_ = 0;
};

static_assert(decant::SelfDrivenDrafter<scripted_drafter<>>);

}  // namespace decant_test

#endif
