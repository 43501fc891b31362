// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A real language model on the CPU: a llama-architecture GGUF file behind the Model concept.
#ifndef DECANT_REFERENCE_REFERENCE_MODEL_HPP
#define DECANT_REFERENCE_REFERENCE_MODEL_HPP

#include <decant/core/error.hpp>
#include <decant/core/token_tree.hpp>
#include <decant/core/types.hpp>
#include <decant/model/model.hpp>
#include <decant/reference/gguf.hpp>
#include <decant/reference/transformer.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace decant::inline DECANT_ABI {

/// How a `reference_model` is set up.
struct reference_options {
  std::size_t threads = 2;  ///< 1 to 1024
  /// Tokens the sequence can hold; 0 takes the file's context length, at most 8192.
  std::size_t context = 0;
  kv_type cache = kv_type::f16;
  instruction_set kernels = best_instruction_set();
};

/// Logits of the nodes of one evaluation: `vocab_size` floats a node. A view into the model.
class reference_rows {
 public:
  using value_type = float;

  reference_rows() noexcept = default;
  reference_rows(const float* logits, std::size_t stride, std::size_t vocabulary, std::span<const std::int32_t> rows)
      : logits_(logits), stride_(stride), vocabulary_(vocabulary), rows_(rows) {}

  /// The row after node `n`; empty for a node that this evaluation did not list.
  [[nodiscard]] std::span<const float> row(node_id n) const noexcept {
    if (n < 0 || index(n) >= rows_.size() || rows_[index(n)] < 0) return {};
    return {logits_ + index(rows_[index(n)]) * stride_, vocabulary_};
  }

 private:
  const float* logits_ = nullptr;
  std::size_t stride_ = 0;
  std::size_t vocabulary_ = 0;
  std::span<const std::int32_t> rows_;  // row of each node, or -1
};

/// One sequence of a llama-architecture model. Weights stay quantised, activations of quantised matrices are int8 per
/// block of 32. A row is bit-equal for every batch, tree shape, thread count and instruction set; evaluating a path as
/// pending nodes or as committed tokens makes no difference either.
///
/// Movable, not copyable; not safe for use by two threads at once. Memory: the weights once (repacked; the file is
/// closed after loading), the cache as far as it is used, buffers of at most a few tens of MB.
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

  /// Loads a file. `progress(done, total)` is called now and then with counts of tensors. Errors: those of
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
    const std::size_t total = file.tensors().size();
    result<llama_weights> weights = llama_loader(file, *config).load([&](std::size_t done) { progress(done, total); });
    if (!weights) return weights.error();
    reference_model model;
    if (auto r = model.prepare(*config, std::move(*weights), options); !r) return r.error();
    return model;
  }
  [[nodiscard]] static result<reference_model> load(const gguf_file& file, const reference_options& options = {}) {
    return load(file, options, [](std::size_t, std::size_t) {});
  }

  [[nodiscard]] std::size_t vocab_size() const noexcept { return network_->config().vocabulary; }
  [[nodiscard]] std::size_t context_size() const noexcept { return context_; }
  [[nodiscard]] std::size_t length() const noexcept { return length_; }
  [[nodiscard]] std::size_t threads() const noexcept { return pool_->size(); }
  [[nodiscard]] const llama_config& config() const noexcept { return network_->config(); }

  /// Commits tokens after the present ones, `transformer::max_rows` a pass, and drops pending nodes. Errors, with
  /// nothing changed: `invalid_token`, `context_full`.
  [[nodiscard]] result<void> prefill(token_span tokens) {
    if (tokens.size() > context_ - length_) return error_code::context_full;
    for (const token id : tokens) {
      if (auto r = check_token(id); !r) return r;
    }
    drop_pending();
    for (std::size_t first = 0; first < tokens.size(); first += transformer::max_rows) {
      const token_span chunk = tokens.subspan(first, std::min(tokens.size() - first, transformer::max_rows));
      prefill_chunk(chunk);
    }
    return {};
  }

  /// Evaluates nodes of a tree, see the Model concept; O(nodes) passes of `transformer::max_rows`. Rows of nodes that
  /// are not listed are empty. Errors, with nothing changed: `invalid_token`, `invalid_tree`, `wrong_call_order` (a
  /// parent was not evaluated), `context_full`.
  [[nodiscard]] result<rows_type> evaluate(const token_tree& tree, node_span nodes) {
    if (auto r = check_nodes(tree, nodes); !r) return r.error();
    const std::size_t needed = nodes.size() * network_->logits_stride();
    if (logits_.size() < needed) {
      if (auto r = logits_.allocate(needed); !r) return r.error();
    }
    const std::size_t before = pending_.size();
    pending_rollback undo(*this);
    row_of_node_.assign(tree.size(), -1);
    for (std::size_t i = 0; i < nodes.size(); ++i) row_of_node_[index(nodes[i])] = static_cast<std::int32_t>(i);
    for (const node_id n : nodes) add_pending(tree, n);
    for (std::size_t first = before; first < pending_.size(); first += transformer::max_rows) {
      const std::size_t count = std::min(pending_.size() - first, transformer::max_rows);
      run(first, count, logits_.data() + (first - before) * network_->logits_stride());
    }
    undo.dismiss();
    return rows_type(logits_.data(), network_->logits_stride(), vocab_size(), row_of_node_);
  }

  /// Keeps the pending nodes of a root path, in order, as committed tokens; drops the others. Errors, with nothing
  /// changed: `wrong_call_order` when a node is not pending or the nodes are not a root path.
  [[nodiscard]] result<void> commit(node_span path) {
    for (std::size_t i = 0; i < path.size(); ++i) {
      const std::int32_t entry = pending_index(path[i]);
      const node_id parent = i == 0 ? no_node : path[i - 1];
      if (entry < 0 || pending_[index(entry)].parent != parent) return error_code::wrong_call_order;
    }
    for (std::size_t i = 0; i < path.size(); ++i) {
      const std::size_t from = length_ + index(pending_index(path[i]));
      if (from != length_ + i) network_->cache().move(config().layers, from, length_ + i);
    }
    length_ += path.size();
    drop_pending();
    return {};
  }

  /// Forgets committed tokens beyond `length` and all pending nodes. Error: `invalid_argument` when that many tokens
  /// are not committed.
  [[nodiscard]] result<void> truncate(std::size_t length) {
    if (length > length_) return error{error_code::invalid_argument, "truncate to more than the committed length"};
    length_ = length;
    drop_pending();
    return {};
  }

 private:
  /// A node that has been evaluated, or is about to be, since the last commit. Its slot is the length plus its index.
  struct pending_node {
    node_id node;
    node_id parent;
    token id;
    std::size_t position;
    std::size_t first_visible;  // into visible_
    std::size_t visible_count;
  };

  /// Forgets the nodes of an evaluation that an exception (out of memory) leaves before it is done.
  class pending_rollback {
   public:
    explicit pending_rollback(reference_model& model) noexcept : model_(&model), before_(model.pending_.size()) {}
    pending_rollback(const pending_rollback&) = delete;
    pending_rollback& operator=(const pending_rollback&) = delete;
    ~pending_rollback() {
      if (model_ != nullptr) model_->forget_pending(before_);
    }
    void dismiss() noexcept { model_ = nullptr; }

   private:
    reference_model* model_;
    std::size_t before_;
  };

  reference_model() = default;

  [[nodiscard]] result<void> prepare(const llama_config& config, llama_weights&& weights,
                                     const reference_options& options) {
    constexpr std::size_t default_limit = 8192;
    context_ = options.context != 0 ? options.context : std::min(config.context, default_limit);
    pending_.reserve(max_pending);
    rows_.reserve(transformer::max_rows);
    tokens_.reserve(transformer::max_rows);
    counting_.resize(transformer::max_rows);
    for (std::size_t i = 0; i < counting_.size(); ++i) counting_[i] = static_cast<std::uint32_t>(i);
    pool_ = std::make_unique<thread_pool>(options.threads);
    network_ = std::make_unique<transformer>();
    return network_->prepare(config, std::move(weights), context_, context_ + max_pending, options.cache,
                             options.kernels, pool_->size());
  }

  [[nodiscard]] result<void> check_token(token id) const {
    if (id >= 0 && index(id) < vocab_size()) return {};
    return error{error_code::invalid_token, fixed_text<118>("token ").append_number(id)};
  }

  [[nodiscard]] result<void> check_nodes(const token_tree& tree, node_span nodes) const {
    if (pending_.size() + nodes.size() > max_pending) return error_code::context_full;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (!tree.contains(nodes[i]) || (i > 0 && nodes[i] <= nodes[i - 1])) {
        return error{error_code::invalid_tree, "node ids are not ascending"};
      }
      if (auto r = check_node(tree, nodes[i], nodes.first(i)); !r) return r;
    }
    return {};
  }

  [[nodiscard]] result<void> check_node(const token_tree& tree, node_id n, node_span earlier) const {
    const auto is_known = [&](node_id other) {
      return pending_index(other) >= 0 || std::binary_search(earlier.begin(), earlier.end(), other);
    };
    if (auto r = check_token(tree.token_of(n)); !r) return r;
    if (length_ + index(tree.position_offset(n)) >= context_) return error_code::context_full;
    if (pending_index(n) >= 0) return error{error_code::wrong_call_order, "a node was evaluated before"};
    if (n != 0 && !is_known(tree.parent(n))) return error{error_code::wrong_call_order, "a parent was not evaluated"};
    const node_span seen = tree.also_visible(n);
    if (!std::all_of(seen.begin(), seen.end(), is_known)) {
      return error{error_code::wrong_call_order, "a visible node was not evaluated"};
    }
    return {};
  }

  /// Index among the pending nodes, or -1.
  [[nodiscard]] std::int32_t pending_index(node_id n) const noexcept {
    return n >= 0 && index(n) < pending_of_node_.size() ? pending_of_node_[index(n)] : -1;
  }

  void add_pending(const token_tree& tree, node_id n) {
    const auto self = static_cast<std::uint32_t>(pending_.size());
    if (pending_of_node_.size() < tree.size()) pending_of_node_.resize(tree.size(), -1);
    const std::size_t position = length_ + index(tree.position_offset(n));
    pending_.push_back({n, tree.parent(n), tree.token_of(n), position, visible_.size(), 0});
    pending_of_node_[index(n)] = static_cast<std::int32_t>(self);
    for (node_id seen = n; seen != no_node; seen = tree.parent(seen)) see(seen);
    for (const node_id seen : tree.also_visible(n)) see(seen);
    const auto begin = visible_.begin() + static_cast<std::ptrdiff_t>(pending_.back().first_visible);
    std::sort(begin, visible_.end());
    visible_.erase(std::unique(begin, visible_.end()), visible_.end());
    pending_.back().visible_count = visible_.size() - pending_.back().first_visible;
  }

  void see(node_id n) { visible_.push_back(static_cast<std::uint32_t>(pending_index(n))); }

  /// Runs `count` pending nodes from index `first` on.
  void run(std::size_t first, std::size_t count, float* logits) {
    tokens_.clear();
    rows_.clear();
    for (std::size_t i = first; i < first + count; ++i) {
      const pending_node& node = pending_[i];
      tokens_.push_back(node.id);
      const auto visible = std::span<const std::uint32_t>(visible_).subspan(node.first_visible, node.visible_count);
      rows_.push_back({length_ + i, node.position, visible});
    }
    network_->forward(*pool_, {tokens_, rows_, length_}, logits);
  }

  void prefill_chunk(token_span chunk) {
    rows_.clear();
    for (std::size_t i = 0; i < chunk.size(); ++i) {
      rows_.push_back({length_ + i, length_ + i, std::span<const std::uint32_t>(counting_).first(i + 1)});
    }
    network_->forward(*pool_, {chunk, rows_, length_}, nullptr);
    length_ += chunk.size();
  }

  /// Keeps the first `count` pending nodes.
  void forget_pending(std::size_t count) noexcept {
    for (std::size_t i = count; i < pending_.size(); ++i) pending_of_node_[index(pending_[i].node)] = -1;
    if (count < pending_.size()) visible_.resize(pending_[count].first_visible);
    pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(count), pending_.end());
  }
  void drop_pending() noexcept {
    forget_pending(0);
    pending_of_node_.clear();
  }

  std::unique_ptr<thread_pool> pool_;
  std::unique_ptr<transformer> network_;
  std::size_t context_ = 0;
  std::size_t length_ = 0;
  std::vector<pending_node> pending_;
  std::vector<std::uint32_t> visible_;
  std::vector<std::int32_t> pending_of_node_;
  std::vector<std::int32_t> row_of_node_;
  std::vector<std::uint32_t> counting_;  // 0, 1, 2, ...: what the rows of a prefill see
  std::vector<token> tokens_;
  std::vector<pass_row> rows_;
  aligned_buffer<float> logits_;
};

static_assert(TreeModel<reference_model>);
static_assert(BatchInvariantModel<reference_model>);

}  // namespace decant::inline DECANT_ABI

#endif
