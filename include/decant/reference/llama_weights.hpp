// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The weights of a file of the llama family in compute layout.
#ifndef DECANT_REFERENCE_LLAMA_WEIGHTS_HPP
#define DECANT_REFERENCE_LLAMA_WEIGHTS_HPP

#include <decant/reference/fnv_hash.hpp>
#include <decant/reference/llama_config.hpp>
#include <decant/reference/packed_matrix.hpp>
#include <decant/reference/packed_weights.hpp>
#include <decant/reference/thread_pool.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace decant::inline DECANT_ABI {

/// y = W x + b; `bias` is empty or has a value for every row of the padded matrix.
struct linear_layer {
  packed_matrix weight;
  aligned_buffer<float> bias;
};

struct llama_block {
  aligned_buffer<float> attention_norm;  ///< padded with zeros to a multiple of 16
  aligned_buffer<float> feed_norm;
  linear_layer query;
  linear_layer key;
  linear_layer value;
  linear_layer attention_output;
  linear_layer gate;
  linear_layer up;
  linear_layer down;
};

/// What became of stored packed weights.
enum class weight_storage : std::uint8_t {
  unused,  ///< not asked for
  mapped,  ///< the weights are those of the file
  stored,  ///< there was no file: now there is
  failed,  ///< the weights were packed; `problem` says what was wrong with the file, or why there is none
  mended,  ///< as failed, and the file is now right
};

struct llama_weights {
  packed_matrix token_embedding;
  std::vector<llama_block> blocks;
  aligned_buffer<float> output_norm;
  linear_layer output;               ///< empty when the output is tied to the token embedding
  std::vector<float> rope_divisors;  ///< empty, or one per rotated pair
  packed_memory memory;              ///< of all matrices
  weight_storage storage = weight_storage::unused;
  error storage_problem{};

  [[nodiscard]] bool is_tied() const noexcept { return output.weight.empty(); }

  /// A hash of some rows of some matrices: tells files with different weights apart, if not made to be mistaken.
  /// O(layers * width).
  [[nodiscard]] std::uint64_t fingerprint() const {
    fnv_hash hash;
    add_row(hash, token_embedding, 0);
    add_row(hash, token_embedding, token_embedding.rows() - 1);
    for (const llama_block& block : blocks) {
      add_row(hash, block.query.weight, 0);
      add_row(hash, block.down.weight, 0);
    }
    return hash.value();
  }

 private:
  static void add_row(fnv_hash& hash, const packed_matrix& matrix, std::size_t row) {
    std::vector<float> values(matrix.columns());
    matrix.unpack_row(row, values.data());
    for (const float value : values) hash.add(std::bit_cast<std::uint32_t>(value));
  }
};

/// Copies the tensors of a file into a `llama_weights`. Every tensor of the graph must be there with its exact shape,
/// and a tensor that the graph does not use is refused: it would mean another graph.
class llama_loader {
 public:
  llama_loader(const gguf_file& file, const llama_config& config) noexcept : file_(file), config_(config) {}

  /// Packs with a team of threads, or maps what an earlier load stored in `folder` unless that is empty.
  /// `progress(done, total)` is called with the number of matrices that are ready, and of all. O(size).
  template <class Progress>
  [[nodiscard]] result<llama_weights> load(std::size_t threads, const std::filesystem::path& folder,
                                           Progress&& progress) {
    llama_weights weights;
    if (auto r = describe(weights); !r) return r.error();
    thread_pool pool(threads);
    if (!folder.empty() && map(pool, folder / plan_.file_name(), weights)) return weights;
    if (auto r = plan_.pack(pool, weights.memory, progress); !r) return r.error();
    if (!folder.empty()) store(pool, folder / plan_.file_name(), weights);
    return weights;
  }

 private:
  /// Reads everything but the matrices, which are planned.
  [[nodiscard]] result<void> describe(llama_weights& weights) {
    const std::size_t width = config_.embedding;
    if (auto r = matrix("token_embd", width, config_.vocabulary, weights.token_embedding); !r) return r;
    if (auto r = vector("output_norm.weight", width, weights.output_norm); !r) return r;
    if (file_.tensor("output.weight") != nullptr) {
      if (auto r = linear("output", width, config_.vocabulary, weights.output); !r) return r;
    }
    if (auto r = divisors(weights.rope_divisors); !r) return r;
    weights.blocks.resize(config_.layers);
    for (std::size_t i = 0; i < config_.layers; ++i) {
      if (auto r = load_block(i, weights.blocks[i]); !r) return r;
    }
    return check_all_used();
  }

  /// Whether a stored file could be used; if there is one that could not, notes why.
  [[nodiscard]] bool map(thread_pool& pool, const std::filesystem::path& path, llama_weights& weights) const {
    std::error_code failed;
    if (!std::filesystem::exists(path, failed)) return false;
    const result<void> mapped = plan_.map(pool, weights.memory, path);
    weights.storage = mapped ? weight_storage::mapped : weight_storage::failed;
    if (!mapped) weights.storage_problem = mapped.error();
    return mapped.has_value();
  }
  void store(thread_pool& pool, const std::filesystem::path& path, llama_weights& weights) const {
    const bool is_broken = weights.storage == weight_storage::failed;
    const result<void> stored = plan_.save(pool, weights.memory, path);
    weights.storage = !stored ? weight_storage::failed : is_broken ? weight_storage::mended : weight_storage::stored;
    if (!stored) weights.storage_problem = stored.error();
  }

  [[nodiscard]] result<void> load_block(std::size_t i, llama_block& block) {
    const std::string prefix = "blk." + std::to_string(i) + ".";
    const std::size_t width = config_.embedding;
    const std::size_t feed = config_.feed_forward;
    if (auto r = vector(prefix + "attn_norm.weight", width, block.attention_norm); !r) return r;
    if (auto r = vector(prefix + "ffn_norm.weight", width, block.feed_norm); !r) return r;
    if (auto r = linear(prefix + "attn_q", width, config_.query_width(), block.query); !r) return r;
    if (auto r = linear(prefix + "attn_k", width, config_.key_width(), block.key); !r) return r;
    if (auto r = linear(prefix + "attn_v", width, config_.key_width(), block.value); !r) return r;
    if (auto r = linear(prefix + "attn_output", config_.query_width(), width, block.attention_output); !r) return r;
    if (auto r = linear(prefix + "ffn_gate", width, feed, block.gate); !r) return r;
    if (auto r = linear(prefix + "ffn_up", width, feed, block.up); !r) return r;
    return linear(prefix + "ffn_down", feed, width, block.down);
  }

  [[nodiscard]] result<void> linear(const std::string& name, std::size_t columns, std::size_t rows, linear_layer& out) {
    if (auto r = matrix(name, columns, rows, out.weight); !r) return r;
    const std::string bias = name + ".bias";
    return file_.tensor(bias) == nullptr ? result<void>() : vector(bias, rows, out.bias);
  }

  [[nodiscard]] result<void> matrix(const std::string& name, std::size_t columns, std::size_t rows,
                                    packed_matrix& out) {
    const auto tensor = find(name + ".weight", columns, rows);
    if (!tensor) return tensor.error();
    plan_.add(**tensor, out);
    return {};
  }

  [[nodiscard]] result<void> vector(const std::string& name, std::size_t size, aligned_buffer<float>& out) {
    const auto tensor = find(name, size, 1);
    if (!tensor) return tensor.error();
    if (auto r = out.allocate(round_up(size, cpu::group_rows)); !r) return r;
    return dequantise_finite(**tensor, {out.data(), size});
  }

  [[nodiscard]] result<void> divisors(std::vector<float>& out) {
    constexpr const char* name = "rope_freqs.weight";
    if (file_.tensor(name) == nullptr) return {};
    const auto tensor = find(name, config_.head_size / 2, 1);
    if (!tensor) return tensor.error();
    out.resize(config_.head_size / 2);
    if (auto r = dequantise_finite(**tensor, out); !r) return r;
    const bool positive = std::all_of(out.begin(), out.end(), [](float f) { return f > 0; });
    return positive ? result<void>()
                    : result<void>(error{error_code::file_malformed, "rope_freqs.weight is not positive"});
  }

  [[nodiscard]] static result<void> dequantise_finite(const gguf_tensor& tensor, std::span<float> out) {
    dequantise(tensor.type, tensor.bytes, out);
    const bool finite = std::all_of(out.begin(), out.end(), [](float x) { return std::isfinite(x); });
    if (!finite) return gguf_error(error_code::file_malformed, "a value is not finite in tensor: ", tensor.name);
    return {};
  }

  [[nodiscard]] result<const gguf_tensor*> find(std::string_view name, std::size_t columns, std::size_t rows) {
    const gguf_tensor* tensor = file_.tensor(name);
    if (tensor == nullptr) return gguf_error(error_code::file_malformed, "tensor is missing: ", name);
    const std::array<std::uint64_t, 4> expected{columns, rows, 1, 1};
    if (tensor->dimensions != expected) return gguf_error(error_code::file_malformed, "wrong shape of tensor: ", name);
    ++used_;
    used_names_.push_back(tensor->name);
    return tensor;
  }

  [[nodiscard]] result<void> check_all_used() {
    if (used_ == file_.tensors().size()) return {};
    std::sort(used_names_.begin(), used_names_.end());
    for (const gguf_tensor& tensor : file_.tensors()) {
      if (!std::binary_search(used_names_.begin(), used_names_.end(), tensor.name)) {
        return gguf_error(error_code::unsupported, "a tensor that the llama graph does not know: ", tensor.name);
      }
    }
    return {};
  }

  const gguf_file& file_;
  const llama_config& config_;
  packed_plan plan_;
  std::size_t used_ = 0;
  std::vector<std::string_view> used_names_;
};

}  // namespace decant::inline DECANT_ABI

#endif
