// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tests/sampled/support/goodness_of_fit.hpp"
#include "tests/support/random.hpp"
#include "tests/support/test_kit.hpp"

namespace decant_test {

TEST_CASE("p values of chi-square are those of the tables") {
  CHECK(near(chi_square_p_value(3.841459, 1), 0.05, 1e-7));
  CHECK(near(chi_square_p_value(18.307038, 10), 0.05, 1e-7));
  CHECK(near(chi_square_p_value(149.449253, 100), 1e-3, 1e-8));
  CHECK(near(chi_square_p_value(2, 2), std::exp(-1.0), 1e-14));
  CHECK(near(chi_square_p_value(60, 2) / std::exp(-30.0), 1, 1e-10));
  CHECK(near(chi_square_p_value(37.324893, 1) / 1e-9, 1, 1e-4));
  CHECK(chi_square_p_value(0, 5) == 1);
  CHECK(chi_square_p_value(7, 0) == 1);
}

TEST_CASE("the distance that a test finds is that of the published table") {
  // Cells - 1, alpha and L of N = L / (4 d^2): the table rests on the exact non-central law.
  const double rows[][3] = {{63, 1e-3, 105}, {63, 1e-9, 172}, {255, 1e-6, 232}, {1023, 1e-9, 483}};
  for (const auto& [degrees, alpha, l] : rows) {
    const double d = detectable_distance(degrees, 1000, alpha);
    CHECK(near(4 * d * d * 1000 / l, 1, 0.08));
  }
}

TEST_CASE("bins hold every token of positive probability and a share of the mass each") {
  random_source random(3);
  for (int round = 0; round < 200; ++round) {
    std::vector<double> p = random.weights<double>(random.between(1, 300), 0.5);
    const std::vector<double> q = random.weights<double>(p.size(), 0.3);
    const double mass = std::accumulate(p.begin(), p.end(), 0.0);
    for (double& x : p) x /= mass;
    for (const token_bins& bins : {bins_of_neighbours(p, 16), bins_of_like_ratio(p, q, 16)}) {
      std::vector<double> found(bins.size(), 0.0);
      for (std::size_t v = 0; v < p.size(); ++v) {
        REQUIRE((bins.of[v] == token_bins::none) == (p[v] == 0));
        if (p[v] > 0) found[bins.of[v]] += p[v];
      }
      for (std::size_t b = 0; b < bins.size(); ++b) {
        CHECK(near(found[b], bins.mass[b], 1e-12));
        CHECK(found[b] >= 1.0 / 16 - 1e-12);
      }
    }
  }
}

TEST_CASE("bins of like ratio are in the order of the ratio") {
  const token_bins bins = bins_of_like_ratio({0.2, 0.2, 0, 0.2, 0.2, 0.2}, {0.3, 0.1, 0.2, 0.2, 0, 0.2}, 5);
  CHECK(bins.of == std::vector<std::size_t>{4, 1, token_bins::none, 2, 0, 3});
}

TEST_CASE("p values of right counts are uniform and those of wrong counts are small") {
  random_source random(9);
  const std::vector<double> law{0.4, 0.3, 0.15, 0.1, 0.05};
  const auto p_values = [&](double shifted) {
    std::vector<double> seen;
    for (int round = 0; round < 400; ++round) {
      conditional_counts counts({law, {0.5, 0.5}, {0.999, 0.001}});
      for (int i = 0; i < 1000; ++i) {
        double u = random.uniform() - shifted;
        std::size_t cell = 0;
        while (cell + 1 < law.size() && u >= law[cell]) u -= law[cell++];
        counts.add(0, cell);
        counts.add(1, random.coin() ? 1 : 0);
        counts.add(2, random.coin(0.001) ? 1 : 0);  // too rare to be compared
      }
      seen.push_back(counts.compared().p_value());
    }
    return seen;
  };
  CHECK(distance_from_uniform(p_values(0)) < 2);
  CHECK(distance_from_uniform(p_values(0.05)) > 8);
}

}  // namespace decant_test
