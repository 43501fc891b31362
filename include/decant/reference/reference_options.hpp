// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a host may choose about a reference model.
#ifndef DECANT_REFERENCE_REFERENCE_OPTIONS_HPP
#define DECANT_REFERENCE_REFERENCE_OPTIONS_HPP

#include <decant/kernels/cpu_features.hpp>
#include <decant/kernels/kernel_table.hpp>
#include <decant/reference/kv_cache.hpp>

#include <cstddef>

namespace decant::inline DECANT_ABI {

/// How a `reference_model` is set up.
struct reference_options {
  std::size_t threads = 2;  ///< 1 to 1024
  /// Tokens the sequence can hold; 0 takes the file's context length, at most 8192.
  std::size_t context = 0;
  /// What keys and values are stored as: 4, 2 or about 1.06 bytes an element.
  kv_type cache = kv_type::f16;
  instruction_set kernels = best_instruction_set();
  /// What quantised matrices are multiplied with: int8 per block of 32, or the floats themselves, which is several
  /// times slower and more exact.
  activation_kind activations = activation_kind::int8_blocks;
  /// Folder that keeps the weights in the layout of the kernels, so that the next load maps them instead of packing;
  /// null: none. A file takes about the size of the model file. See `reference_model::weights_stored`.
  const char* weight_folder = nullptr;
};

}  // namespace decant::inline DECANT_ABI

#endif
