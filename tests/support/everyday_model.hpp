// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Where the tests find the everyday model, SmolLM2-135M-Instruct Q4_1. `cmake -P cmake/fetch_model.cmake` puts it
// there.
#ifndef DECANT_TESTS_SUPPORT_EVERYDAY_MODEL_HPP
#define DECANT_TESTS_SUPPORT_EVERYDAY_MODEL_HPP

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

namespace decant_test {

inline constexpr const char* everyday_model_name = "SmolLM2-135M-Instruct.Q4_1.gguf";
inline constexpr std::uintmax_t everyday_model_bytes = 98'362'432;

/// Why a test that wants the model is left out.
inline constexpr const char* everyday_model_missing =
    "the everyday model is not in the cache (cmake -P cmake/fetch_model.cmake obtains it)";

/// A variable of the environment; an empty one counts as unset.
[[nodiscard]] inline std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return std::string(value);
}

/// The user's cache folder of Decant, by the rules of cmake/fetch_model.cmake.
[[nodiscard]] inline std::optional<std::filesystem::path> cache_folder() {
  if (const auto chosen = environment("DECANT_CACHE")) return std::filesystem::path(*chosen);
  if (const auto caches = environment("XDG_CACHE_HOME")) return std::filesystem::path(*caches) / "decant";
  if (const auto home = environment("HOME")) return std::filesystem::path(*home) / ".cache" / "decant";
  return std::nullopt;
}

/// Path of the everyday model: what DECANT_MODEL names, else the file in the cache; nothing when there is no such file
/// or it does not have the size of the everyday model.
[[nodiscard]] inline std::optional<std::string> everyday_model_path() {
  std::filesystem::path path;
  if (const auto chosen = environment("DECANT_MODEL")) {
    path = *chosen;
  } else if (const auto folder = cache_folder()) {
    path = *folder / everyday_model_name;
  }
  std::error_code failed;
  const std::uintmax_t size = std::filesystem::file_size(path, failed);
  if (failed || size != everyday_model_bytes) return std::nullopt;
  return path.string();
}

}  // namespace decant_test

#endif
