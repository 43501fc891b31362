// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Small random models of llama architecture, written as GGUF files in memory.
#ifndef DECANT_TESTS_REFERENCE_TINY_LLAMA_HPP
#define DECANT_TESTS_REFERENCE_TINY_LLAMA_HPP

#include <decant/reference/gguf_writer.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "support/random.hpp"

namespace decant_test {

/// What to write. The sizes are chosen odd where the format allows it: three query heads to a key head, a vocabulary
/// that is not a multiple of a row group.
struct tiny_llama {
  std::string architecture = "llama";
  decant::tensor_type type = decant::tensor_type::f32;  ///< of all matrices
  std::size_t layers = 2;
  std::size_t heads = 6;
  std::size_t key_heads = 2;
  std::size_t head_size = 16;
  std::size_t feed_forward = 160;
  std::size_t vocabulary = 71;
  std::size_t context = 256;
  bool tied = true;
  bool biases = false;        ///< of all matrices of a block
  bool query_biases = false;  ///< of queries, keys and values, as qwen2 has them
  bool rope_divisors = false;
  std::uint64_t seed = 1;

  [[nodiscard]] std::size_t embedding() const { return heads * head_size; }

  [[nodiscard]] decant::gguf_writer writer() const {
    decant::gguf_writer file;
    write_metadata(file);
    random_source random(seed);
    write_matrix(file, random, "token_embd", vocabulary, embedding(), 1.0);
    write_vector(file, random, "output_norm.weight", embedding(), 1.0, 0.1);
    if (!tied) write_linear(file, random, "output", vocabulary, embedding());
    if (rope_divisors) write_vector(file, random, "rope_freqs.weight", head_size / 2, 2.0, 0.3);
    for (std::size_t i = 0; i < layers; ++i) write_block(file, random, "blk." + std::to_string(i) + ".");
    return file;
  }
  [[nodiscard]] std::vector<std::byte> bytes() const { return writer().bytes(); }

  void write_metadata(decant::gguf_writer& file) const {
    const auto u32 = [](std::size_t x) { return static_cast<std::uint32_t>(x); };
    const auto key = [this](const char* name) { return architecture + "." + name; };
    file.set("general.architecture", std::string_view(architecture))
        .set(key("block_count"), u32(layers))
        .set(key("context_length"), u32(context))
        .set(key("embedding_length"), u32(embedding()))
        .set(key("feed_forward_length"), u32(feed_forward))
        .set(key("attention.head_count"), u32(heads))
        .set(key("attention.head_count_kv"), u32(key_heads))
        .set(key("attention.layer_norm_rms_epsilon"), 1e-5F)
        .set(key("rope.freq_base"), 5000.0F);
  }

 private:
  void write_block(decant::gguf_writer& file, random_source& random, const std::string& prefix) const {
    write_vector(file, random, prefix + "attn_norm.weight", embedding(), 1.0, 0.2);
    write_vector(file, random, prefix + "ffn_norm.weight", embedding(), 1.0, 0.2);
    write_linear(file, random, prefix + "attn_q", heads * head_size, embedding());
    write_linear(file, random, prefix + "attn_k", key_heads * head_size, embedding());
    write_linear(file, random, prefix + "attn_v", key_heads * head_size, embedding());
    write_linear(file, random, prefix + "attn_output", embedding(), heads * head_size);
    write_linear(file, random, prefix + "ffn_gate", feed_forward, embedding());
    write_linear(file, random, prefix + "ffn_up", feed_forward, embedding());
    write_linear(file, random, prefix + "ffn_down", embedding(), feed_forward);
  }

  void write_linear(decant::gguf_writer& file, random_source& random, const std::string& name, std::size_t rows,
                    std::size_t columns) const {
    write_matrix(file, random, name, rows, columns, 1.5 / std::sqrt(static_cast<double>(columns)));
    const bool is_query = name.ends_with("attn_q") || name.ends_with("attn_k") || name.ends_with("attn_v");
    if (biases || (query_biases && is_query)) write_vector(file, random, name + ".bias", rows, 0.0, 0.3);
  }

  void write_matrix(decant::gguf_writer& file, random_source& random, const std::string& name, std::size_t rows,
                    std::size_t columns, double spread) const {
    const std::vector<float> values = random.logits<float>(rows * columns, spread);
    file.add_tensor(name + ".weight", type, {columns, rows}, values);
  }

  static void write_vector(decant::gguf_writer& file, random_source& random, const std::string& name, std::size_t size,
                           double mean, double spread) {
    std::vector<float> values = random.logits<float>(size, spread);
    for (float& x : values) x += static_cast<float>(mean);
    file.add_tensor(name, decant::tensor_type::f32, {size}, values);
  }
};

}  // namespace decant_test

#endif
