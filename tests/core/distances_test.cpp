// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/distances.hpp>

#include "tests/support/laws.hpp"
#include "tests/support/random.hpp"
#include "tests/support/test_kit.hpp"

#if defined(DECANT_TEST_HAS_GMP)
#include "tests/support/rational.hpp"
#endif

#include <limits>
#include <vector>

namespace {

using decant_test::dense_law;
using decant_test::law_in_form;
using decant_test::near;
using decant_test::random_source;
using decant_test::sparse_law;

constexpr double infinity = std::numeric_limits<double>::infinity();

}  // namespace

TEST_CASE("entropy in nats") {
  CHECK(near(decant::entropy(dense_law(std::vector<double>(8, 3.0)).view()), std::log(8.0), 1e-14));
  CHECK(decant::entropy(dense_law(std::vector<double>{0, 5, 0}).view()) == 0);
  CHECK(near(decant::entropy(dense_law(std::vector<double>{1, 1, 2}).view()), 1.5 * std::log(2.0), 1e-14));
}

TEST_CASE("total variation and divergence of known laws") {
  const auto p = dense_law(std::vector<double>{2, 1, 1, 0});
  const auto q = dense_law(std::vector<double>{0, 1, 1, 2});
  CHECK(decant::total_variation(p.view(), q.view()) == 0.5);
  CHECK(decant::kl_divergence(p.view(), q.view()) == infinity);
  CHECK(decant::kl_divergence(p.view(), p.view()) == 0);
  const auto flat = dense_law(std::vector<double>(4, 1.0));
  CHECK(near(decant::kl_divergence(p.view(), flat.view()), std::log(4.0) - 1.5 * std::log(2.0), 1e-14));
}

TEMPLATE_TEST_CASE("distances do not depend on form or scale", "", float, double) {
  random_source random(2);
  for (int round = 0; round < 100; ++round) {
    const std::size_t size = random.between(1, 60);
    const auto a = random.weights<TestType>(size, 0.4);
    const auto b = random.weights<TestType>(size, 0.4);
    auto doubled = b;
    for (TestType& weight : doubled) weight *= 2;
    double expected = 0;
    const double mass_a = dense_law(a).view().mass();
    const double mass_b = dense_law(b).view().mass();
    for (std::size_t i = 0; i < size; ++i) {
      expected += std::abs(static_cast<double>(a[i]) / mass_a - static_cast<double>(b[i]) / mass_b) / 2;
    }
    const double divergence = decant::kl_divergence(dense_law(a).view(), dense_law(b).view());
    for (const bool sparse_a : {false, true}) {
      for (const bool sparse_b : {false, true}) {
        const auto x = law_in_form(a, sparse_a);
        const auto y = law_in_form(doubled, sparse_b);
        CHECK(near(decant::total_variation(x.view(), y.view()), expected, 1e-12));
        const double other = decant::kl_divergence(x.view(), y.view());
        CHECK((other == divergence || near(other, divergence, 1e-12)));
      }
    }
  }
}

TEST_CASE("a law and its other form have the same entropy and no distance") {
  random_source random(1);
  for (int round = 0; round < 50; ++round) {
    const auto weights = random.weights<double>(random.between(1, 80), 0.6);
    const auto dense = dense_law(weights);
    const auto sparse = sparse_law(weights);
    CHECK(decant::entropy(dense.view()) == decant::entropy(sparse.view()));
    CHECK(decant::total_variation(dense.view(), sparse.view()) == 0);
  }
  CHECK(decant::entropy(decant::distribution_view<double>()) == 0);
}

TEST_CASE("excess and overlap of known laws") {
  const auto p = dense_law(std::vector<double>{2, 1, 1, 0});
  const auto q = sparse_law(std::vector<double>{0, 1, 1, 2});
  CHECK(near(decant::excess(p.view(), q.view(), 1), 0.5, 1e-15));
  CHECK(near(decant::excess(p.view(), q.view(), 0.5), 0.75, 1e-15));
  CHECK(near(decant::overlap(p.view(), q.view(), 1), 0.5, 1e-15));
  CHECK(near(decant::overlap(p.view(), q.view(), 0.5), 0.25, 1e-15));
}

TEST_CASE("distances of long laws of float are those in double precision") {
  random_source random(3);
  for (int round = 0; round < 20; ++round) {
    const std::size_t size = random.between(257, 3000);
    std::vector<float> a(size);
    std::vector<float> b(size);
    for (std::size_t i = 0; i < size; ++i) {
      a[i] = random.coin(0.1) ? 0.0F : static_cast<float>(std::exp(5 * random.normal()));
      b[i] = static_cast<float>(std::exp(5 * random.normal()));
    }
    const auto x = dense_law(a);
    const auto y = dense_law(b);
    const auto exact_x = dense_law(std::vector<double>(a.begin(), a.end()));
    const auto exact_y = dense_law(std::vector<double>(b.begin(), b.end()));
    const auto same = [](double found, double exact) { return near(found, exact, 1e-5 * std::max(1.0, exact)); };
    CHECK(same(decant::entropy(x.view()), decant::entropy(exact_x.view())));
    CHECK(same(decant::total_variation(x.view(), y.view()), decant::total_variation(exact_x.view(), exact_y.view())));
    CHECK(same(decant::kl_divergence(x.view(), y.view()), decant::kl_divergence(exact_x.view(), exact_y.view())));
    CHECK(decant::kl_divergence(y.view(), x.view()) == infinity);
    CHECK(same(decant::jensen_shannon(x.view(), y.view()), decant::jensen_shannon(exact_x.view(), exact_y.view())));
    CHECK(same(decant::excess(x.view(), y.view(), 0.7), decant::excess(exact_x.view(), exact_y.view(), 0.7)));
    CHECK(same(decant::overlap(x.view(), y.view(), 1.3), decant::overlap(exact_x.view(), exact_y.view(), 1.3)));
    CHECK(near(decant::total_variation(x.view(), x.view()), 0, 1e-9));
    CHECK(near(decant::jensen_shannon(x.view(), x.view()), 0, 1e-7));
  }
}

#if defined(DECANT_TEST_HAS_GMP)
TEST_CASE("distances over exact rationals") {
  using decant_test::rational;
  const auto p = dense_law(std::vector<rational>{{1, 3}, {1, 3}, {1, 3}});
  const auto q = sparse_law(std::vector<rational>{{1, 7}, {0, 1}, {6, 7}});
  CHECK(decant::total_variation(p.view(), q.view()) == rational(11, 21));
  CHECK(decant::total_variation(p.view(), p.view()) == rational(0));
  CHECK(decant::excess(p.view(), q.view(), rational(1)) == rational(11, 21));
  CHECK(decant::overlap(p.view(), q.view(), rational(1)) == rational(10, 21));
}
#endif
