// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The element types of tensors in GGUF files: a row is a sequence of whole blocks of fixed size.
#ifndef DECANT_REFERENCE_TENSOR_TYPE_HPP
#define DECANT_REFERENCE_TENSOR_TYPE_HPP

#include <decant/config.hpp>

#include <cstddef>
#include <cstdint>

namespace decant::inline DECANT_ABI {

/// Element type of a tensor; the values are those of the file format.
enum class tensor_type : std::uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  bf16 = 30,
};

/// Size of a block of a type. `block_elements == 0` marks a type that this reader does not know.
struct tensor_type_traits {
  const char* name = "unknown";
  std::uint32_t block_elements = 0;
  std::uint32_t block_bytes = 0;
};

/// Traits of a type id as found in a file; any id may be asked for.
[[nodiscard]] constexpr tensor_type_traits traits_of(tensor_type type) noexcept {
  switch (type) {
    case tensor_type::f32: return {"F32", 1, 4};
    case tensor_type::f16: return {"F16", 1, 2};
    case tensor_type::q4_0: return {"Q4_0", 32, 18};
    case tensor_type::q4_1: return {"Q4_1", 32, 20};
    case tensor_type::q5_0: return {"Q5_0", 32, 22};
    case tensor_type::q5_1: return {"Q5_1", 32, 24};
    case tensor_type::q8_0: return {"Q8_0", 32, 34};
    case tensor_type::q4_k: return {"Q4_K", 256, 144};
    case tensor_type::q5_k: return {"Q5_K", 256, 176};
    case tensor_type::q6_k: return {"Q6_K", 256, 210};
    case tensor_type::bf16: return {"BF16", 1, 2};
  }
  return {};
}

/// Bytes of a row of `elements` elements. Precondition: a known type and a whole number of blocks.
[[nodiscard]] constexpr std::size_t row_bytes(tensor_type type, std::size_t elements) noexcept {
  const tensor_type_traits traits = traits_of(type);
  return elements / traits.block_elements * traits.block_bytes;
}

}  // namespace decant::inline DECANT_ABI

#endif
