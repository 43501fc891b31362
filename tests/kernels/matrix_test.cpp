// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Packed matrices, and the kernels of every instruction set that this machine runs.
#include <decant/kernels/kernels.hpp>
#include <decant/reference/packed_matrix.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "reference/random_tensor.hpp"
#include "support/test_kit.hpp"

namespace {

std::vector<const decant::cpu::kernel_table*> kernel_sets() {
  std::vector<const decant::cpu::kernel_table*> sets;
  for (const decant::instruction_set set : decant::every_instruction_set) {
    if (decant::runs(set)) sets.push_back(&decant::cpu::kernels_of(set));
  }
  return sets;
}

}  // namespace

#include "kernels/kernel_cases.hpp"

TEST_CASE("packing keeps every value of every type") {
  for (const tensor_type type : decant_test::every_type) {
    for (const std::size_t rows : {std::size_t{1}, std::size_t{16}, std::size_t{19}}) {
      const std::size_t columns = 3 * decant_test::smallest_row(type);
      CAPTURE(decant::traits_of(type).name, rows);
      const random_tensor source(type, rows, columns, rows);
      const packed_matrix matrix = packed(source);
      CHECK(matrix.rows() == rows);
      CHECK(matrix.columns() == columns);
      CHECK(matrix.format() == decant::packed_format_of(type));
      std::vector<float> row(columns);
      int wrong = 0;
      for (std::size_t r = 0; r < rows; ++r) {
        matrix.unpack_row(r, row.data());
        const auto exact = source.values.begin() + static_cast<std::ptrdiff_t>(r * columns);
        wrong += std::equal(row.begin(), row.end(), exact) ? 0 : 1;
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("a packed matrix takes hardly more memory than its file") {
  for (const tensor_type type : decant_test::every_type) {
    CAPTURE(decant::traits_of(type).name);
    const random_tensor source(type, 64, 1536, 1);
    const packed_matrix matrix = packed(source);
    const double bits = 8.0 * static_cast<double>(matrix.bytes()) / static_cast<double>(source.values.size());
    const double file_bits = 8.0 * static_cast<double>(source.bytes.size()) / static_cast<double>(source.values.size());
    CHECK(bits <= file_bits + 0.51);  // Q5_0 gains a minimum, K types whole bytes for steps of six bits
  }
}

TEST_CASE("a tensor with a value that is not finite is refused by name") {
  struct poison {
    tensor_type type;
    std::size_t at;
    std::uint16_t half;
  };
  for (const poison& p : {poison{tensor_type::q4_1, 0, 0x7C00}, poison{tensor_type::q4_1, 2, 0xFC00},
                          poison{tensor_type::q5_1, 2, 0x7C00}, poison{tensor_type::q8_0, 0, 0x7C00},
                          poison{tensor_type::q5_0, 0, 0x7BFF}, poison{tensor_type::q4_0, 0, 0x7E00},
                          poison{tensor_type::q4_k, 0, 0x7C00}, poison{tensor_type::q4_k, 2, 0x7C00},
                          poison{tensor_type::q5_k, 2, 0x7C01}, poison{tensor_type::q6_k, 208, 0x7C00},
                          poison{tensor_type::f16, 6, 0x7C00}, poison{tensor_type::bf16, 6, 0x7F80},
                          poison{tensor_type::f32, 2, 0x7F80}}) {
    CAPTURE(decant::traits_of(p.type).name, p.at);
    random_tensor source(p.type, 3, 256, 1);
    decant::block::store_u16(source.bytes.data() + 2 * decant::row_bytes(p.type, 256) + p.at, p.half);
    source.tensor.name = "poisoned";
    const auto matrix = packed_matrix::pack(source.tensor);
    REQUIRE(matrix.code() == decant::error_code::file_malformed);
    CHECK(std::strstr(matrix.error().message().c_str(), "poisoned") != nullptr);
  }
}

TEST_CASE("the best instruction set is one that runs") {
  CHECK(decant::runs(decant::best_instruction_set()));
  CHECK(decant::runs(decant::instruction_set::scalar));
  for (const decant::instruction_set set : decant::every_instruction_set) CHECK(decant::name_of(set)[0] != 0);
}
