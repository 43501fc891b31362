// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Any bytes as a file of packed weights: either they are refused with a culprit, or matrices read from them stay
// inside.
#ifndef DECANT_TESTS_FUZZ_PACKED_WEIGHTS_TARGET_HPP
#define DECANT_TESTS_FUZZ_PACKED_WEIGHTS_TARGET_HPP

#include <decant/reference/packed_weights.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace decant_fuzz {

struct packed_weights_target {
  /// What is wrong, or null.
  [[nodiscard]] static const char* check(std::string_view bytes) {
    model expected;
    const auto raw = std::as_bytes(std::span(bytes.data(), bytes.size()));
    const auto body = expected.plan.check(expected.pool, raw);
    if (!body) return body.error().detail.empty() ? "an error of the reader names no culprit" : nullptr;
    const auto* end = reinterpret_cast<const std::uint8_t*>(raw.data()) + raw.size();
    return *body + expected.plan.bytes() == end ? nullptr : "the weights are not the rest of the file";
  }

  /// The right file.
  [[nodiscard]] static std::vector<std::string> seeds() {
    model written;
    decant::packed_memory memory;
    const auto path = std::filesystem::temp_directory_path() / "decant_packed_weights_seed.bin";
    if (!written.plan.pack(written.pool, memory, [](std::size_t, std::size_t) {})) return {};
    if (!written.plan.save(written.pool, memory, path)) return {};
    std::ifstream file(path, std::ios::binary);
    std::vector<std::string> seeds{std::string(std::istreambuf_iterator<char>(file), {})};
    std::filesystem::remove(path);
    return seeds;
  }

 private:
  /// Two tensors of zeros.
  struct model {
    model() {
      plan.add(tensors[0], matrices[0]);
      plan.add(tensors[1], matrices[1]);
    }
    std::vector<std::byte> bytes = std::vector<std::byte>(3 * 34);
    decant::gguf_tensor tensors[2] = {
        {"codes", decant::tensor_type::q8_0, 2, {32, 3, 1, 1}, 0, bytes},
        {"floats", decant::tensor_type::f32, 2, {2, 2, 1, 1}, 0, std::span<const std::byte>(bytes).first(16)}};
    decant::packed_matrix matrices[2];
    decant::packed_plan plan;
    decant::thread_pool pool{1};
  };
};

}  // namespace decant_fuzz

#endif
