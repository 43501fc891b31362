// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Hyperparameters of a llama-architecture file, read and checked.
#ifndef DECANT_REFERENCE_LLAMA_CONFIG_HPP
#define DECANT_REFERENCE_LLAMA_CONFIG_HPP

#include <decant/reference/gguf.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace decant::inline DECANT_ABI {

/// Sizes and constants of a llama-architecture model; every field is within the bounds that `read` enforces.
struct llama_config {
  std::size_t layers = 0;
  std::size_t embedding = 0;     ///< width of the residual stream
  std::size_t heads = 0;         ///< query heads
  std::size_t key_heads = 0;     ///< key and value heads; divides `heads`
  std::size_t head_size = 0;     ///< even
  std::size_t feed_forward = 0;  ///< width of the SwiGLU layer
  std::size_t vocabulary = 0;    ///< rows of the token embedding
  std::size_t context = 0;       ///< positions the model was trained for
  float epsilon = 1e-5F;         ///< of RMSNorm
  double rope_base = 10000.0;
  double rope_scale = 1.0;       ///< multiplies positions (linear scaling)
  float attention_scale = 0.0F;  ///< multiplies scores

  [[nodiscard]] std::size_t heads_per_key() const noexcept { return heads / key_heads; }
  [[nodiscard]] std::size_t query_width() const noexcept { return heads * head_size; }
  [[nodiscard]] std::size_t key_width() const noexcept { return key_heads * head_size; }

  friend bool operator==(const llama_config&, const llama_config&) = default;

  /// Reads the hyperparameters. Errors: `unsupported` for other architectures and features, `file_malformed` for
  /// missing or impossible values; both name the key.
  [[nodiscard]] static result<llama_config> read(const gguf_file& file) {
    if (const auto done = check_architecture(file); !done) return done.error();
    llama_config config;
    if (const auto done = config.read_sizes(file); !done) return done.error();
    if (const auto done = config.read_head_size(file); !done) return done.error();
    if (const auto done = config.read_constants(file); !done) return done.error();
    return config;
  }

 private:
  [[nodiscard]] static result<void> check_architecture(const gguf_file& file) {
    const auto architecture = file.get<std::string_view>("general.architecture");
    if (!architecture) return architecture.error();
    if (*architecture != "llama") return gguf_error(error_code::unsupported, "architecture ", *architecture);
    const auto experts = file.get_or<std::uint64_t>("llama.expert_count", 0);
    if (!experts) return experts.error();
    if (*experts != 0) return error{error_code::unsupported, "a mixture of experts (llama.expert_count)"};
    return {};
  }

  /// A size in [1, limit], or `fallback` (when positive) for a missing key.
  [[nodiscard]] static result<void> read_size(const gguf_file& file, std::string_view key, std::uint64_t limit,
                                              std::uint64_t fallback, std::size_t& out) {
    const auto value = fallback > 0 ? file.get_or<std::uint64_t>(key, fallback) : file.get<std::uint64_t>(key);
    if (!value) return value.error();
    if (*value < 1 || *value > limit) return gguf_error(error_code::file_malformed, "out of range: ", key);
    out = static_cast<std::size_t>(*value);
    return {};
  }

  [[nodiscard]] result<void> read_sizes(const gguf_file& file) {
    constexpr std::uint64_t million = 1 << 20;
    if (auto r = read_size(file, "llama.block_count", 1024, 0, layers); !r) return r;
    if (auto r = read_size(file, "llama.embedding_length", million, 0, embedding); !r) return r;
    if (auto r = read_size(file, "llama.feed_forward_length", million, 0, feed_forward); !r) return r;
    if (auto r = read_size(file, "llama.context_length", 1U << 24, 0, context); !r) return r;
    if (auto r = read_size(file, "llama.attention.head_count", 4096, 0, heads); !r) return r;
    if (auto r = read_size(file, "llama.attention.head_count_kv", 4096, heads, key_heads); !r) return r;
    if (heads % key_heads != 0) {
      return error{error_code::file_malformed, "llama.attention.head_count_kv does not divide the head count"};
    }
    const gguf_tensor* table = file.tensor("token_embd.weight");
    if (table == nullptr) return error{error_code::file_malformed, "tensor is missing: token_embd.weight"};
    if (auto r = read_size(file, "llama.vocab_size", 1U << 24, table->dimensions[1], vocabulary); !r) return r;
    return {};
  }

  [[nodiscard]] result<void> read_head_size(const gguf_file& file) {
    if (!file.has("llama.attention.key_length") && embedding % heads != 0) {
      return error{error_code::file_malformed, "llama.attention.head_count does not divide the embedding length"};
    }
    constexpr std::uint64_t limit = 1024;
    std::size_t value_size = 0;
    std::size_t rotated = 0;
    const std::size_t usual = embedding / heads;
    if (auto r = read_size(file, "llama.attention.key_length", limit, usual, head_size); !r) return r;
    if (auto r = read_size(file, "llama.attention.value_length", limit, head_size, value_size); !r) return r;
    if (auto r = read_size(file, "llama.rope.dimension_count", limit, head_size, rotated); !r) return r;
    if (head_size % 2 != 0) return error{error_code::file_malformed, "the size of an attention head is odd"};
    if (value_size != head_size) return error{error_code::unsupported, "llama.attention.value_length"};
    if (rotated != head_size) return error{error_code::unsupported, "llama.rope.dimension_count"};
    return {};
  }

  [[nodiscard]] result<void> read_constants(const gguf_file& file) {
    const auto eps = file.get<double>("llama.attention.layer_norm_rms_epsilon");
    if (!eps) return eps.error();
    if (!(*eps > 0 && *eps < 1)) {
      return error{error_code::file_malformed, "out of range: llama.attention.layer_norm_rms_epsilon"};
    }
    epsilon = static_cast<float>(*eps);
    const auto base = file.get_or<double>("llama.rope.freq_base", 10000.0);
    if (!base) return base.error();
    if (!(*base > 0 && std::isfinite(*base))) {
      return error{error_code::file_malformed, "out of range: llama.rope.freq_base"};
    }
    rope_base = *base;
    const auto scale = file.get_or<double>("llama.attention.scale", 1.0 / std::sqrt(static_cast<double>(head_size)));
    if (!scale) return scale.error();
    if (!(*scale > 0 && std::isfinite(*scale))) {
      return error{error_code::file_malformed, "out of range: llama.attention.scale"};
    }
    attention_scale = static_cast<float>(*scale);
    return read_rope_scaling(file);
  }

  [[nodiscard]] result<void> read_rope_scaling(const gguf_file& file) {
    const auto type = file.get_or<std::string_view>("llama.rope.scaling.type", "none");
    if (!type) return type.error();
    if (*type == "none") return {};
    if (*type != "linear") return gguf_error(error_code::unsupported, "rope scaling ", *type);
    const auto factor = file.get_or<double>("llama.rope.scaling.factor", 1.0);
    if (!factor) return factor.error();
    if (!(*factor > 0 && std::isfinite(*factor))) {
      return error{error_code::file_malformed, "out of range: llama.rope.scaling.factor"};
    }
    rope_scale = 1.0 / *factor;
    return {};
  }
};

}  // namespace decant::inline DECANT_ABI

#endif
