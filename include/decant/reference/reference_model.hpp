// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A real language model on the CPU: a GGUF file of the llama family behind the Model concept and all its refinements.
#ifndef DECANT_REFERENCE_REFERENCE_MODEL_HPP
#define DECANT_REFERENCE_REFERENCE_MODEL_HPP

#include <decant/core/error.hpp>
#include <decant/core/token_tree.hpp>
#include <decant/core/types.hpp>
#include <decant/model/model.hpp>
#include <decant/reference/evaluation_record.hpp>
#include <decant/reference/gguf.hpp>
#include <decant/reference/pending_rows.hpp>
#include <decant/reference/reference_options.hpp>
#include <decant/reference/reference_rows.hpp>
#include <decant/reference/state_bytes.hpp>
#include <decant/reference/transformer.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace decant::inline DECANT_ABI {

/// One sequence of a model of the llama family. Weights stay quantised, activations of quantised matrices are int8 per
/// block of 32 or floats (`reference_options::activations`). A row is bit-equal for every batch, tree shape, thread
/// count and instruction set; evaluating a path as pending nodes or as committed tokens makes no difference either, nor
/// does running its layers in several calls.
///
/// Movable, not copyable; `fork()` makes a second sequence, which shares the weights, the buffers and, until either
/// writes over it, the keys and values of the common prefix. A model and its forks are not safe for use by two threads
/// at once. Memory: the weights once (repacked; the file is closed after loading), the cache as far as it is used,
/// buffers of at most a few tens of MB.
class reference_model {
 public:
  using rows_type = reference_rows;

  static constexpr bool evaluates_trees = true;
  static constexpr bool batch_invariant = true;
  static constexpr bool general_mask = true;
  static constexpr rollback_kind rollback = rollback_kind::full;

  /// The most `reference_options::context` may be.
  static constexpr std::size_t largest_context = std::size_t{1} << 24;
  /// Pending nodes that fit beside a full context.
  static constexpr std::size_t max_pending = 1024;

  /// Loads a file. `progress(done, total)` is called now and then with counts of matrices. Errors: those of
  /// `gguf_file::open`, `unsupported`, `file_malformed`, `out_of_memory`, `invalid_argument`.
  template <class Progress>
  [[nodiscard]] static result<reference_model> load(const char* path, const reference_options& options,
                                                    Progress&& progress) {
    const result<gguf_file> file = gguf_file::open(path);
    if (!file) return file.error();
    return load(*file, options, std::forward<Progress>(progress));
  }
  [[nodiscard]] static result<reference_model> load(const char* path, const reference_options& options = {}) {
    return load(path, options, [](std::size_t, std::size_t) {});
  }

  /// Loads from a file that is open already; it is not needed afterwards.
  template <class Progress>
  [[nodiscard]] static result<reference_model> load(const gguf_file& file, const reference_options& options,
                                                    Progress&& progress) {
    if (options.threads < 1 || options.threads > 1024) return error{error_code::invalid_argument, "threads"};
    if (options.context > largest_context) return error{error_code::invalid_argument, "context"};
    if (!runs(options.kernels)) return error{error_code::unsupported, name_of(options.kernels)};
    const result<llama_config> config = llama_config::read(file);
    if (!config) return config.error();
    const char* folder = options.weight_folder != nullptr ? options.weight_folder : "";
    result<llama_weights> weights =
        llama_loader(file, *config).load(options.threads, folder, std::forward<Progress>(progress));
    if (!weights) return weights.error();
    reference_model model;
    if (auto r = model.prepare(*config, std::move(*weights), options); !r) return r.error();
    return model;
  }
  [[nodiscard]] static result<reference_model> load(const gguf_file& file, const reference_options& options = {}) {
    return load(file, options, [](std::size_t, std::size_t) {});
  }

  // --- Sizes ---

  [[nodiscard]] std::size_t vocab_size() const noexcept { return config().vocabulary; }
  [[nodiscard]] std::size_t context_size() const noexcept { return context_; }
  [[nodiscard]] std::size_t length() const noexcept { return length_; }
  [[nodiscard]] std::size_t threads() const noexcept { return network_->threads(); }
  [[nodiscard]] const llama_config& config() const noexcept { return network_->config(); }
  /// Width of the residual stream.
  [[nodiscard]] std::size_t hidden_size() const noexcept { return config().embedding; }
  [[nodiscard]] std::size_t layer_count() const noexcept { return config().layers; }
  /// Times the parts of every pass of this model and its forks from now on; null: no more.
  void time_passes(pass_clock* clock) noexcept { network_->time_passes(clock); }
  /// What became of the stored weights; with `failed` and `mended`, `weights_problem()` says what was wrong.
  [[nodiscard]] weight_storage weights_stored() const noexcept { return network_->weights().storage; }
  [[nodiscard]] error weights_problem() const noexcept { return network_->weights().storage_problem; }
  /// Memory of this sequence's keys and values, prefixes shared with forks included.
  [[nodiscard]] std::size_t cache_bytes() const noexcept { return cache_.bytes(); }

  // --- The Model concept ---

  /// Commits tokens after the present ones, `transformer::max_rows` a pass, and drops pending nodes. Errors, with
  /// nothing changed: `invalid_token`, `context_full`, `out_of_memory`.
  [[nodiscard]] result<void> prefill(token_span tokens) {
    if (tokens.size() > context_ - length_) return error_code::context_full;
    for (const token id : tokens) {
      if (auto r = check_token(id); !r) return r;
    }
    if (auto r = cache_.make_writable(length_, length_ + tokens.size()); !r) return r;
    pending_.clear();
    for (std::size_t first = 0; first < tokens.size(); first += transformer::max_rows) {
      prefill_chunk(tokens.subspan(first, std::min(tokens.size() - first, transformer::max_rows)));
    }
    return {};
  }

  /// Evaluates nodes of a tree, see the Model concept; O(nodes) passes of `transformer::max_rows`. Rows of nodes that
  /// are not listed are empty. Errors, with nothing changed: `invalid_token`, `invalid_tree`, `wrong_call_order` (a
  /// parent was not evaluated), `context_full`, `out_of_memory`.
  [[nodiscard]] result<rows_type> evaluate(const token_tree& tree, node_span nodes) {
    const joint_part part{this, &tree, nodes};
    if (auto r = evaluate_together({&part, 1}); !r) return r.error();
    return rows();
  }

  /// Keeps the pending nodes of a path as committed tokens, in order, and drops the others. Errors, with nothing
  /// changed: `wrong_call_order` when a node is not pending, has not run through all layers, or does not see exactly
  /// the nodes before it and itself (a root path does).
  [[nodiscard]] result<void> commit(node_span path) {
    if (!pending_.is_sequence(path, length_)) {
      return error{error_code::wrong_call_order, "commit of nodes that are not a path from the root"};
    }
    for (const node_id n : path) {
      if (row_of(n).layers != layer_count()) {
        return error{error_code::wrong_call_order, "commit of a node that has not run through all layers"};
      }
    }
    for (std::size_t i = 0; i < path.size(); ++i) {
      const std::size_t from = length_ + index(pending_.find(path[i]));
      if (from != length_ + i) cache_.move(from, length_ + i);
    }
    length_ += path.size();
    pending_.clear();
    return {};
  }

  /// Forgets committed tokens beyond `length` and all pending nodes. Error: `invalid_argument` when that many tokens
  /// are not committed.
  [[nodiscard]] result<void> truncate(std::size_t length) {
    if (length > length_) return error{error_code::invalid_argument, "truncate to more than the committed length"};
    length_ = length;
    pending_.clear();
    return {};
  }

  /// Makes room for `tokens` committed tokens now, so that no later step up to there allocates. Error: `out_of_memory`.
  [[nodiscard]] result<void> reserve(std::size_t tokens) {
    const std::size_t slots = std::min(tokens, context_) + max_pending;
    return slots <= length_ ? result<void>() : cache_.make_writable(length_, slots);
  }

  // --- Several sequences ---

  /// A sequence with the same committed tokens, options and weights, and no pending nodes. O(length / 256): keys and
  /// values are shared until either sequence writes over them. Forking a prefix that many prompts begin with is a
  /// prefix cache; `fork()` and `truncate(0)` is a new sequence.
  [[nodiscard]] result<reference_model> fork() const {
    reference_model copy;
    copy.network_ = network_;
    copy.cache_ = cache_;
    copy.context_ = context_;
    copy.length_ = length_;
    copy.extra_ = extra_;
    copy.record_.choose_as(record_);
    copy.reserve_rows();
    return copy;
  }

  /// The part of one sequence in a joint pass.
  struct joint_part {
    reference_model* model = nullptr;
    const token_tree* tree = nullptr;
    node_span nodes;
  };

  /// Evaluates nodes of several sequences that are forks of each other in common passes: the weights are read once for
  /// all. Afterwards `rows()` of each model has its rows, valid until the next call on that model or the next joint
  /// pass with it. Errors as those of `evaluate`, with nothing changed for any; `invalid_argument` when a model occurs
  /// twice or has other weights.
  [[nodiscard]] static result<void> evaluate_together(std::span<const joint_part> parts) {
    if (parts.empty()) return {};
    if (auto r = check_parts(parts); !r) return r;
    std::size_t count = 0;
    for (const joint_part& part : parts) count += part.nodes.size();
    if (auto r = share_logits(parts, count); !r) return r;
    joint_rollback undo(parts);
    for (const joint_part& part : parts) {
      if (auto r = part.model->add_nodes(*part.tree, part.nodes); !r) return r;
    }
    const reference_model& lead = *parts.front().model;
    run(parts, {0, lead.layer_count()}, lead.logits_->data());
    undo.dismiss();
    return {};
  }

  /// Logits of the last evaluation.
  [[nodiscard]] rows_type rows() const noexcept {
    if (!has_rows_) return {};
    const std::size_t stride = network_->logits_stride();
    return {logits_->data() + first_logits_row_ * stride, stride, vocab_size(), logits_rows_.all()};
  }

  // --- Masks ---

  /// Evaluates rows with explicit positions and a general boolean mask. Row i is node `pending rows before + i` for
  /// `rows()`, `commit` and all else; earlier pending nodes must have been evaluated in the order of their ids. Errors,
  /// with nothing changed: as those of `evaluate`; `invalid_argument` when the sizes do not fit or a row sees a later
  /// one.
  [[nodiscard]] result<rows_type> evaluate_masked(const masked_rows& input) {
    if (auto r = check_masked(input); !r) return r.error();
    const std::size_t before = pending_.size();
    masked_nodes_.clear();
    for (std::size_t i = 0; i < input.tokens.size(); ++i) {
      masked_nodes_.push_back(static_cast<node_id>(before + i));
    }
    const joint_part part{this, nullptr, masked_nodes_};
    if (auto r = share_logits({&part, 1}, masked_nodes_.size()); !r) return r.error();
    if (auto r = cache_.make_writable(length_ + before, length_ + before + masked_nodes_.size()); !r) return r.error();
    joint_rollback undo({&part, 1});
    for (std::size_t i = 0; i < input.tokens.size(); ++i) {
      pending_.add(input.tokens[i], input.positions[i],
                   input.mask.subspan(i * input.words_per_row, input.words_per_row));
    }
    run({&part, 1}, {0, layer_count()}, logits_->data());
    undo.dismiss();
    return rows();
  }

  // --- Layer ranges ---

  /// Runs nodes through layers [first, last). With first = 0 the nodes are new, as for `evaluate`; otherwise each has
  /// run through exactly `first` layers, and what it sees through at least `last`, or is in the list too. `project`
  /// gives logits from where nodes have come to. Errors, with nothing changed: as those of `evaluate`;
  /// `invalid_argument` for an empty range or one beyond the layers; `wrong_call_order`.
  [[nodiscard]] result<void> evaluate_layers(const token_tree& tree, node_span nodes, std::size_t first,
                                             std::size_t last) {
    if (first >= last || last > layer_count()) {
      return error{error_code::invalid_argument, "a range of layers is empty or beyond the last layer"};
    }
    if (auto r = first == 0 ? check_nodes(tree, nodes, last) : check_resumed(nodes, first, last); !r) return r;
    if (auto r = keep_residuals(); !r) return r;
    const joint_part part{this, &tree, nodes};
    joint_rollback undo({&part, 1});
    if (first == 0) {
      if (auto r = add_nodes(tree, nodes); !r) return r;
    }
    run({&part, 1}, {first, last}, nullptr);
    undo.dismiss();
    return {};
  }

  /// Logits of nodes from where `evaluate_layers` has left them, through the output norm: after all layers the rows of
  /// `evaluate`, before that an early exit. Errors: `wrong_call_order` for a node that `evaluate_layers` has not run.
  [[nodiscard]] result<rows_type> project(node_span nodes) {
    for (const node_id n : nodes) {
      if (!pending_.contains(n) || !row_of(n).is_kept) {
        return error{error_code::wrong_call_order, "a node was not evaluated by layers"};
      }
    }
    const joint_part part{this, nullptr, nodes};
    if (auto r = share_logits({&part, 1}, nodes.size()); !r) return r.error();
    run({&part, 1}, {}, logits_->data());
    return rows();
  }

  // --- Looking inside ---

  /// Chooses the levels of the residual stream that later evaluations keep: level 0 is the embedding, level i what is
  /// there after i layers, level `layer_count() + 1` what is there after the output norm. Error: `invalid_argument` for
  /// a level that does not exist.
  [[nodiscard]] result<void> capture_hidden(std::span<const std::size_t> levels) {
    const std::size_t deepest = layer_count() + 1;
    if (std::any_of(levels.begin(), levels.end(), [&](std::size_t level) { return level > deepest; })) {
      return error{error_code::invalid_argument, "a level of the residual stream that does not exist"};
    }
    record_.choose_levels(levels);
    return {};
  }
  /// The captured residual row of a node of the last evaluation, float[hidden_size()]; empty when that evaluation did
  /// not list the node or not come to the level. Valid until the next evaluation, also after a commit.
  [[nodiscard]] std::span<const float> hidden(std::size_t level, node_id n) const noexcept {
    return record_.hidden(level, n);
  }

  /// Chooses the query heads whose attention later evaluations keep. Error: `invalid_argument` for one that does not
  /// exist.
  [[nodiscard]] result<void> probe_attention(std::span<const attention_head> heads,
                                             attention_values kind = attention_values::probabilities) {
    const auto exists = [&](attention_head h) { return h.layer < layer_count() && h.head < config().heads; };
    if (!std::all_of(heads.begin(), heads.end(), exists)) {
      return error{error_code::invalid_argument, "an attention head that does not exist"};
    }
    record_.choose_heads(heads, kind);
    return {};
  }
  /// What a head made of each token that a node of the last evaluation sees: the committed ones, then the pending ones
  /// in ascending order, itself last. Empty when that evaluation did not list the node or not run the layer. Valid
  /// until the next call that changes the sequence.
  [[nodiscard]] std::span<const float> attention(std::size_t layer, std::size_t head, node_id n) const noexcept {
    if (!pending_.contains(n)) return {};
    return record_.attention({layer, head}, n, length_ + row_of(n).visible_count);
  }

  // --- Embedding input ---

  /// Gives meaning to token ids at and above the vocabulary size: id `vocab_size() + i` starts from row i of these
  /// embeddings, float[rows][hidden_size()] row-major, as they are (virtual tokens, prompts of vectors). Replaces
  /// earlier ones; later forks share them. Errors: `invalid_argument` when the size is not whole rows or a value is not
  /// finite.
  [[nodiscard]] result<void> set_extra_embeddings(std::span<const float> embeddings) {
    if (embeddings.size() % hidden_size() != 0) {
      return error{error_code::invalid_argument, "extra embeddings that are not whole rows"};
    }
    if (!std::all_of(embeddings.begin(), embeddings.end(), [](float x) { return std::isfinite(x); })) {
      return error{error_code::invalid_argument, "an extra embedding is not finite"};
    }
    extra_ = std::make_shared<const std::vector<float>>(embeddings.begin(), embeddings.end());
    return {};
  }

  // --- State ---

  /// Writes the committed keys and values to `out`, replacing its contents: what `load_state` of a model with the same
  /// weights and kind of cache reads. O(length).
  void save_state(std::vector<std::byte>& out) const {
    state_header header = expected_header();
    header.length = length_;
    state_writer writer(out, header);
    for (std::size_t slot = 0; slot < length_; ++slot) cache_.read_slot(slot, writer.slot());
    writer.finish();
  }
  /// Replaces the sequence by a saved one. The bytes may come from anywhere. Errors, with nothing changed:
  /// `file_truncated`, `file_malformed`, `unsupported` (another model or kind of cache), `context_full`,
  /// `out_of_memory`.
  [[nodiscard]] result<void> load_state(std::span<const std::byte> bytes) {
    const result<state_reader> state = state_reader::open(bytes, expected_header());
    if (!state) return state.error();
    if (state->length() > context_) return error_code::context_full;
    kv_cache fresh(cache_.shape(), context_ + max_pending);
    if (auto r = fresh.make_writable(0, state->length()); !r) return r;
    for (std::size_t slot = 0; slot < state->length(); ++slot) fresh.write_slot(slot, state->slot(slot));
    cache_ = std::move(fresh);
    length_ = state->length();
    pending_.clear();
    return {};
  }

 private:
  /// Drops the rows of an evaluation that ends before it is done.
  class joint_rollback {
   public:
    explicit joint_rollback(std::span<const joint_part> parts) noexcept : parts_(parts) {
      for (const joint_part& part : parts) part.model->pending_before_ = part.model->pending_.size();
    }
    joint_rollback(const joint_rollback&) = delete;
    joint_rollback& operator=(const joint_rollback&) = delete;
    ~joint_rollback() {
      for (const joint_part& part : parts_) part.model->pending_.truncate(part.model->pending_before_);
    }
    void dismiss() noexcept { parts_ = {}; }

   private:
    std::span<const joint_part> parts_;
  };

  /// Gathers rows and runs a pass whenever it is full.
  class row_collector {
   public:
    row_collector(reference_model& lead, layer_range layers, float* logits) noexcept
        : lead_(lead), layers_(layers), logits_(logits) {
      lead.pass_rows_.clear();
    }
    void add(reference_model& model, std::size_t pending) {
      if (lead_.pass_rows_.size() == transformer::max_rows) flush();
      lead_.pass_rows_.push_back(model.row_for(pending, layers_));
    }
    void flush() {
      if (lead_.pass_rows_.empty()) return;
      lead_.network_->forward({lead_.pass_rows_, layers_.first, layers_.last, logits_, false});
      if (logits_ != nullptr) logits_ += lead_.pass_rows_.size() * lead_.network_->logits_stride();
      lead_.pass_rows_.clear();
    }

   private:
    reference_model& lead_;
    layer_range layers_;
    float* logits_;
  };

  reference_model() = default;

  [[nodiscard]] result<void> prepare(const llama_config& config, llama_weights&& weights,
                                     const reference_options& options) {
    constexpr std::size_t default_limit = 8192;
    context_ = options.context != 0 ? options.context : std::min(config.context, default_limit);
    network_ = std::make_shared<transformer>();
    cache_ = kv_cache(kv_shape::of(config, options.cache), context_ + max_pending);
    reserve_rows();
    return network_->prepare(config, std::move(weights),
                             {context_, context_ + max_pending, options.kernels, options.activations, options.threads});
  }

  void reserve_rows() {
    pending_.reserve(max_pending);
    pass_rows_.reserve(transformer::max_rows);
    counting_.resize(transformer::max_rows);
    for (std::size_t i = 0; i < counting_.size(); ++i) counting_[i] = static_cast<std::uint32_t>(i);
  }

  [[nodiscard]] pending_row& row_of(node_id n) noexcept { return pending_[index(pending_.find(n))]; }
  [[nodiscard]] const pending_row& row_of(node_id n) const noexcept { return pending_[index(pending_.find(n))]; }

  // --- Checks ---

  [[nodiscard]] std::size_t extra_rows() const noexcept {
    return extra_ == nullptr ? 0 : extra_->size() / hidden_size();
  }

  [[nodiscard]] result<void> check_token(token id) const {
    if (id >= 0 && index(id) < vocab_size() + extra_rows()) return {};
    return error{error_code::invalid_token, fixed_text<118>("token ").append_number(id)};
  }

  [[nodiscard]] static result<void> check_parts(std::span<const joint_part> parts) {
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const reference_model& model = *parts[i].model;
      for (std::size_t j = 0; j < i; ++j) {
        if (parts[j].model == &model) return error{error_code::invalid_argument, "a sequence occurs twice in a pass"};
      }
      if (model.network_ != parts.front().model->network_) {
        return error{error_code::invalid_argument, "the sequences of a pass have different weights"};
      }
      if (auto r = model.check_nodes(*parts[i].tree, parts[i].nodes, model.layer_count()); !r) return r;
    }
    return {};
  }

  [[nodiscard]] result<void> check_nodes(const token_tree& tree, node_span nodes, std::size_t last) const {
    if (pending_.size() + nodes.size() > max_pending) return error_code::context_full;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (!tree.contains(nodes[i]) || (i > 0 && nodes[i] <= nodes[i - 1])) {
        return error{error_code::invalid_tree, "node ids are not ascending"};
      }
      if (auto r = check_node(tree, nodes[i], nodes.first(i), last); !r) return r;
    }
    return {};
  }

  [[nodiscard]] result<void> check_node(const token_tree& tree, node_id n, node_span earlier, std::size_t last) const {
    const auto is_known = [&](node_id other) { return is_visible(other, earlier, last); };
    if (auto r = check_token(tree.token_of(n)); !r) return r;
    if (length_ + index(tree.position_offset(n)) >= context_) return error_code::context_full;
    if (pending_.contains(n)) return error{error_code::wrong_call_order, "a node was evaluated before"};
    if (n != 0 && !is_known(tree.parent(n))) return error{error_code::wrong_call_order, "a parent was not evaluated"};
    const node_span seen = tree.also_visible(n);
    if (!std::all_of(seen.begin(), seen.end(), is_known)) {
      return error{error_code::wrong_call_order, "a visible node was not evaluated"};
    }
    return {};
  }

  /// Whether a node can be seen by a row that runs up to layer `last`: it has been there, or runs along.
  [[nodiscard]] bool is_visible(node_id n, node_span together, std::size_t last) const {
    if (pending_.contains(n) && row_of(n).layers >= last) return true;
    return std::binary_search(together.begin(), together.end(), n);
  }

  [[nodiscard]] result<void> check_resumed(node_span nodes, std::size_t first, std::size_t last) const {
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (i > 0 && nodes[i] <= nodes[i - 1]) return error{error_code::invalid_tree, "node ids are not ascending"};
      if (!pending_.contains(nodes[i]) || !row_of(nodes[i]).is_kept || row_of(nodes[i]).layers != first) {
        return error{error_code::wrong_call_order, "a node does not wait at this layer"};
      }
      const std::span<const std::uint32_t> seen = pending_.visible(index(pending_.find(nodes[i])));
      const bool ready = std::all_of(seen.begin(), seen.end(), [&](std::uint32_t other) {
        return is_visible(pending_[other].node, nodes.first(i + 1), last);
      });
      if (!ready) return error{error_code::wrong_call_order, "a visible node has not come this far"};
    }
    return {};
  }

  [[nodiscard]] result<void> check_masked(const masked_rows& input) const {
    const std::size_t count = input.tokens.size();
    const std::size_t before = pending_.size();
    if (before + count > max_pending) return error_code::context_full;
    const bool fits = input.positions.size() == count && input.mask.size() == count * input.words_per_row &&
                      input.words_per_row * 64 >= before + count;
    if (!fits) return error{error_code::invalid_argument, "positions or mask do not fit the number of rows"};
    for (std::size_t i = 0; i < before; ++i) {
      if (pending_[i].node != static_cast<node_id>(i) || pending_[i].layers != layer_count()) {
        return error{error_code::wrong_call_order, "masked rows beside nodes that are not evaluated in order"};
      }
    }
    for (std::size_t i = 0; i < count; ++i) {
      if (auto r = check_token(input.tokens[i]); !r) return r;
      if (input.positions[i] >= context_) return error_code::context_full;
      const auto words = input.mask.subspan(i * input.words_per_row, input.words_per_row);
      for (std::size_t j = before + i + 1; j < input.words_per_row * 64; ++j) {
        if ((words[j / 64] >> (j % 64) & 1) != 0) {
          return error{error_code::invalid_argument, "a masked row sees a later one"};
        }
      }
    }
    return {};
  }

  // --- Evaluating ---

  /// One buffer for the logits of all parts of a pass. An earlier one that some other sequence still shows is left
  /// to it.
  [[nodiscard]] static result<void> share_logits(std::span<const joint_part> parts, std::size_t rows) {
    reference_model& lead = *parts.front().model;
    for (const joint_part& part : parts.subspan(1)) part.model->logits_.reset();
    const std::size_t needed = rows * lead.network_->logits_stride();
    if (lead.logits_ == nullptr || lead.logits_.use_count() > 1 || lead.logits_->size() < needed) {
      lead.logits_.reset();
      auto fresh = std::make_shared<aligned_buffer<float>>();
      if (auto r = fresh->allocate(needed); !r) return r;
      lead.logits_ = std::move(fresh);
    }
    std::size_t first = 0;
    for (const joint_part& part : parts) {
      part.model->logits_ = lead.logits_;
      part.model->first_logits_row_ = first;
      part.model->has_rows_ = false;  // until they are computed
      part.model->logits_rows_.list(part.nodes);
      first += part.nodes.size();
    }
    return {};
  }

  /// Makes new nodes pending.
  [[nodiscard]] result<void> add_nodes(const token_tree& tree, node_span nodes) {
    const std::size_t first = length_ + pending_.size();
    if (auto r = cache_.make_writable(first, first + nodes.size()); !r) return r;
    for (const node_id n : nodes) pending_.add(tree, n, length_);
    return {};
  }

  /// Runs the nodes of all parts, which are pending, through layers; an empty range is the output head alone.
  static void run(std::span<const joint_part> parts, layer_range layers, float* logits) {
    const bool projects = layers.first == layers.last;
    row_collector collected(*parts.front().model, layers, logits);
    for (const joint_part& part : parts) {
      reference_model& model = *part.model;
      const std::size_t seen = model.length_ + model.pending_.size();
      if (!projects) model.record_.begin(part.nodes, layers, model.layer_count(), model.hidden_size(), seen);
      for (const node_id n : part.nodes) collected.add(model, index(model.pending_.find(n)));
    }
    collected.flush();
    for (const joint_part& part : parts) {
      part.model->has_rows_ = logits != nullptr;
      if (!projects) part.model->settle(part.nodes, layers.last);
    }
  }

  [[nodiscard]] pass_row row_for(std::size_t pending, layer_range layers) noexcept {
    const pending_row& row = pending_[pending];
    const bool projects = layers.first == layers.last;
    float* kept = residuals_.size() == 0 ? nullptr : residuals_.data() + pending * hidden_size();
    pass_row out;
    out.cache = &cache_;
    out.committed = length_;
    out.slot = length_ + pending;
    out.position = row.position;
    out.visible = pending_.visible(pending);
    out.id = row.id;
    out.input = layers.first > 0 || projects ? kept : embedding_of(row.id);
    if (projects) return out;
    out.output = kept;
    out.taps = record_.taps();
    out.probe = record_.probe();
    out.observed_as = index(record_.row_of(row.node));
    return out;
  }

  /// The extra embedding of a virtual token, or null.
  [[nodiscard]] const float* embedding_of(token id) const noexcept {
    return index(id) < vocab_size() ? nullptr : extra_->data() + (index(id) - vocab_size()) * hidden_size();
  }

  void settle(node_span nodes, std::size_t layers) noexcept {
    for (const node_id n : nodes) {
      row_of(n).layers = layers;
      row_of(n).is_kept = residuals_.size() != 0;
    }
  }

  /// From now on the residual rows of pending nodes are kept.
  [[nodiscard]] result<void> keep_residuals() {
    return residuals_.size() != 0 ? result<void>() : residuals_.allocate(max_pending * hidden_size());
  }

  void prefill_chunk(token_span chunk) {
    pass_rows_.clear();
    for (std::size_t i = 0; i < chunk.size(); ++i) {
      pass_row row;
      row.cache = &cache_;
      row.committed = length_;
      row.slot = row.position = length_ + i;
      row.visible = std::span<const std::uint32_t>(counting_).first(i + 1);
      row.id = chunk[i];
      row.input = embedding_of(chunk[i]);
      pass_rows_.push_back(row);
    }
    network_->forward({pass_rows_, 0, layer_count(), nullptr, true});
    length_ += chunk.size();
  }

  [[nodiscard]] state_header expected_header() const {
    state_header header;
    header.shape = cache_.shape();
    header.fingerprint = network_->weights().fingerprint();
    return header;
  }

  std::shared_ptr<transformer> network_;
  kv_cache cache_;
  std::size_t context_ = 0;
  std::size_t length_ = 0;
  pending_rows pending_;
  std::size_t pending_before_ = 0;  // the running evaluation
  std::shared_ptr<const std::vector<float>> extra_;
  aligned_buffer<float> residuals_;  // of pending rows, once layers were evaluated apart

  // The last evaluation.
  evaluation_record record_;
  node_rows logits_rows_;
  std::shared_ptr<aligned_buffer<float>> logits_;
  std::size_t first_logits_row_ = 0;
  bool has_rows_ = false;

  std::vector<pass_row> pass_rows_;
  std::vector<std::uint32_t> counting_;  // 0, 1, 2, ...: what the rows of a prefill see
  std::vector<node_id> masked_nodes_;
};

static_assert(TreeModel<reference_model>);
static_assert(BatchInvariantModel<reference_model>);
static_assert(RollbackModel<reference_model>);
static_assert(ForkableModel<reference_model>);
static_assert(JointModel<reference_model>);
static_assert(HiddenRowModel<reference_model>);
static_assert(LayerRangeModel<reference_model>);
static_assert(EmbeddingInputModel<reference_model>);
static_assert(GeneralMaskModel<reference_model>);
static_assert(AttentionProbeModel<reference_model>);

}  // namespace decant::inline DECANT_ABI

#endif
