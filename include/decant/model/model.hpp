// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a language model offers to the loops of decode/, to model drafters and to search. Verifiers, builders, samplers
// and the speculation state machine never see one: a host that owns its engine needs no Model.
#ifndef DECANT_MODEL_MODEL_HPP
#define DECANT_MODEL_MODEL_HPP

#include <decant/core/rows.hpp>
#include <decant/core/token_tree.hpp>

namespace decant::inline DECANT_ABI {

/// Requirements. A model holds one sequence: `length()` committed tokens whose state (KV cache) it keeps, and pending
/// nodes of the last tree, evaluated but not committed.
/// - `prefill(tokens)`: commits tokens after the present ones; no rows. Drops pending nodes first.
/// - `evaluate(tree, nodes)`: evaluates these nodes (ids ascending) on top of the committed tokens and of nodes of the
/// same
///   tree evaluated since the last commit, prefill or truncate; the parent of each is among those or in the list, the
///   root's parent being the committed text. The root sits at position `length()`, a node at
///   `length() + position_offset`; it sees the committed tokens, its ancestors and itself. Returns rows, by node id,
///   valid until the next call on the model.
/// - `commit(path)`: keeps the pending nodes of a root path as committed tokens and drops all others.
/// - `truncate(length)`: forgets committed tokens beyond `length` and all pending nodes. `truncate(length())` is how a
///   pass is dropped; it cannot fail.
/// Every operation that fails (context_full, model_failed, invalid_token) leaves the committed tokens as they were.
template <class M>
concept Model = requires(M& model, const M& seen, token_span tokens, const token_tree& tree, node_span nodes,
                         std::size_t length) {
  typename M::rows_type;
  requires RowSource<typename M::rows_type>;
  { seen.vocab_size() } -> std::convertible_to<std::size_t>;
  { seen.context_size() } -> std::convertible_to<std::size_t>;
  { seen.length() } -> std::convertible_to<std::size_t>;
  { model.prefill(tokens) } -> std::same_as<result<void>>;
  { model.evaluate(tree, nodes) } -> std::same_as<result<typename M::rows_type>>;
  { model.commit(nodes) } -> std::same_as<result<void>>;
  { model.truncate(length) } -> std::same_as<result<void>>;
};

/// How a model takes tokens back.
enum class rollback_kind : std::uint8_t {
  full,             ///< any earlier length, at no cost
  last_k,           ///< a bounded number of tokens (`rollback_limit`)
  by_reevaluation,  ///< recurrent state: by running the kept tokens again
};

// Capability refinements: asked for at compile time by the algorithms that need them.

/// Evaluates any tree, not only chains.
template <class M>
concept TreeModel = Model<M> && M::evaluates_trees;

/// A row does not depend, in any bit, on what else is in the batch. Then greedy and seed identity are identities of
/// text.
template <class M>
concept BatchInvariantModel = Model<M> && M::batch_invariant;

/// Gives back tokens at any earlier length at no cost.
template <class M>
concept RollbackModel = Model<M> && M::rollback == rollback_kind::full;

/// A second sequence that starts as a copy of this one: `fork()`.
template <class M>
concept ForkableModel = Model<M> && requires(M& model) {
  { model.fork() } -> std::same_as<result<M>>;
};

/// Evaluates nodes of several sequences in one pass, `evaluate_together(parts)`, a part being {model, tree, nodes};
/// afterwards `rows()` of each model has its rows.
template <class M>
concept JointModel = Model<M> &&
    requires(M& model, const token_tree& tree, node_span nodes, std::span<const typename M::joint_part> parts) {
  (typename M::joint_part{&model, &tree, nodes});
  { M::evaluate_together(parts) } -> std::same_as<result<void>>;
  { std::as_const(model).rows() } -> std::same_as<typename M::rows_type>;
};

/// Residual stream of a node of the last evaluation, float[hidden_size], after so many layers: `hidden(layers, node)`;
/// `layer_count() + 1` is after the output norm.
template <class M>
concept HiddenRowModel = Model<M> && requires(const M& model, std::size_t layer, node_id n) {
  { model.hidden_size() } -> std::convertible_to<std::size_t>;
  { model.layer_count() } -> std::convertible_to<std::size_t>;
  { model.hidden(layer, n) } -> std::convertible_to<std::span<const float>>;
};

/// Runs layers [first, last) of some nodes and resumes them later: `evaluate_layers(tree, nodes, first, last)`; gives
/// logits from where nodes have come to: `project(nodes)`.
template <class M>
concept LayerRangeModel = Model<M> && requires(M& model, const token_tree& tree, node_span nodes, std::size_t layer) {
  { model.evaluate_layers(tree, nodes, layer, layer) } -> std::same_as<result<void>>;
  { model.project(nodes) } -> std::same_as<result<typename M::rows_type>>;
};

/// Takes extra embedding rows for token ids at and above the vocabulary size, row-major float[rows][hidden_size].
template <class M>
concept EmbeddingInputModel = Model<M> && requires(M& model, std::span<const float> rows) {
  { model.set_extra_embeddings(rows) } -> std::same_as<result<void>>;
};

/// Honours probe branches: `also_visible` sets and explicit position offsets.
template <class M>
concept GeneralMaskModel = TreeModel<M> && M::general_mask;

/// Attention of one query head of one layer for a node of the last evaluation, over the tokens it sees: the committed
/// ones, then pending nodes in ascending order: `attention(layer, head, node)`.
template <class M>
concept AttentionProbeModel = Model<M> && requires(const M& model, std::size_t layer, std::size_t head, node_id n) {
  { model.attention(layer, head, n) } -> std::convertible_to<std::span<const float>>;
};

}  // namespace decant::inline DECANT_ABI

#endif
