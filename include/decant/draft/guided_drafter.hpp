// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Draft rows guided into a tree by a builder, without a model: the host runs the draft passes. Each wanted node's
// logits row goes through the drafter's own sampler chain, and the resulting law q is both what tokens are drawn from
// and what the verifier later divides by, so the two can never differ (same scalar, same temperature, same truncation).
// A sampler that learns from emitted tokens is only advanced here, for committed tokens have no draft rows: its draft
// law is the one it starts with, which costs acceptance and no exactness. `model_drafter` is this plus a model; a host
// that batches the draft passes of many sequences uses it as it is.
#ifndef DECANT_DRAFT_GUIDED_DRAFTER_HPP
#define DECANT_DRAFT_GUIDED_DRAFTER_HPP

#include <decant/draft/drafter.hpp>
#include <decant/sample/node_laws.hpp>
#include <decant/tree/builder.hpp>

namespace decant::inline DECANT_ABI {

template <class Builder, class S = sampler_chain<>, class Real = float>
class guided_drafter {
 public:
  static_assert(TreeBuilder<Builder, Real>, "guided_drafter: the first parameter must be a tree builder");
  static_assert(Sampler<S, Real>, "guided_drafter: the second parameter must be a sampler");
  static constexpr tree_class produces = Builder::produces;
  static constexpr bool chains_only = Builder::chains_only;

  explicit guided_drafter(Builder builder = {}, S sampler = {})
      : builder_(std::move(builder)), sampler_(std::move(sampler)), state_(sampler_.initial_state()) {}

  [[nodiscard]] tree_class produces_value() const { return produces_of(builder_); }
  [[nodiscard]] bool chains_only_value() const { return makes_chains_only(builder_); }
  /// The builder's or the sampler's complaint about its parameters.
  [[nodiscard]] result<void> check() const {
    if (auto valid = check_of(builder_); !valid) return valid;
    return check_of(sampler_);
  }

  [[nodiscard]] std::size_t length() const noexcept { return tokens_.size(); }

  result<void> extend(token_span tokens) {
    const std::size_t size = tokens_.size() + tokens.size();
    if (size > tokens_.capacity()) tokens_.reserve(std::max(size, 2 * tokens_.capacity()));
    for (const token t : tokens) {
      begin_output_here();
      sampler_.advance(state_, t);
      tokens_.push_back(t);
    }
    return {};
  }
  /// O(length) when the sampler has a state, which is rebuilt; O(1) otherwise.
  result<void> truncate(std::size_t length) {
    if (length >= tokens_.size()) return {};
    if constexpr (!std::is_same_v<typename S::state_type, no_state>) rebuild_state(length);
    tokens_.resize(length);
    return {};
  }

  template <class Chance>
  result<void> start(token_draft<Real>& draft, const draft_site& site, Chance&) {
    site_ = site;
    const bool has_moved = std::exchange(output_begin_, site.output_begin) != site.output_begin;
    if (OutputSampler<S> && has_moved && output_begin_ < tokens_.size()) rebuild_state(tokens_.size());
    begin_output_here();
    states_.reset(state_);
    builder_.start(work_, draft, site.limits);
    return {};
  }

  /// Nodes whose draft rows the host must supply next. A builder that prunes renumbers the nodes of the finished draft:
  /// a host then finds the draft KV of node `n` under `draft.drafted_as(n)`.
  [[nodiscard]] node_span wanted() const { return builder_.wanted(work_); }

  /// Takes the rows of all wanted nodes and lets the builder go on.
  template <RowSource Rows, class Chance>
  result<void> supply(token_draft<Real>& draft, Rows& rows, Chance& chance) {
    for (const node_id n : wanted()) {
      const std::span<const Real> row = rows.row(n);
      if (row.empty()) return error_code::row_unavailable;
      if (row.size() != site_.vocab_size) return error_code::row_wrong_size;
      const auto& state = states_.after(sampler_, draft.tree, n);
      const error_code status = sampler_.law(row, state, scratch_, draft.add_row_after(n));
      if (status != error_code::none) return status;
    }
    builder_.grow(work_, draft, site_.root_position(), chance);
    return {};
  }

  void observe(const token_tree&, node_span) noexcept {}

  [[nodiscard]] const Builder& builder() const noexcept { return builder_; }
  [[nodiscard]] const S& sampler() const noexcept { return sampler_; }

 private:
  void begin_output_here() {
    if (tokens_.size() == output_begin_) begin_output(sampler_, state_);
  }
  /// Makes the state after the first `length` tokens.
  void rebuild_state(std::size_t length) {
    auto state = sampler_.initial_state();
    for (std::size_t i = 0; i < length; ++i) {
      if (i == output_begin_) begin_output(sampler_, state);
      sampler_.advance(state, tokens_[i]);
    }
    state_ = std::move(state);
  }

  Builder builder_;
  S sampler_;
  typename Builder::template work<Real> work_{};
  std::vector<token> tokens_;
  std::size_t output_begin_ = 0;
  typename S::state_type state_;
  node_states<S> states_;
  typename S::template scratch_type<Real> scratch_{};
  draft_site site_{};
};

}  // namespace decant::inline DECANT_ABI

#endif
