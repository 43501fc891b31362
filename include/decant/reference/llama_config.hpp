// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Hyperparameters of a model file of the llama family, read and checked.
#ifndef DECANT_REFERENCE_LLAMA_CONFIG_HPP
#define DECANT_REFERENCE_LLAMA_CONFIG_HPP

#include <decant/reference/gguf.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace decant::inline DECANT_ABI {

/// Which elements of a head the rotary embedding turns together.
enum class rope_pairing : std::uint8_t {
  neighbours,  ///< (2i, 2i + 1): files of the llama architecture
  halves,      ///< (i, i + size / 2): "NeoX" style
};

/// How positions beyond the trained context are reached. Scaling in the manner of Llama 3 needs no kind of its own:
/// files carry it as divisors, the tensor rope_freqs.weight.
enum class rope_scaling_kind : std::uint8_t { none, linear, yarn };

/// An architecture that is the llama graph: the same layers, with optional biases, apart from the pairing.
struct llama_architecture {
  std::string_view name;  ///< of the file's general.architecture, and the prefix of its keys
  rope_pairing pairs;
};

inline constexpr std::array<llama_architecture, 2> llama_architectures{{
    {"llama", rope_pairing::neighbours},
    {"qwen2", rope_pairing::halves},
}};

/// Sizes and constants of a model; every field is within the bounds that `read` enforces.
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
  float attention_scale = 0.0F;  ///< multiplies scores
  rope_pairing rope_pairs = rope_pairing::neighbours;
  double rope_base = 10000.0;
  rope_scaling_kind rope_scaling = rope_scaling_kind::none;
  double rope_scale = 1.0;           ///< multiplies positions; 1 / factor of the file
  std::size_t original_context = 0;  ///< YaRN: context before the extension
  double yarn_fast_turns = 32.0;     ///< YaRN: pairs that turn more often within it keep their frequency
  double yarn_slow_turns = 1.0;      ///< YaRN: pairs that turn less often are interpolated
  double yarn_extrapolation = 1.0;   ///< YaRN: weight of the kept frequencies
  double yarn_magnitude = 1.0;       ///< YaRN: multiplies queries and keys, besides 1 + 0.1 ln factor

  [[nodiscard]] std::size_t heads_per_key() const noexcept { return heads / key_heads; }
  [[nodiscard]] std::size_t query_width() const noexcept { return heads * head_size; }
  [[nodiscard]] std::size_t key_width() const noexcept { return key_heads * head_size; }

  friend bool operator==(const llama_config&, const llama_config&) = default;

  /// Reads the hyperparameters. Errors: `unsupported` for other architectures and features, `file_malformed` for
  /// missing or impossible values; both name the key.
  [[nodiscard]] static result<llama_config> read(const gguf_file& file);
};

namespace detail {

/// Reads one file's keys into a config.
class llama_config_reader {
 public:
  explicit llama_config_reader(const gguf_file& file) noexcept : file_(file) {}

  [[nodiscard]] result<llama_config> read() {
    if (const auto done = read_architecture(); !done) return done.error();
    if (const auto done = read_sizes(); !done) return done.error();
    if (const auto done = read_head_size(); !done) return done.error();
    if (const auto done = read_constants(); !done) return done.error();
    if (const auto done = read_rope_scaling(); !done) return done.error();
    return config_;
  }

 private:
  [[nodiscard]] result<void> read_architecture() {
    const auto name = file_.get<std::string_view>("general.architecture");
    if (!name) return name.error();
    const auto known = std::find_if(llama_architectures.begin(), llama_architectures.end(),
                                    [&](const llama_architecture& a) { return a.name == *name; });
    if (known == llama_architectures.end()) return gguf_error(error_code::unsupported, "architecture ", *name);
    prefix_ = std::string(known->name) + ".";
    config_.rope_pairs = known->pairs;
    const auto experts = file_.get_or<std::uint64_t>(key("expert_count"), 0);
    if (!experts) return experts.error();
    if (*experts != 0) return error{error_code::unsupported, "a mixture of experts (expert_count)"};
    return {};
  }

  [[nodiscard]] result<void> read_sizes() {
    constexpr std::uint64_t million = 1 << 20;
    if (auto r = read_size("block_count", 1024, 0, config_.layers); !r) return r;
    if (auto r = read_size("embedding_length", million, 0, config_.embedding); !r) return r;
    if (auto r = read_size("feed_forward_length", million, 0, config_.feed_forward); !r) return r;
    if (auto r = read_size("context_length", 1U << 24, 0, config_.context); !r) return r;
    if (auto r = read_size("attention.head_count", 4096, 0, config_.heads); !r) return r;
    if (auto r = read_size("attention.head_count_kv", 4096, config_.heads, config_.key_heads); !r) return r;
    if (config_.heads % config_.key_heads != 0)
      return malformed("does not divide the head count: ", "attention.head_count_kv");
    const gguf_tensor* table = file_.tensor("token_embd.weight");
    if (table == nullptr) return error{error_code::file_malformed, "tensor is missing: token_embd.weight"};
    return read_size("vocab_size", 1U << 24, table->dimensions[1], config_.vocabulary);
  }

  [[nodiscard]] result<void> read_head_size() {
    if (!file_.has(key("attention.key_length")) && config_.embedding % config_.heads != 0) {
      return malformed("does not divide the embedding length: ", "attention.head_count");
    }
    constexpr std::uint64_t limit = 1024;
    std::size_t value_size = 0;
    std::size_t rotated = 0;
    const std::size_t usual = config_.embedding / config_.heads;
    const std::size_t& size = config_.head_size;
    if (auto r = read_size("attention.key_length", limit, usual, config_.head_size); !r) return r;
    if (auto r = read_size("attention.value_length", limit, size, value_size); !r) return r;
    if (auto r = read_size("rope.dimension_count", limit, size, rotated); !r) return r;
    if (size % 2 != 0) return error{error_code::file_malformed, "the size of an attention head is odd"};
    if (value_size != size) return gguf_error(error_code::unsupported, "", key("attention.value_length"));
    if (rotated != size) return gguf_error(error_code::unsupported, "", key("rope.dimension_count"));
    return {};
  }

  [[nodiscard]] result<void> read_constants() {
    const auto epsilon = file_.get<double>(key("attention.layer_norm_rms_epsilon"));
    if (!epsilon) return epsilon.error();
    if (!(*epsilon > 0 && *epsilon < 1)) return malformed("out of range: ", "attention.layer_norm_rms_epsilon");
    config_.epsilon = static_cast<float>(*epsilon);
    if (auto r = read_positive("rope.freq_base", 10000.0, config_.rope_base); !r) return r;
    double scale = 0;
    const double usual = 1.0 / std::sqrt(static_cast<double>(config_.head_size));
    if (auto r = read_positive("attention.scale", usual, scale); !r) return r;
    config_.attention_scale = static_cast<float>(scale);
    return {};
  }

  [[nodiscard]] result<void> read_rope_scaling() {
    const auto type = file_.get_or<std::string_view>(key("rope.scaling.type"), "none");
    if (!type) return type.error();
    if (*type == "none") return {};
    if (*type != "linear" && *type != "yarn") return gguf_error(error_code::unsupported, "rope scaling ", *type);
    double factor = 0;
    if (auto r = read_positive("rope.scaling.factor", 1.0, factor); !r) return r;
    config_.rope_scale = 1.0 / factor;
    config_.rope_scaling = *type == "yarn" ? rope_scaling_kind::yarn : rope_scaling_kind::linear;
    return *type == "yarn" ? read_yarn() : result<void>();
  }

  /// llama.cpp reads the keys of the ramp for one other architecture only; for files without them both agree.
  [[nodiscard]] result<void> read_yarn() {
    std::size_t& original = config_.original_context;
    if (auto r = read_size("rope.scaling.original_context_length", 1U << 24, config_.context, original); !r) return r;
    if (config_.rope_base <= 1.0) return malformed("out of range: ", "rope.freq_base");
    if (auto r = read_positive("rope.scaling.yarn_beta_fast", 32.0, config_.yarn_fast_turns); !r) return r;
    if (auto r = read_positive("rope.scaling.yarn_beta_slow", 1.0, config_.yarn_slow_turns); !r) return r;
    if (auto r = read_positive("rope.scaling.yarn_ext_factor", 1.0, config_.yarn_extrapolation); !r) return r;
    if (auto r = read_positive("rope.scaling.yarn_attn_factor", 1.0, config_.yarn_magnitude); !r) return r;
    return read_positive("rope.scaling.attn_factor", config_.yarn_magnitude, config_.yarn_magnitude);
  }

  /// A size in [1, limit], or `fallback` (when positive) for a missing key.
  [[nodiscard]] result<void> read_size(std::string_view name, std::uint64_t limit, std::uint64_t fallback,
                                       std::size_t& out) const {
    const std::string full = key(name);
    const auto value = fallback > 0 ? file_.get_or<std::uint64_t>(full, fallback) : file_.get<std::uint64_t>(full);
    if (!value) return value.error();
    if (*value < 1 || *value > limit) return malformed("out of range: ", name);
    out = static_cast<std::size_t>(*value);
    return {};
  }

  [[nodiscard]] result<void> read_positive(std::string_view name, double fallback, double& out) const {
    const auto value = file_.get_or<double>(key(name), fallback);
    if (!value) return value.error();
    if (!(*value > 0 && std::isfinite(*value))) return malformed("out of range: ", name);
    out = *value;
    return {};
  }

  [[nodiscard]] std::string key(std::string_view name) const { return prefix_ + std::string(name); }
  [[nodiscard]] error malformed(const char* words, std::string_view name) const {
    return gguf_error(error_code::file_malformed, words, key(name));
  }

  const gguf_file& file_;
  std::string prefix_;
  llama_config config_;
};

}  // namespace detail

inline result<llama_config> llama_config::read(const gguf_file& file) {
  return detail::llama_config_reader(file).read();
}

}  // namespace decant::inline DECANT_ABI

#endif
