// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Packing with a team, and packed weights as a file: what is mapped is what was packed, and a file that is anything
// else is refused, whatever byte of it is wrong.
#include <decant/reference/packed_weights.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "reference/random_tensor.hpp"
#include "support/test_kit.hpp"

namespace {

using decant::error_code;
using decant::tensor_type;
using decant_test::random_tensor;

// Three tensors of different formats, and their plan.
struct packed_model {
  explicit packed_model(std::uint64_t seed = 1)
      : sources{random_tensor(tensor_type::q4_1, 37, 64, seed), random_tensor(tensor_type::q8_0, 16, 96, seed),
                random_tensor(tensor_type::f32, 5, 7, seed)} {
    for (std::size_t i = 0; i < 3; ++i) plan.add(sources[i].tensor, matrices[i]);
  }

  [[nodiscard]] std::vector<float> values() const {
    std::vector<float> all;
    for (const decant::packed_matrix& matrix : matrices) {
      std::vector<float> row(matrix.columns());
      for (std::size_t r = 0; r < matrix.rows(); ++r) {
        matrix.unpack_row(r, row.data());
        all.insert(all.end(), row.begin(), row.end());
      }
    }
    return all;
  }

  random_tensor sources[3];
  decant::packed_matrix matrices[3];
  decant::packed_plan plan;
  decant::packed_memory memory;
};

constexpr auto ignore_progress = [](std::size_t, std::size_t) {};

struct scratch_folder {
  std::filesystem::path path = std::filesystem::temp_directory_path() / "decant_packed_weights_test";
  scratch_folder() { std::filesystem::remove_all(path); }
  ~scratch_folder() { std::filesystem::remove_all(path); }
};

std::vector<std::byte> bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> text{std::istreambuf_iterator<char>(file), {}};
  std::vector<std::byte> bytes(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) bytes[i] = static_cast<std::byte>(text[i]);
  return bytes;
}

}  // namespace

TEST_CASE("a team packs what one matrix after the other gives, and reports its progress") {
  for (const std::size_t threads : {std::size_t{1}, std::size_t{3}}) {
    decant::thread_pool pool(threads);
    packed_model model;
    std::vector<std::size_t> reports;
    const auto note = [&](std::size_t done, std::size_t total) {
      reports.push_back(done);
      CHECK(total == 3);
    };
    REQUIRE(model.plan.pack(pool, model.memory, note).has_value());
    CHECK(reports == std::vector<std::size_t>{1, 2, 3});
    std::vector<float> expected;
    for (const random_tensor& source : model.sources) {
      expected.insert(expected.end(), source.values.begin(), source.values.end());
    }
    CHECK(model.values() == expected);
  }
}

TEST_CASE("a tensor that is not finite stops a team by name") {
  decant::thread_pool pool(2);
  packed_model model;
  model.sources[1].tensor.name = "poisoned";
  decant::block::store_u16(model.sources[1].bytes.data() + 34, 0x7C00);
  const auto packed = model.plan.pack(pool, model.memory, ignore_progress);
  REQUIRE(packed.code() == error_code::file_malformed);
  CHECK(std::string(packed.error().message().c_str()).find("poisoned") != std::string::npos);
}

TEST_CASE("a stored file is mapped, and every damage to it is noticed") {
  const scratch_folder folder;
  decant::thread_pool pool(2);
  packed_model model;
  const std::filesystem::path path = folder.path / model.plan.file_name();
  CHECK(model.plan.map(pool, model.memory, path).code() == error_code::file_unreadable);
  REQUIRE(model.plan.pack(pool, model.memory, ignore_progress).has_value());
  REQUIRE(model.plan.save(pool, model.memory, path).has_value());
  CHECK_FALSE(std::filesystem::exists(path.string() + ".new"));

  packed_model again;
  REQUIRE(again.plan.map(pool, again.memory, path).has_value());
  CHECK(again.values() == model.values());
  CHECK(again.memory.packed.size() == 0);

  std::vector<std::byte> file = bytes_of(path);
  REQUIRE(model.plan.check(pool, file).has_value());
  const std::size_t header = (6 + 4 * 3) * 8;
  for (std::size_t at = 0; at < file.size(); at += at < header || at + 64 > file.size() ? 1 : 61) {
    if (at >= header && at < decant::round_up(header, decant::cache_line)) continue;
    file[at] ^= std::byte{0x10};
    CHECK_FALSE(model.plan.check(pool, file).has_value());
    file[at] ^= std::byte{0x10};
  }
  for (std::size_t size = 0; size < file.size(); size += 97) {
    CHECK_FALSE(model.plan.check(pool, std::span(file).first(size)).has_value());
  }
  file.push_back(std::byte{0});
  CHECK(model.plan.check(pool, file).code() == error_code::file_truncated);

  const packed_model other(2);
  CHECK(other.plan.file_name() != model.plan.file_name());
  CHECK(other.plan.check(pool, bytes_of(path)).code() == error_code::invalid_argument);
}
