// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/rows.hpp>

#include "tests/support/test_kit.hpp"

#include <numeric>
#include <vector>

namespace {

std::vector<float> counted(std::size_t size) {
  std::vector<float> values(size);
  std::iota(values.begin(), values.end(), 0.0f);
  return values;
}

struct no_rows {};
struct rows_of_text {
  using value_type = float;
  const char* row(decant::node_id);
};

static_assert(decant::RowSource<decant::matrix_rows<double>>);
static_assert(!decant::RowSource<no_rows> && !decant::RowSource<rows_of_text>);

}  // namespace

TEST_CASE("matrix rows hand out row by row") {
  const auto values = counted(12);
  const decant::matrix_rows<float> rows{values, 4, 0};
  CHECK(rows.row(0).size() == 4);
  CHECK(rows.row(0)[0] == 0);
  CHECK(rows.row(2)[3] == 11);
  CHECK(rows.row(3).empty());
}

TEST_CASE("several sequences share one matrix by their first rows") {
  const auto values = counted(30);
  const decant::matrix_rows<float> first{values, 5, 0};
  const decant::matrix_rows<float> second{values, 5, 4};
  CHECK(second.row(0).data() == first.row(4).data());
  CHECK(second.row(1)[4] == 29);
  CHECK(second.row(2).empty());
}

TEST_CASE("a matrix that ends inside a row does not hand that row out") {
  const auto values = counted(7);
  const decant::matrix_rows<float> rows{values, 4, 0};
  CHECK(rows.row(0).size() == 4);
  CHECK(rows.row(1).empty());
}

TEST_CASE("callback rows are asked for when they are needed") {
  const auto values = counted(6);
  std::vector<decant::node_id> asked;
  auto rows = decant::rows_from<float>([&](decant::node_id n) {
    asked.push_back(n);
    return std::span<const float>(values).subspan(decant::index(n), 2);
  });
  static_assert(decant::RowSource<decltype(rows)>);
  CHECK(asked.empty());
  CHECK(rows.row(3)[1] == 4);
  CHECK(asked == std::vector<decant::node_id>{3});
}
