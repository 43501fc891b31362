// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Published trees of fixed widths, as values of `static_widths`.
#ifndef DECANT_TREE_PUBLISHED_WIDTHS_HPP
#define DECANT_TREE_PUBLISHED_WIDTHS_HPP

#include <decant/tree/static_widths.hpp>

namespace decant::inline DECANT_ABI {

/// SpecInfer's expansion (arXiv 2305.09781), independent draws: depth 8, three branches from level 3 on; 20 nodes.
inline constexpr static_widths<independent> specinfer_widths{{1, 1, 3, 1, 1, 1, 1, 1}};

/// RSD-C (arXiv 2402.14160), draws without replacement: 2 x 2 x 2, 14 nodes.
inline constexpr static_widths<without_replacement> rsd_c_widths{{2, 2, 2}};

}  // namespace decant::inline DECANT_ABI

#endif
