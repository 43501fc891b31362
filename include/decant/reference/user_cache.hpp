// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef DECANT_REFERENCE_USER_CACHE_HPP
#define DECANT_REFERENCE_USER_CACHE_HPP

#include <decant/config.hpp>

#include <cstdlib>
#include <filesystem>

namespace decant::inline DECANT_ABI {

/// The folder where models and measurements are kept for this user, the one that cmake/fetch_model.cmake uses:
/// $DECANT_CACHE, else $XDG_CACHE_HOME/decant, else $HOME/.cache/decant. Empty when none of these is set. It may not
/// exist yet.
[[nodiscard]] inline std::filesystem::path user_cache_folder() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::filesystem::path(value == nullptr ? "" : value);
  };
  if (const auto folder = variable("DECANT_CACHE"); !folder.empty()) return folder;
  if (const auto folder = variable("XDG_CACHE_HOME"); !folder.empty()) return folder / "decant";
  if (const auto folder = variable("HOME"); !folder.empty()) return folder / ".cache" / "decant";
  return {};
}

}  // namespace decant::inline DECANT_ABI

#endif
