// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A model file with its matrices in another type: what a smaller or larger type costs in speed and in accuracy can then
// be measured on one model.
//
// Matrices (tensors of two dimensions) are decoded and quantised again; those that have their new type already, vectors
// and tensors of more dimensions are copied bit by bit. Two rules for K types, as in llama.cpp's mixed files:
//  - the table of tokens and the output matrix get Q6_K in place of Q4_K and Q5_K: their errors go straight to logits;
//  - rows that are no multiple of 256 get the type of blocks of 32 with as many bits a code, Q4_1 for Q4_K, Q5_1 for
//    Q5_K, Q8_0 for Q6_K (llama.cpp: Q5_0, Q5_1, Q8_0); rows that do not fit that either keep their type.
// Metadata is copied, except `general.file_type`, which readers find out from the tensors when it is missing, and
// `general.alignment`, which is the writer's.
#ifndef DECANT_REFERENCE_REQUANTISE_HPP
#define DECANT_REFERENCE_REQUANTISE_HPP

#include <decant/core/error.hpp>
#include <decant/reference/gguf.hpp>
#include <decant/reference/gguf_writer.hpp>
#include <decant/reference/quantisation.hpp>
#include <decant/reference/tensor_type.hpp>
#include <decant/reference/thread_pool.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace decant::inline DECANT_ABI {

/// The type of blocks of 32 with as many bits a code as a K type; other types themselves.
[[nodiscard]] constexpr tensor_type with_small_blocks(tensor_type type) noexcept {
  switch (type) {
    case tensor_type::q4_k: return tensor_type::q4_1;
    case tensor_type::q5_k: return tensor_type::q5_1;
    case tensor_type::q6_k: return tensor_type::q8_0;
    default: return type;
  }
}

/// The type that a tensor gets when matrices are to have the type `wanted`.
[[nodiscard]] constexpr tensor_type requantised_type(const gguf_tensor& tensor, tensor_type wanted) noexcept {
  if (tensor.rank != 2) return tensor.type;
  const bool is_coarse = wanted == tensor_type::q4_k || wanted == tensor_type::q5_k;
  const bool has_vocabulary = tensor.name == "token_embd.weight" || tensor.name == "output.weight";
  if (is_coarse && has_vocabulary) wanted = tensor_type::q6_k;
  for (const tensor_type type : {wanted, with_small_blocks(wanted)}) {
    if (tensor.dimensions[0] % traits_of(type).block_elements == 0) return type;
  }
  return tensor.type;
}

/// Bytes of a matrix in another type, and what that costs.
struct requantised_matrix {
  std::vector<std::byte> bytes;
  double error = 0;  ///< squared, of all values against the values before
  double size = 0;   ///< sum of the squares of the values before
};

/// Quantises a matrix again, rows shared out over a team. O(size). Error: `file_malformed` with the tensor when a value
/// is not finite, before or after. Precondition: rows are whole blocks of the type.
[[nodiscard]] inline result<requantised_matrix> requantise(const gguf_tensor& tensor, tensor_type type,
                                                           thread_pool& pool) {
  const auto columns = static_cast<std::size_t>(tensor.dimensions[0]);
  const auto rows = static_cast<std::size_t>(tensor.dimensions[1]);
  const std::size_t old_size = row_bytes(tensor.type, columns);
  const std::size_t new_size = row_bytes(type, columns);
  requantised_matrix matrix;
  matrix.bytes.resize(rows * new_size);
  struct row_cost {
    double error = 0;
    double size = 0;
  };
  std::vector<row_cost> costs(rows);
  const auto convert = [&](std::size_t row, std::vector<float>& before, std::vector<float>& after) {
    const std::span<std::byte> to(matrix.bytes.data() + row * new_size, new_size);
    dequantise(tensor.type, tensor.bytes.subspan(row * old_size, old_size), before);
    for (const float x : before) costs[row].size += static_cast<double>(x) * static_cast<double>(x);
    if (!std::isfinite(costs[row].size)) return;
    quantise(type, before, to);
    dequantise(type, to, after);
    for (std::size_t i = 0; i < columns; ++i) {
      const double difference = static_cast<double>(after[i]) - static_cast<double>(before[i]);
      costs[row].error += difference * difference;
    }
  };
  pool.run([&](thread_pool::worker& self) {
    std::vector<float> before(columns);
    std::vector<float> after(columns);
    self.for_each(rows, 8, [&](std::size_t row) { convert(row, before, after); });
  });
  for (const row_cost& cost : costs) {
    matrix.error += cost.error;
    matrix.size += cost.size;
  }
  if (!std::isfinite(matrix.error + matrix.size)) {
    return gguf_error(error_code::file_malformed, "a value is not finite in tensor: ", tensor.name);
  }
  return matrix;
}

/// The file with its matrices in the type `wanted`. Calls `report(tensor, type, matrix)` for each that was quantised
/// again, in file order. O(size); errors: `invalid_argument` for a type that is not known, and those of the above.
template <class Report>
[[nodiscard]] result<gguf_writer> requantise(const gguf_file& file, tensor_type wanted, thread_pool& pool,
                                             Report&& report) {
  if (!can_quantise(wanted)) return error{error_code::invalid_argument, "type of tensors"};
  gguf_writer made;
  for (const gguf_entry& entry : file.entries()) {
    if (entry.name != "general.file_type" && entry.name != "general.alignment") made.add(entry);
  }
  for (const gguf_tensor& tensor : file.tensors()) {
    const std::span<const std::uint64_t> dimensions(tensor.dimensions.data(), tensor.rank);
    const tensor_type type = requantised_type(tensor, wanted);
    if (type == tensor.type) {
      made.add_tensor(tensor.name, type, dimensions, tensor.bytes);
      continue;
    }
    const result<requantised_matrix> matrix = requantise(tensor, type, pool);
    if (!matrix) return matrix.error();
    made.add_tensor(tensor.name, type, dimensions, matrix->bytes);
    report(tensor, type, *matrix);
  }
  return made;
}

}  // namespace decant::inline DECANT_ABI

#endif
