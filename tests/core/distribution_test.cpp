// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/distribution.hpp>

#include "tests/support/allocation_counter.hpp"
#include "tests/support/laws.hpp"
#include "tests/support/random.hpp"
#include "tests/support/test_kit.hpp"

#if defined(DECANT_TEST_HAS_GMP)
#include "tests/support/rational.hpp"
#endif

#include <limits>
#include <vector>

namespace {

using decant::distribution;
using decant::error_code;
using decant::index;
using decant::token;
using decant_test::dense_law;
using decant_test::law_in_form;
using decant_test::near;
using decant_test::random_source;
using decant_test::sparse_law;

template <class Real>
error_code finished(const std::vector<Real>& weights) {
  distribution<Real> law;
  std::copy(weights.begin(), weights.end(), law.begin_dense(weights.size()).begin());
  return law.finish();
}

constexpr double infinity = std::numeric_limits<double>::infinity();

}  // namespace

TEMPLATE_TEST_CASE("dense and sparse forms answer alike", "", float, double) {
  random_source random(1);
  for (int round = 0; round < 100; ++round) {
    const auto weights = random.weights<TestType>(random.between(1, 80), 0.6);
    const auto dense = dense_law(weights);
    const auto sparse = sparse_law(weights);
    CHECK_FALSE(dense.view().sparse());
    CHECK(sparse.view().sparse());
    CHECK(dense.view().vocab_size() == weights.size());
    CHECK(sparse.view().vocab_size() == weights.size());
    CHECK(dense.view().mass() == sparse.view().mass());
    CHECK(dense.view().ids().empty());
    CHECK(sparse.view().ids().size() == sparse.view().size());
    for (token id = -1; id <= static_cast<token>(weights.size()); ++id) {
      CHECK(dense.view().weight_of(id) == sparse.view().weight_of(id));
      CHECK(dense.view().probability(id) == sparse.view().probability(id));
    }
    CHECK(decant::argmax(dense.view()) == decant::argmax(sparse.view()));
    CHECK(decant::entropy(dense.view()) == decant::entropy(sparse.view()));
    CHECK(decant::total_variation(dense.view(), sparse.view()) == 0);
  }
}

TEST_CASE("weights of float are summed in double") {
  std::vector<float> weights(3, 1.0f);
  weights[0] = 1e8f;
  CHECK(dense_law(weights).view().mass() == 1e8 + 2);
}

TEMPLATE_TEST_CASE("finish states what is wrong with weights", "", float, double) {
  constexpr TestType nan = std::numeric_limits<TestType>::quiet_NaN();
  constexpr TestType inf = std::numeric_limits<TestType>::infinity();
  CHECK(finished(std::vector<TestType>{0, 1}) == error_code::none);
  CHECK(finished(std::vector<TestType>{}) == error_code::row_empty);
  CHECK(finished(std::vector<TestType>{0, 0}) == error_code::row_empty);
  CHECK(finished(std::vector<TestType>{1, nan}) == error_code::row_not_finite);
  CHECK(finished(std::vector<TestType>{inf, 1}) == error_code::row_not_finite);
  distribution<TestType> law;
  law.begin_sparse(5);
  CHECK(law.finish() == error_code::row_empty);
}

TEST_CASE("an empty law has no argmax and no entropy") {
  const decant::distribution_view<double> nothing;
  CHECK(decant::argmax(nothing) == decant::no_token);
  CHECK(decant::entropy(nothing) == 0);
  CHECK(nothing.weight_of(0) == 0);
}

TEST_CASE("argmax takes the lowest id of a tie") {
  CHECK(decant::argmax(dense_law(std::vector<float>{1, 3, 2, 3}).view()) == 1);
  CHECK(decant::argmax(dense_law(std::vector<float>(10, 1.0f)).view()) == 0);
  CHECK(decant::argmax(sparse_law(std::vector<float>{0, 0, 2, 0, 2}).view()) == 2);
}

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

TEST_CASE("pairs are visited once each in ascending order") {
  const auto a = sparse_law(std::vector<double>{1, 0, 2, 0, 3});
  const auto b = sparse_law(std::vector<double>{0, 0, 5, 6, 0});
  std::vector<std::vector<double>> seen;
  decant::for_each_pair(a.view(), b.view(), [&](token id, double x, double y) {
    seen.push_back({static_cast<double>(id), x, y});
  });
  CHECK(seen == std::vector<std::vector<double>>{{0, 1, 0}, {2, 2, 5}, {3, 0, 6}, {4, 3, 0}});
}

TEST_CASE("assigning copies the law and its form") {
  distribution<float> copy;
  for (const bool sparse : {true, false, true}) {
    const auto original = law_in_form(std::vector<float>{0, 1, 3}, sparse);
    copy.assign(original);
    CHECK(copy.view().sparse() == sparse);
    CHECK(copy.view().size() == original.view().size());
    CHECK(copy.view().vocab_size() == 3);
    CHECK(copy.view().probability(2) == 0.75);
  }
  copy.assign_one_hot(7, 10);
  CHECK(copy.view().probability(7) == 1);
  CHECK(copy.view().mass() == 1);
  CHECK(copy.view().vocab_size() == 10);
}

TEST_CASE("sparse laws of usual size do not allocate as they widen") {
  distribution<float> law;
  distribution<float> copy;
  law.begin_sparse(50000);
  law.push(0, 1.0f);
  CHECK(law.finish() == error_code::none);
  copy.assign(law);
  CHECK(decant_test::allocations_of([&] {
          for (token size = 1; size <= 200; ++size) {
            law.begin_sparse(50000);
            for (token id = 0; id < size; ++id) law.push(id, 1.0f);
            static_cast<void>(law.finish());
            copy.assign(law);
          }
        }) == 0);
}

TEST_CASE("a long dense law keeps the masses of its blocks") {
  for (const std::size_t size : {decant::law_block, decant::law_block + 1, 3 * decant::law_block}) {
    CAPTURE(size);
    distribution<float> law;
    const std::span<float> weights = law.begin_dense(size);
    for (std::size_t v = 0; v < size; ++v) weights[v] = static_cast<float>(v % 7);
    REQUIRE(law.finish() == error_code::none);
    const auto masses = law.view().block_masses();
    const std::size_t blocks = size > decant::law_block ? (size + decant::law_block - 1) / decant::law_block : 0;
    REQUIRE(masses.size() == blocks);
    double all = 0;
    for (std::size_t b = 0; b < blocks; ++b) {
      double sum = 0;
      for (std::size_t v = b * decant::law_block; v < std::min(size, (b + 1) * decant::law_block); ++v) {
        sum += static_cast<double>(weights[v]);
      }
      CHECK(masses[b] == sum);  // whole numbers: no rounding in any order
      all += sum;
    }
    if (blocks > 0) CHECK(law.view().mass() == all);

    distribution<float> copy;
    copy.assign(law);
    CHECK(copy.view().block_masses().size() == blocks);
    law.begin_sparse(size);
    law.push(3, 1.0f);
    REQUIRE(law.finish() == error_code::none);
    CHECK(law.view().block_masses().empty());
    static_cast<void>(copy.begin_dense(size)[0]);
    CHECK(copy.view().block_masses().empty());
  }
}

TEST_CASE("block masses do not hide a weight that is not finite") {
  distribution<float> law;
  const std::span<float> weights = law.begin_dense(1000);
  std::fill(weights.begin(), weights.end(), 1.0f);
  weights[700] = std::numeric_limits<float>::quiet_NaN();
  CHECK(law.finish() == error_code::row_not_finite);
}

#if defined(DECANT_TEST_HAS_GMP)
TEST_CASE("laws over exact rationals") {
  using decant_test::rational;
  const auto p = dense_law(std::vector<rational>{{1, 3}, {1, 3}, {1, 3}});
  const auto q = sparse_law(std::vector<rational>{{1, 7}, {0, 1}, {6, 7}});
  CHECK(p.view().mass() == rational(1));
  CHECK(decant::total_variation(p.view(), q.view()) == rational(11, 21));
  CHECK(decant::total_variation(p.view(), p.view()) == rational(0));
  CHECK(decant::argmax(p.view()) == 0);
  CHECK(near(q.view().probability(2), 6.0 / 7, 1e-15));
  distribution<rational> empty;
  empty.begin_sparse(3);
  CHECK(empty.finish() == error_code::row_empty);
}
#endif
