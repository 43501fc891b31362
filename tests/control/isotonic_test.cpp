// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/control/isotonic.hpp>

#include <algorithm>
#include <vector>

#include "tests/support/random.hpp"
#include "tests/support/test_kit.hpp"

using namespace decant;
using decant_test::near;

namespace {

std::vector<double> isotonic(std::vector<double> values) {
  make_isotonic(values);
  return values;
}

/// The minimax form: entry i is the largest, over beginnings a <= i, of the smallest, over ends b >= i, mean of a..b.
std::vector<double> by_definition(const std::vector<double>& values) {
  std::vector<double> out;
  for (std::size_t i = 0; i < values.size(); ++i) {
    double largest = -1e300;
    for (std::size_t a = 0; a <= i; ++a) {
      double smallest = 1e300;
      for (std::size_t b = i; b < values.size(); ++b) {
        double sum = 0;
        for (std::size_t k = a; k <= b; ++k) sum += values[k];
        smallest = std::min(smallest, sum / static_cast<double>(b - a + 1));
      }
      largest = std::max(largest, smallest);
    }
    out.push_back(largest);
  }
  return out;
}

}  // namespace

TEST_CASE("values that fall are pooled") {
  CHECK(isotonic({}).empty());
  CHECK(isotonic({4}) == std::vector<double>{4});
  CHECK(isotonic({1, 2, 3}) == std::vector<double>{1, 2, 3});
  CHECK(isotonic({1, 3, 2}) == std::vector<double>{1, 2.5, 2.5});
  CHECK(isotonic({3, 2, 1}) == std::vector<double>{2, 2, 2});
  CHECK(isotonic({1, 1, 5, 3, 1, 9}) == std::vector<double>{1, 1, 3, 3, 3, 9});
}

TEST_CASE("pooling agrees with the minimax form of isotonic regression") {
  decant_test::random_source random(3);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<double> values(random.between(1, 12));
    for (double& value : values) value = random.uniform(0, 10);
    const std::vector<double> expected = by_definition(values);
    const std::vector<double> found = isotonic(values);
    for (std::size_t i = 0; i < values.size(); ++i) CHECK(near(found[i], expected[i], 1e-12));
    CHECK(std::is_sorted(found.begin(), found.end()));
  }
}
