// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A Model whose rows are a known law, for studying and proving algorithms without a network. It keeps what a KV cache
// keeps: a (token, position) pair for every committed token and every pending node. The row after a node is the law of
// the pairs VISIBLE to it (committed, ancestors, itself, what a probe sees besides), in order of position. When these
// positions are not 0, 1, 2, ... without gap or repetition, the row is deliberately another one: all mass on one token
// that the law does not give all mass to. So a wrong path, position, mask or rollback changes the text.
// Complexity: nothing is computed in a pass; a row costs O(visible tokens) and one call of the law, when it is first
// asked for.
#ifndef DECANT_MODEL_LAW_MODEL_HPP
#define DECANT_MODEL_LAW_MODEL_HPP

#include <decant/core/philox.hpp>
#include <decant/model/law.hpp>
#include <decant/model/lazy_rows.hpp>
#include <decant/model/model.hpp>
#include <decant/model/pending_nodes.hpp>

#include <utility>

namespace decant::inline DECANT_ABI {

/// What the rows of a law model hold.
enum class row_content : std::uint8_t {
  weights,  ///< the law's weights, for the `given_law` sampler
  logits    ///< their natural logarithms, -infinity for weight 0, for every other sampler
};

/// What a model was asked to do so far.
struct model_counts {
  std::size_t passes = 0;     ///< successful calls of evaluate
  std::size_t nodes = 0;      ///< nodes evaluated by them
  std::size_t rows = 0;       ///< rows asked for, each counted once a pass
  std::size_t prefilled = 0;  ///< tokens committed by prefill

  friend bool operator==(const model_counts&, const model_counts&) = default;
};

namespace detail {

/// Whether the positions are 0, 1, 2, ...
[[nodiscard]] constexpr bool is_consecutive(std::span<const cached_token> entries) noexcept {
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].position != static_cast<std::int64_t>(i)) return false;
  }
  return true;
}

/// 64 mixed bits of all tokens and positions.
[[nodiscard]] constexpr std::uint64_t mixed_bits(std::span<const cached_token> entries) noexcept {
  std::uint64_t mixed = entries.size();
  for (const cached_token entry : entries) {
    const philox_block bits =
        philox4x32({static_cast<std::uint32_t>(entry.id), static_cast<std::uint32_t>(entry.position),
                    static_cast<std::uint32_t>(mixed), static_cast<std::uint32_t>(mixed >> 32)},
                   0);
    mixed = (std::uint64_t{bits[0]} << 32) | bits[1];
  }
  return mixed;
}

}  // namespace detail

/// Errors: `invalid_token` (outside the vocabulary, virtual tokens included), `context_full` (more tokens and pending
/// nodes than the context holds), `invalid_tree` (see `pending_nodes`). After an error everything, the pending nodes
/// included, is as before. Rows are valid until the next call on the model, which must stay where it is meanwhile; a
/// row of another pass or of a node that was not in the pass is empty.
template <TokenLaw Law, row_content Content = row_content::weights>
class law_model {
 public:
  using real = typename Law::value_type;
  static_assert(Content == row_content::weights || std::is_floating_point_v<real>,
                "law_model: logits need a floating-point scalar; exact scalars have rows of weights");
  static constexpr bool evaluates_trees = true;
  static constexpr bool batch_invariant = true;
  static constexpr bool general_mask = true;
  static constexpr rollback_kind rollback = rollback_kind::full;

  using rows_type = pass_rows<law_model, real>;

  explicit law_model(Law law, std::size_t context_size = 4096) : law_(std::move(law)), context_size_(context_size) {}

  [[nodiscard]] std::size_t vocab_size() const noexcept { return law_.vocab_size(); }
  [[nodiscard]] std::size_t context_size() const noexcept { return context_size_; }
  [[nodiscard]] std::size_t length() const noexcept { return committed_.size(); }

  result<void> prefill(token_span tokens) {
    if (auto valid = detail::check_tokens(tokens, vocab_size()); !valid) return valid;
    if (tokens.size() > context_size_ - length()) return error_code::context_full;
    detail::make_room(committed_, length() + tokens.size());
    drop_pending();
    for (const token t : tokens) committed_.push_back({t, static_cast<std::int64_t>(length())});
    counts_.prefilled += tokens.size();
    return {};
  }

  result<rows_type> evaluate(const token_tree& tree, node_span nodes) {
    if (auto valid = detail::check_tree_tokens(tree, nodes, vocab_size()); !valid) return valid.error();
    if (nodes.size() > context_size_ - length() - pending_.size()) return error_code::context_full;
    const std::size_t first_slot = pending_.size();
    if (auto added = pending_.add(tree, nodes, length()); !added) return added.error();
    rows_.begin_pass(first_slot);
    ++counts_.passes;
    counts_.nodes += nodes.size();
    return rows_type(*this, rows_.pass());
  }

  /// Keeps these pending nodes, whatever they are: a path that is none leaves positions that break the law.
  result<void> commit(node_span path) {
    if (auto valid = pending_.check_path(path); !valid) return valid;
    detail::make_room(committed_, length() + path.size());
    for (const node_id n : path) committed_.push_back(pending_.entry(pending_.slot_of(n)));
    drop_pending();
    return {};
  }

  result<void> truncate(std::size_t length) {
    if (length < committed_.size()) committed_.resize(length);
    drop_pending();
    return {};
  }

  /// A model with the same law and committed tokens, without the pending nodes and with counts of its own.
  [[nodiscard]] result<law_model> fork() const {
    law_model copy(law_, context_size_);
    copy.committed_ = committed_;
    return copy;
  }

  [[nodiscard]] const Law& law() const noexcept { return law_; }
  [[nodiscard]] model_counts counts() const noexcept {
    model_counts seen = counts_;
    seen.rows = rows_.written();
    return seen;
  }
  /// The committed (token, position) pairs.
  [[nodiscard]] std::span<const cached_token> committed() const noexcept { return committed_; }

 private:
  friend rows_type;

  void drop_pending() noexcept {
    pending_.clear();
    rows_.end_pass();
  }

  [[nodiscard]] std::span<const real> row_after(node_id n, std::size_t pass) {
    const std::size_t slot = pending_.slot_of(n);
    if (slot == pending_nodes::none) return {};
    return rows_.row(slot, pass, vocab_size(), [&](std::span<real> out) { write_row(slot, out); });
  }

  void write_row(std::size_t slot, std::span<real> out) {
    detail::make_room(visible_, length() + pending_.size());
    visible_.assign(committed_.begin(), committed_.end());
    pending_.for_each_visible(slot, [this](std::size_t seen) { visible_.push_back(pending_.entry(seen)); });
    const auto by_position = [](cached_token a, cached_token b) { return a.position < b.position; };
    if (!std::is_sorted(visible_.begin(), visible_.end(), by_position)) {
      std::sort(visible_.begin(), visible_.end(), [](cached_token a, cached_token b) {
        return a.position != b.position ? a.position < b.position : a.id < b.id;
      });
    }
    detail::make_room(context_, length() + pending_.size());
    context_.clear();
    for (const cached_token seen : visible_) context_.push_back(seen.id);
    law_.weights(context_, out);
    if (!detail::is_consecutive(visible_)) break_law(out);
    if constexpr (Content == row_content::logits) {
      for (real& value : out) value = std::log(value);
    }
  }

  /// Moves all mass to one token, chosen by what is visible among those that do not hold it all anyway.
  void break_law(std::span<real> out) const {
    std::size_t chosen = detail::mixed_bits(visible_) % out.size();
    const auto mass = detail::sum_of<real>(out);
    if (static_cast<mass_t<real>>(out[chosen]) == mass) chosen = (chosen + 1) % out.size();
    for (real& weight : out) weight = real(0);
    out[chosen] = real(1);
  }

  Law law_;
  std::size_t context_size_;
  std::vector<cached_token> committed_;
  pending_nodes pending_;
  lazy_rows<real> rows_;
  model_counts counts_;
  std::vector<cached_token> visible_;
  std::vector<token> context_;
};

/// `make_law_model<row_content::logits>(law, context_size)`.
template <row_content Content = row_content::weights, TokenLaw Law>
[[nodiscard]] law_model<Law, Content> make_law_model(Law law, std::size_t context_size = 4096) {
  return law_model<Law, Content>(std::move(law), context_size);
}

}  // namespace decant::inline DECANT_ABI

#endif
