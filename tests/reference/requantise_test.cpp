// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/reference/gguf.hpp>
#include <decant/reference/gguf_writer.hpp>
#include <decant/reference/requantise.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reference/small_models.hpp"
#include "reference/tiny_llama.hpp"
#include "support/test_kit.hpp"

namespace {

using decant::gguf_file;
using decant::gguf_tensor;
using decant::tensor_type;
using decant_test::tiny_llama;

constexpr auto ignore = [](const gguf_tensor&, tensor_type, const decant::requantised_matrix&) {};

gguf_file parsed(const std::vector<std::byte>& bytes) {
  auto file = gguf_file::parse(bytes);
  REQUIRE(file.has_value());
  return std::move(*file);
}

std::vector<std::byte> made_over(const std::vector<std::byte>& bytes, tensor_type wanted, std::size_t threads = 2) {
  decant::thread_pool pool(threads);
  const auto made = decant::requantise(parsed(bytes), wanted, pool, ignore);
  REQUIRE(made.has_value());
  return made->bytes();
}

// A model whose rows are 96 wide, and 256 in one matrix of each block, with every kind of metadata.
std::vector<std::byte> model_file() {
  tiny_llama shape;
  shape.feed_forward = 256;
  decant::gguf_writer file = shape.writer();
  file.set("general.file_type", std::uint32_t{0}).set("general.alignment", std::uint32_t{32});
  file.set("a.text", std::string_view("kept")).set_array("a.words", std::vector<std::string>{"one", "", "three"});
  file.set("a.real", 0.5).set_array("a.bytes", std::vector<std::uint8_t>{1, 2, 3});
  return file.bytes();
}

bool is_wide(const gguf_tensor& tensor) { return tensor.dimensions[0] == 256; }

bool same_bytes(std::span<const std::byte> a, std::span<const std::byte> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

}  // namespace

TEST_CASE("a matrix gets the type that was asked for, or one that its rows fit") {
  const auto type_of = [](std::uint32_t rank, std::uint64_t columns, tensor_type wanted, const char* name = "t") {
    return decant::requantised_type({name, tensor_type::f16, rank, {columns, 8, 1, 1}, 0, {}}, wanted);
  };
  CHECK(type_of(2, 512, tensor_type::q4_k) == tensor_type::q4_k);
  CHECK(type_of(2, 576, tensor_type::q4_k) == tensor_type::q4_1);
  CHECK(type_of(2, 576, tensor_type::q5_k) == tensor_type::q5_1);
  CHECK(type_of(2, 576, tensor_type::q6_k) == tensor_type::q8_0);
  CHECK(type_of(2, 576, tensor_type::q8_0) == tensor_type::q8_0);
  CHECK(type_of(2, 100, tensor_type::q4_k) == tensor_type::f16);
  CHECK(type_of(2, 100, tensor_type::bf16) == tensor_type::bf16);
  for (const char* name : {"token_embd.weight", "output.weight"}) {
    CHECK(type_of(2, 512, tensor_type::q4_k, name) == tensor_type::q6_k);
    CHECK(type_of(2, 576, tensor_type::q5_k, name) == tensor_type::q8_0);
    CHECK(type_of(2, 512, tensor_type::q4_1, name) == tensor_type::q4_1);
  }
  CHECK(type_of(2, 512, tensor_type::q4_k, "output_norm.weight") == tensor_type::q4_k);
  CHECK(type_of(1, 512, tensor_type::q4_k) == tensor_type::f16);
  CHECK(type_of(3, 512, tensor_type::q4_k) == tensor_type::f16);
}

TEST_CASE("a file that is made over keeps metadata, names, shapes and vectors, and its matrices nearly") {
  const std::vector<std::byte> bytes = model_file();
  const gguf_file before = parsed(bytes);
  const std::vector<std::byte> new_bytes = made_over(bytes, tensor_type::q4_k);
  const gguf_file after = parsed(new_bytes);

  CHECK(after.entries().size() == before.entries().size() - 2);
  CHECK_FALSE(after.has("general.file_type"));
  CHECK_FALSE(after.has("general.alignment"));
  for (const decant::gguf_entry& entry : after.entries()) {
    CAPTURE(std::string(entry.name));
    const decant::gguf_value* old = before.find(entry.name);
    REQUIRE(old != nullptr);
    CHECK(old->type == entry.value.type);
    CHECK(old->element_type == entry.value.element_type);
    CHECK(old->count == entry.value.count);
    CHECK(same_bytes(old->bytes(), entry.value.bytes()));
  }

  REQUIRE(after.tensors().size() == before.tensors().size());
  for (std::size_t i = 0; i < after.tensors().size(); ++i) {
    const gguf_tensor& old = before.tensors()[i];
    const gguf_tensor& now = after.tensors()[i];
    CAPTURE(std::string(old.name));
    CHECK(now.name == old.name);
    CHECK(now.dimensions == old.dimensions);
    if (old.rank != 2) {
      CHECK(now.type == old.type);
      CHECK(same_bytes(now.bytes, old.bytes));
      continue;
    }
    const bool is_table = old.name == "token_embd.weight";
    CHECK(now.type == (is_table ? tensor_type::q8_0 : is_wide(old) ? tensor_type::q4_k : tensor_type::q4_1));
    std::vector<std::byte> expected(now.bytes.size());
    std::vector<float> values(static_cast<std::size_t>(old.dimensions[0] * old.dimensions[1]));
    decant::dequantise(old.type, old.bytes, values);
    decant::quantise(now.type, values, expected);
    CHECK(same_bytes(now.bytes, expected));
  }
  CHECK(made_over(bytes, tensor_type::q4_k, 1) == new_bytes);
  CHECK(made_over(bytes, tensor_type::q4_k, 3) == new_bytes);
  CHECK(decant::reference_model::load(after, decant_test::small()).has_value());
}

TEST_CASE("a matrix that has its new type already is copied, and floats hold what blocks say") {
  const std::vector<std::byte> quantised = made_over(model_file(), tensor_type::q4_k);
  CHECK(made_over(quantised, tensor_type::q4_k) == quantised);
  const std::vector<std::byte> floats = made_over(quantised, tensor_type::f32);
  const gguf_file blocks = parsed(quantised);
  const gguf_file exact = parsed(floats);
  for (const gguf_tensor& tensor : blocks.tensors()) {
    std::vector<float> values(static_cast<std::size_t>(tensor.dimensions[0] * tensor.dimensions[1]));
    decant::dequantise(tensor.type, tensor.bytes, values);
    CHECK(same_bytes(exact.tensor(tensor.name)->bytes, std::as_bytes(std::span(values))));
  }
}

TEST_CASE("the report names each matrix that was quantised, with what that cost") {
  const std::vector<std::byte> bytes = model_file();
  const gguf_file file = parsed(bytes);
  decant::thread_pool pool(2);
  std::size_t reports = 0;
  const auto check = [&](const gguf_tensor& tensor, tensor_type type, const decant::requantised_matrix& matrix) {
    ++reports;
    CHECK(tensor.rank == 2);
    CHECK(matrix.bytes.size() == decant::row_bytes(type, tensor.dimensions[0]) * tensor.dimensions[1]);
    const double error = std::sqrt(matrix.error / matrix.size);
    CHECK(error > (type == tensor_type::q8_0 ? 0.003 : 0.04));
    CHECK(error < (type == tensor_type::q8_0 ? 0.008 : 0.09));
  };
  REQUIRE(decant::requantise(file, tensor_type::q4_k, pool, check).has_value());
  CHECK(reports == 15);  // a table of tokens, and seven matrices in each of two blocks
}

TEST_CASE("what is not finite, before or after, stops the making over by name, and so does an unknown type") {
  decant::thread_pool pool(2);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 1e6F}) {
    std::vector<float> values(64, 1.0F);
    values[40] = bad;
    decant::gguf_writer writer;
    writer.add_tensor("poisoned", tensor_type::f32, {32, 2}, values);
    const std::vector<std::byte> bytes = writer.bytes();
    const auto made = decant::requantise(parsed(bytes), tensor_type::f16, pool, ignore);
    REQUIRE(made.code() == decant::error_code::file_malformed);
    CHECK(std::string_view(made.error().detail.c_str()).find("poisoned") != std::string_view::npos);
  }
  const std::vector<std::byte> bytes = model_file();
  const auto unknown = decant::requantise(parsed(bytes), static_cast<tensor_type>(10), pool, ignore);
  CHECK(unknown.code() == decant::error_code::invalid_argument);
}
