// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The state of a step that only needs to know where in the text it is.
#ifndef DECANT_SAMPLE_TEXT_POSITION_HPP
#define DECANT_SAMPLE_TEXT_POSITION_HPP

#include <decant/core/types.hpp>

namespace decant::inline DECANT_ABI {

/// Number of tokens that a sampler's state was advanced over, all or those of the output: the position of the next one.
struct text_position {
  std::uint64_t value = 0;

  friend constexpr bool operator==(text_position, text_position) = default;
};

}  // namespace decant::inline DECANT_ABI

#endif
