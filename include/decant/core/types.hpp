// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef DECANT_CORE_TYPES_HPP
#define DECANT_CORE_TYPES_HPP

#include <decant/config.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace decant::inline DECANT_ABI {

/// A token id. Ids in [0, vocabulary size) are ordinary tokens; a virtual node carries an id at or above it.
using token = std::int32_t;

/// Index of a node of a token tree; node 0 is the root.
using node_id = std::int32_t;

inline constexpr token no_token = -1;
inline constexpr node_id no_node = -1;

using token_span = std::span<const token>;
using node_span = std::span<const node_id>;

/// Converts a node or token id, known to be non-negative, to an index.
[[nodiscard]] constexpr std::size_t index(std::int32_t id) noexcept { return static_cast<std::size_t>(id); }

}  // namespace decant::inline DECANT_ABI

#endif
