// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/reference/gguf.hpp>
#include <decant/reference/gguf_writer.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "support/allocation_counter.hpp"
#include "support/test_kit.hpp"

namespace {

using decant::error_code;
using decant::gguf_file;
using decant::gguf_writer;
using decant::tensor_type;
using bytes_type = std::vector<std::byte>;

gguf_writer small_file() {
  gguf_writer writer;
  writer.set("general.architecture", std::string_view("llama"))
      .set("a.u8", std::uint8_t{200})
      .set("a.i32", std::int32_t{-7})
      .set("a.u64", std::uint64_t{1} << 40)
      .set("a.f32", 0.5F)
      .set("a.f64", 0.25)
      .set("a.flag", true)
      .set_array("a.words", std::vector<std::string>{"one", "", "three"})
      .set_array("a.numbers", std::vector<std::int32_t>{3, -1, 4})
      .set_array("a.reals", std::vector<float>{1.5F, -2.0F});
  std::vector<float> values(64);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  writer.add_tensor("first", tensor_type::f32, {4, 3}, std::span<const float>(values).first(12));
  writer.add_tensor("second", tensor_type::q8_0, {32, 2}, values);
  return writer;
}

error_code code_of(const bytes_type& bytes) { return gguf_file::parse(bytes).code(); }

// A file as raw pieces, so that tests can write what the writer would not.
struct raw_file {
  bytes_type bytes;

  template <class T>
  raw_file& put(T value) {
    std::byte raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    bytes.insert(bytes.end(), raw, raw + sizeof(T));
    return *this;
  }
  raw_file& text(std::string_view characters) {
    put(static_cast<std::uint64_t>(characters.size()));
    for (const char c : characters) put(c);
    return *this;
  }
  raw_file& header(std::uint64_t tensors, std::uint64_t entries, std::uint32_t version = 3) {
    for (const char c : std::string_view("GGUF")) put(c);
    return put(version).put(tensors).put(entries);
  }
  raw_file& tensor(std::string_view name, std::vector<std::uint64_t> dimensions, std::uint32_t type,
                   std::uint64_t offset) {
    text(name).put(static_cast<std::uint32_t>(dimensions.size()));
    for (const std::uint64_t d : dimensions) put(d);
    return put(type).put(offset);
  }
  raw_file& pad(std::size_t more = 0) {
    bytes.resize((bytes.size() + 31) / 32 * 32 + more);
    return *this;
  }
};

struct attack {
  const char* name;
  bytes_type bytes;
  error_code expected;
  const char* culprit;  // must be named in the message
};

}  // namespace

TEST_CASE("a written GGUF file is read back") {
  const bytes_type bytes = small_file().bytes();
  const auto file = gguf_file::parse(bytes);
  REQUIRE(file.has_value());
  CHECK(file->version() == 3);
  CHECK(file->entries().size() == 10);
  CHECK(*file->get<std::string_view>("general.architecture") == "llama");
  CHECK(*file->get<std::uint32_t>("a.u8") == 200);
  CHECK(*file->get<std::int64_t>("a.i32") == -7);
  CHECK(*file->get<std::uint64_t>("a.u64") == std::uint64_t{1} << 40);
  CHECK(*file->get<double>("a.f32") == 0.5);
  CHECK(*file->get<float>("a.f64") == 0.25F);
  CHECK(*file->get<bool>("a.flag"));
  CHECK(*file->get<std::vector<std::string_view>>("a.words") == std::vector<std::string_view>{"one", "", "three"});
  CHECK(*file->get<std::vector<std::int32_t>>("a.numbers") == std::vector<std::int32_t>{3, -1, 4});
  CHECK(*file->get<std::vector<float>>("a.reals") == std::vector<float>{1.5F, -2.0F});
  REQUIRE(file->tensors().size() == 2);
  const decant::gguf_tensor* second = file->tensor("second");
  REQUIRE(second != nullptr);
  CHECK(second->type == tensor_type::q8_0);
  CHECK(second->dimensions == std::array<std::uint64_t, 4>{32, 2, 1, 1});
  CHECK(second->bytes.size() == 68);
  CHECK(file->tensor("third") == nullptr);
  float third_row = 0;
  std::memcpy(&third_row, file->tensor("first")->bytes.data() + 8 * sizeof(float), sizeof third_row);
  CHECK(third_row == 8.0F);
}

TEST_CASE("metadata converts only where the value fits") {
  const bytes_type bytes = small_file().bytes();
  const auto file = gguf_file::parse(bytes);
  REQUIRE(file.has_value());
  CHECK(file->get<std::uint32_t>("a.i32").code() == error_code::file_malformed);  // negative
  CHECK(file->get<std::uint32_t>("a.u64").code() == error_code::file_malformed);  // too large
  CHECK(file->get<std::int32_t>("a.f32").code() == error_code::file_malformed);   // a float
  CHECK(file->get<float>("a.i32").code() == error_code::file_malformed);          // an integer
  CHECK(file->get<bool>("a.u8").code() == error_code::file_malformed);
  CHECK(file->get<std::string_view>("a.words").code() == error_code::file_malformed);  // an array
  CHECK(file->get<std::vector<std::uint8_t>>("a.numbers").code() == error_code::file_malformed);
  CHECK(file->get<std::vector<std::string_view>>("general.architecture").code() == error_code::file_malformed);
  CHECK(std::string(file->get<bool>("b").error().message().c_str()) ==
        "the file is malformed: metadata key is missing: b");
  CHECK(*file->get_or<std::uint32_t>("b", 5) == 5);
  CHECK(file->get_or<std::uint32_t>("a.words", 5).code() == error_code::file_malformed);
}

TEST_CASE("a GGUF file is read from disk, mapped or copied") {
  const std::string path = (std::filesystem::temp_directory_path() / "decant_gguf_test.gguf").string();
  REQUIRE(small_file().write(path.c_str()).has_value());
  for (const decant::file_mode mode : {decant::file_mode::map, decant::file_mode::read}) {
    auto file = gguf_file::open(path.c_str(), mode);
    REQUIRE(file.has_value());
    const gguf_file moved = std::move(*file);
    CHECK(*moved.get<std::string_view>("general.architecture") == "llama");
    CHECK(moved.tensor("first")->bytes.size() == 48);
  }
  std::filesystem::resize_file(path, 0);
  CHECK(gguf_file::open(path.c_str()).code() == error_code::file_truncated);
  std::filesystem::remove(path);
  const auto missing = gguf_file::open(path.c_str());
  CHECK(missing.code() == error_code::file_unreadable);
  CHECK(std::string(missing.error().message().c_str()).find("decant_gguf_test.gguf") != std::string::npos);
  CHECK(gguf_file::open(std::filesystem::temp_directory_path().string().c_str()).code() == error_code::file_unreadable);
}

TEST_CASE("every proper prefix of a GGUF file is refused as truncated") {
  const bytes_type whole = small_file().bytes();
  REQUIRE(code_of(whole) == error_code::none);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    // A copy of exactly this size, so that a sanitizer sees every read beyond it.
    const bytes_type prefix(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    if (code_of(prefix) != error_code::file_truncated) {
      CAPTURE(size);
      CHECK(code_of(prefix) == error_code::file_truncated);
    }
  }
}

TEST_CASE("declared counts do not make the GGUF reader allocate") {
  constexpr std::uint64_t declared[] = {1ULL << 15, 1ULL << 32, 1ULL << 60, ~0ULL};
  for (const std::uint64_t count : declared) {
    const auto string_of = [count] {
      return raw_file().header(0, 1).text("key").put(std::uint32_t{8}).put(count).pad(64).bytes;
    };
    const auto array_of = [count](std::uint32_t type) {
      return raw_file().header(0, 1).text("key").put(std::uint32_t{9}).put(type).put(count).pad(64).bytes;
    };
    const auto allocations_for = [](const bytes_type& bytes) {
      error_code code = error_code::none;
      const std::size_t count_of = decant_test::allocations_of([&] { code = code_of(bytes); });
      CHECK(code != error_code::none);
      return count_of;
    };
    CHECK(allocations_for(raw_file().header(count, 0).pad(64).bytes) == 0);
    CHECK(allocations_for(raw_file().header(0, count).pad(64).bytes) == 0);
    // The list of the one key is all that is allocated.
    CHECK(allocations_for(string_of()) == 1);
    for (const std::uint32_t type : {0U, 7U, 8U, 12U}) CHECK(allocations_for(array_of(type)) == 1);
  }
}

TEST_CASE("changed bytes never make the GGUF reader read outside the file") {
  const bytes_type whole = small_file().bytes();
  std::size_t accepted = 0;
  std::size_t refused = 0;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const unsigned change : {0x01U, 0x80U, 0xFFU}) {
      bytes_type changed = whole;
      changed[at] ^= static_cast<std::byte>(change);
      const auto file = gguf_file::parse(changed);
      if (!file) {
        ++refused;
        CHECK_FALSE(file.error().detail.empty());
        continue;
      }
      ++accepted;
      for (const decant::gguf_tensor& tensor : file->tensors()) {
        CHECK(tensor.bytes.data() >= changed.data());
        CHECK(tensor.bytes.data() + tensor.bytes.size() <= changed.data() + changed.size());
      }
      for (const decant::gguf_entry& entry : file->entries()) {
        std::vector<std::string_view> words;
        std::vector<double> numbers;
        static_cast<void>(entry.value.convert(words));
        static_cast<void>(entry.value.convert(numbers));
      }
    }
  }
  CHECK(refused > 300);
  CHECK(accepted > 300);
}

TEST_CASE("known attacks on GGUF readers are refused with the culprit's name") {
  constexpr std::uint64_t huge = std::uint64_t{1} << 63;
  constexpr std::uint64_t all_ones = ~std::uint64_t{0};
  const auto f32 = static_cast<std::uint32_t>(tensor_type::f32);
  const auto q4_1 = static_cast<std::uint32_t>(tensor_type::q4_1);
  const attack attacks[] = {
      {"not GGUF", raw_file().put(std::uint64_t{0x4646474746464747}).pad(64).bytes, error_code::file_malformed,
       "not a GGUF file"},
      {"version 1", raw_file().header(0, 0, 1).bytes, error_code::unsupported, "version 1"},
      {"version 4", raw_file().header(0, 0, 4).bytes, error_code::unsupported, "version 4"},
      {"big-endian", raw_file().header(0, 0, 0x03000000).bytes, error_code::unsupported, "big-endian"},
      {"tensor count overflows", raw_file().header(all_ones, 0).bytes, error_code::file_too_large, "tensors"},
      {"key count overflows", raw_file().header(0, all_ones).bytes, error_code::file_too_large, "keys"},
      {"tensor count beyond the file", raw_file().header(60000, 0).pad(64).bytes, error_code::file_truncated, "list"},
      {"key count beyond the file", raw_file().header(0, 60000).pad(64).bytes, error_code::file_truncated, "list"},
      {"key length overflows", raw_file().header(0, 1).put(all_ones).pad(64).bytes, error_code::file_malformed,
       "a metadata key"},
      {"key of 65536 bytes", raw_file().header(0, 1).text(std::string(65536, 'k')).put(std::uint32_t{4}).pad(64).bytes,
       error_code::file_malformed, "a metadata key"},
      {"empty key", raw_file().header(0, 1).text("").put(std::uint32_t{4}).pad(64).bytes, error_code::file_malformed,
       "a metadata key"},
      {"key with a control character", raw_file().header(0, 1).text("a\nb").put(std::uint32_t{4}).pad(64).bytes,
       error_code::file_malformed, "a?b"},
      {"unknown value type", raw_file().header(0, 1).text("key").put(std::uint32_t{13}).pad(64).bytes,
       error_code::file_malformed, "key"},
      {"string length overflows", raw_file().header(0, 1).text("key").put(std::uint32_t{8}).put(all_ones).pad().bytes,
       error_code::file_malformed, "key"},
      {"string of more than 2^24 bytes",
       raw_file().header(0, 1).text("key").put(std::uint32_t{8}).put(std::uint64_t{(1U << 24) + 1}).pad(64).bytes,
       error_code::file_malformed, "too long: key"},
      {"string beyond the file",
       raw_file().header(0, 1).text("key").put(std::uint32_t{8}).put(std::uint64_t{1000}).pad(64).bytes,
       error_code::file_truncated, "a metadata string"},
      {"array count overflows",
       raw_file().header(0, 1).text("key").put(std::uint32_t{9}).put(std::uint32_t{10}).put(huge).pad(64).bytes,
       error_code::file_truncated, "key"},
      {"array count times element size overflows",
       raw_file().header(0, 1).text("key").put(std::uint32_t{9}).put(std::uint32_t{12}).put(huge / 4 + 1).pad(64).bytes,
       error_code::file_truncated, "key"},
      {"array of an unknown type",
       raw_file().header(0, 1).text("key").put(std::uint32_t{9}).put(std::uint32_t{13}).put(huge).pad(64).bytes,
       error_code::file_malformed, "key"},
      {"array of booleans with a 2",
       raw_file()
           .header(0, 1)
           .text("key")
           .put(std::uint32_t{9})
           .put(std::uint32_t{7})
           .put(std::uint64_t{2})
           .put(std::uint8_t{1})
           .put(std::uint8_t{2})
           .pad(64)
           .bytes,
       error_code::file_malformed, "key"},
      {"string of an array beyond the file",
       raw_file()
           .header(0, 1)
           .text("key")
           .put(std::uint32_t{9})
           .put(std::uint32_t{8})
           .put(std::uint64_t{2})
           .text("one")
           .put(huge)
           .pad(64)
           .bytes,
       error_code::file_malformed, "key"},
      {"string array count overflows",
       raw_file().header(0, 1).text("key").put(std::uint32_t{9}).put(std::uint32_t{8}).put(all_ones).pad(64).bytes,
       error_code::file_truncated, "key"},
      {"array of arrays",
       raw_file().header(0, 1).text("key").put(std::uint32_t{9}).put(std::uint32_t{9}).put(huge).pad(64).bytes,
       error_code::file_malformed, "key"},
      {"boolean of 2", raw_file().header(0, 1).text("key").put(std::uint32_t{7}).put(std::uint8_t{2}).pad(64).bytes,
       error_code::file_malformed, "key"},
      {"duplicate key",
       raw_file()
           .header(0, 2)
           .text("key")
           .put(std::uint32_t{0})
           .put('x')
           .text("key")
           .put(std::uint32_t{0})
           .put('y')
           .bytes,
       error_code::file_malformed, "key"},
      {"alignment 0",
       raw_file().header(0, 1).text("general.alignment").put(std::uint32_t{4}).put(std::uint32_t{0}).pad(64).bytes,
       error_code::file_malformed, "general.alignment"},
      {"alignment 4",
       raw_file().header(0, 1).text("general.alignment").put(std::uint32_t{4}).put(std::uint32_t{4}).pad(64).bytes,
       error_code::file_malformed, "general.alignment"},
      {"alignment 2^21",
       raw_file().header(0, 1).text("general.alignment").put(std::uint32_t{4}).put(1U << 21).pad(64).bytes,
       error_code::file_malformed, "general.alignment"},
      {"alignment 24",
       raw_file().header(0, 1).text("general.alignment").put(std::uint32_t{4}).put(std::uint32_t{24}).pad(64).bytes,
       error_code::file_malformed, "general.alignment"},
      {"alignment 2^31",
       raw_file().header(0, 1).text("general.alignment").put(std::uint32_t{4}).put(0x80000000U).pad(64).bytes,
       error_code::file_malformed, "general.alignment"},
      {"alignment of another type",
       raw_file().header(0, 1).text("general.alignment").put(std::uint32_t{10}).put(std::uint64_t{32}).pad(64).bytes,
       error_code::file_malformed, "general.alignment"},
      {"split file",
       raw_file().header(0, 1).text("split.count").put(std::uint32_t{2}).put(std::uint16_t{2}).pad(64).bytes,
       error_code::unsupported, "several files"},
      {"split count that is no number",
       raw_file().header(0, 1).text("split.count").put(std::uint32_t{8}).text("two").pad(64).bytes,
       error_code::file_malformed, "split.count"},
      {"no dimensions", raw_file().header(1, 0).tensor("t", {}, f32, 0).pad(64).bytes, error_code::file_malformed, "t"},
      {"five dimensions", raw_file().header(1, 0).tensor("t", {1, 1, 1, 1, 1}, f32, 0).pad(64).bytes,
       error_code::file_malformed, "t"},
      {"dimension of 0", raw_file().header(1, 0).tensor("t", {0}, f32, 0).pad(64).bytes, error_code::file_malformed,
       "out of range in tensor: t"},
      {"dimension of 2^63", raw_file().header(1, 0).tensor("t", {huge - 1, 2}, f32, 0).pad(64).bytes,
       error_code::file_malformed, "out of range in tensor: t"},
      {"dimension product wraps",
       raw_file().header(1, 0).tensor("t", {1ULL << 40, 1ULL << 24, 1}, f32, 0).pad(64).bytes,
       error_code::file_malformed, "overflows in tensor: t"},
      {"byte size wraps to 0", raw_file().header(1, 0).tensor("t", {1ULL << 31, 1ULL << 31}, f32, 0).pad(64).bytes,
       error_code::file_malformed, "overflows in tensor: t"},
      {"sizes whose sum wraps",
       raw_file()
           .header(2, 0)
           .tensor("s", {1ULL << 40, 1ULL << 21}, f32, 0)
           .tensor("t", {1ULL << 40, 1ULL << 21}, f32, huge)
           .pad(64)
           .bytes,
       error_code::file_truncated, "in tensor: s"},
      {"offset plus size wraps", raw_file().header(1, 0).tensor("t", {1ULL << 40, 1ULL << 21}, f32, huge).pad(64).bytes,
       error_code::file_truncated, "in tensor: t"},
      {"larger than the file by one byte", raw_file().header(1, 0).tensor("t", {17}, f32, 0).pad(67).bytes,
       error_code::file_truncated, "in tensor: t"},
      {"larger than the file", raw_file().header(1, 0).tensor("t", {1ULL << 30}, f32, 0).pad(64).bytes,
       error_code::file_truncated, "t"},
      {"rows of part blocks", raw_file().header(1, 0).tensor("t", {48}, q4_1, 0).pad(64).bytes,
       error_code::file_malformed, "whole blocks in tensor: t"},
      {"removed tensor type", raw_file().header(1, 0).tensor("t", {32}, 4, 0).pad(64).bytes, error_code::unsupported,
       "tensor type 4 of t"},
      {"unknown tensor type", raw_file().header(1, 0).tensor("t", {32}, 0xFFFFFFFF, 0).pad(64).bytes,
       error_code::unsupported, "tensor type 4294967295 of t"},
      {"offset off alignment", raw_file().header(1, 0).tensor("t", {4}, f32, 4).pad(64).bytes,
       error_code::file_malformed, "not aligned in tensor: t"},
      {"offset wraps", raw_file().header(1, 0).tensor("t", {16}, f32, all_ones - 31).pad(64).bytes,
       error_code::file_truncated, "t"},
      {"offset beyond the file", raw_file().header(1, 0).tensor("t", {4}, f32, 96).pad(64).bytes,
       error_code::file_truncated, "t"},
      {"overlapping tensors",
       raw_file().header(2, 0).tensor("s", {16}, f32, 32).tensor("t", {12}, f32, 0).pad(128).bytes,
       error_code::file_malformed, "overlaps another tensor in tensor: s"},
      {"same offset", raw_file().header(2, 0).tensor("s", {4}, f32, 0).tensor("t", {4}, f32, 0).pad(64).bytes,
       error_code::file_malformed, "overlaps"},
      {"duplicate tensor", raw_file().header(2, 0).tensor("t", {4}, f32, 0).tensor("t", {4}, f32, 32).pad(64).bytes,
       error_code::file_malformed, "twice: t"},
      {"long tensor name", raw_file().header(1, 0).tensor(std::string(64, 'n'), {4}, f32, 0).pad(64).bytes,
       error_code::file_malformed, "a tensor name"},
  };
  for (const attack& a : attacks) {
    CAPTURE(a.name);
    const auto file = gguf_file::parse(a.bytes);
    REQUIRE_FALSE(file.has_value());
    const std::string message = file.error().message().c_str();
    CAPTURE(message);
    CHECK(file.code() == a.expected);
    CHECK(message.find(a.culprit) != std::string::npos);
  }
}

TEST_CASE("a GGUF file may lack padding after its last tensor and may order tensors freely") {
  const auto f32 = static_cast<std::uint32_t>(tensor_type::f32);
  bytes_type bytes = raw_file().header(2, 0).tensor("late", {3}, f32, 32).tensor("early", {8}, f32, 0).pad(44).bytes;
  const auto file = gguf_file::parse(bytes);
  REQUIRE(file.has_value());
  CHECK(file->tensor("late")->bytes.size() == 12);
  CHECK(file->tensor("early")->bytes.size() == 32);
  CHECK(file->tensor("late")->bytes.data() - file->tensor("early")->bytes.data() == 32);
}

TEST_CASE("version 2 and a large alignment are accepted") {
  CHECK(code_of(raw_file().header(0, 0, 2).bytes) == error_code::none);
  raw_file file;
  file.header(1, 1).text("general.alignment").put(std::uint32_t{4}).put(std::uint32_t{4096});
  file.tensor("t", {2}, static_cast<std::uint32_t>(tensor_type::f32), 4096);
  file.bytes.resize(4096 + 4096 + 8);
  CHECK(code_of(file.bytes) == error_code::none);
  file.bytes.pop_back();
  CHECK(code_of(file.bytes) == error_code::file_truncated);
}
