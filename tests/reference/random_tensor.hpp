// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Random tensors of every type, as bytes and as exact values.
#ifndef DECANT_TESTS_REFERENCE_RANDOM_TENSOR_HPP
#define DECANT_TESTS_REFERENCE_RANDOM_TENSOR_HPP

#include <decant/reference/gguf.hpp>
#include <decant/reference/quantisation.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "support/random.hpp"

namespace decant_test {

inline constexpr decant::tensor_type every_type[] = {
    decant::tensor_type::f32,  decant::tensor_type::f16,  decant::tensor_type::bf16, decant::tensor_type::q4_0,
    decant::tensor_type::q4_1, decant::tensor_type::q5_0, decant::tensor_type::q5_1, decant::tensor_type::q8_0,
    decant::tensor_type::q4_k, decant::tensor_type::q5_k, decant::tensor_type::q6_k};

/// Elements of the shortest row that products with int8 activations take.
[[nodiscard]] inline std::size_t smallest_row(decant::tensor_type type) {
  return decant::traits_of(type).block_elements == 256 ? 256 : 32;
}

/// A random tensor of {columns, rows} with its bytes and its exact values.
struct random_tensor {
  std::vector<std::byte> bytes;
  std::vector<float> values;
  decant::gguf_tensor tensor;

  random_tensor(decant::tensor_type type, std::size_t rows, std::size_t columns, std::uint64_t seed)
      : bytes(decant::row_bytes(type, columns) * rows), values(rows * columns) {
    random_source random(seed);
    if (decant::traits_of(type).block_elements != 256) {
      decant::quantise(type, random.logits<float>(values.size(), 0.5), bytes);
    } else {
      fill_k_blocks(type, random);
    }
    decant::dequantise(type, bytes, values);
    describe(type, rows, columns);
  }
  /// The same values as 32-bit floats.
  explicit random_tensor(const random_tensor& other)
      : bytes(other.values.size() * sizeof(float)), values(other.values) {
    std::memcpy(bytes.data(), values.data(), bytes.size());
    describe(decant::tensor_type::f32, other.tensor.dimensions[1], other.tensor.dimensions[0]);
  }
  random_tensor& operator=(const random_tensor&) = delete;

 private:
  void describe(decant::tensor_type type, std::size_t rows, std::size_t columns) {
    tensor.name = "t";
    tensor.type = type;
    tensor.dimensions = {columns, rows, 1, 1};
    tensor.bytes = bytes;
  }

  // Random codes and scale steps, those that no quantiser makes among them; the scales of a block are small.
  void fill_k_blocks(decant::tensor_type type, random_source& random) {
    const std::size_t block_bytes = decant::traits_of(type).block_bytes;
    for (std::byte& b : bytes) b = static_cast<std::byte>(random.below(256));
    for (std::size_t at = 0; at < bytes.size(); at += block_bytes) {
      const auto scale = [&] { return decant::float_to_half(static_cast<float>(random.uniform(-0.01, 0.01))); };
      const bool is_q6 = type == decant::tensor_type::q6_k;
      decant::block::store_u16(bytes.data() + at + (is_q6 ? 208 : 0), scale());
      if (!is_q6) decant::block::store_u16(bytes.data() + at + 2, scale());
    }
  }
};

}  // namespace decant_test

#endif
