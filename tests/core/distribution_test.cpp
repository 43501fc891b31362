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

TEST_CASE("an empty law has no argmax") {
  const decant::distribution_view<double> nothing;
  CHECK(decant::argmax(nothing) == decant::no_token);
  CHECK(nothing.weight_of(0) == 0);
}

TEST_CASE("argmax takes the lowest id of a tie") {
  CHECK(decant::argmax(dense_law(std::vector<float>{1, 3, 2, 3}).view()) == 1);
  CHECK(decant::argmax(dense_law(std::vector<float>(10, 1.0f)).view()) == 0);
  CHECK(decant::argmax(sparse_law(std::vector<float>{0, 0, 2, 0, 2}).view()) == 2);
}

TEMPLATE_TEST_CASE("the heaviest entries of a long law are found wherever they are", "", float, double) {
  random_source random(9);
  for (int i = 0; i < 60; ++i) {
    auto weights = random.weights<TestType>(random.between(200, 1500), 0.5);
    if (i % 3 == 0) {  // peaks, with ties across blocks
      for (TestType& weight : weights) weight = weight > TestType(0.97) ? TestType(1000) : weight;
    }
    if (i % 3 == 1) std::fill(weights.begin(), weights.end(), TestType(1));
    std::vector<decant::weighted_token<TestType>> ranked;
    for (std::size_t v = 0; v < weights.size(); ++v) ranked.push_back({static_cast<token>(v), weights[v]});
    std::stable_sort(ranked.begin(), ranked.end(), [](auto& a, auto& b) { return a.weight > b.weight; });

    const auto law = law_in_form(weights, i % 2 == 0);
    CHECK(argmax(law.view()) == ranked.front().id);
    const auto zeros = static_cast<std::size_t>(std::count(weights.begin(), weights.end(), TestType(0)));
    const std::size_t wanted = std::min<std::size_t>(7, weights.size() - zeros);
    std::vector<decant::weighted_token<TestType>> best;
    const auto before = [](const auto& a, const auto& b) { return ranks_before(a, b); };
    visit_heaviest(law.view(), [&](const decant::weighted_token<TestType>& entry) {
      best.insert(std::upper_bound(best.begin(), best.end(), entry, before), entry);
      if (best.size() > wanted) best.pop_back();
      return best.size() < wanted ? TestType(0) : best.back().weight;
    });
    REQUIRE(best.size() == wanted);
    for (std::size_t k = 0; k < wanted; ++k) CHECK(best[k].id == ranked[k].id);
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

TEMPLATE_TEST_CASE("a law can be copied without one token", "", float, double) {
  random_source random(11);
  for (int round = 0; round < 60; ++round) {
    auto weights = random.weights<TestType>(random.between(2, 900), 0.3);
    const auto gone = static_cast<token>(random.below(weights.size() + 1));  // perhaps one beyond the vocabulary
    const auto whole = law_in_form(weights, round % 2 == 0);
    if (index(gone) < weights.size()) weights[index(gone)] = 0;
    const bool is_empty = std::count(weights.begin(), weights.end(), 0) == static_cast<std::ptrdiff_t>(weights.size());
    distribution<TestType> rest;
    CHECK(rest.assign_without(whole.view(), gone) == (is_empty ? error_code::row_empty : error_code::none));
    double sum = 0;
    for (std::size_t v = 0; v < weights.size(); ++v) {
      CHECK(rest.view().weight_of(static_cast<token>(v)) == weights[v]);
      sum += static_cast<double>(weights[v]);
    }
    CHECK(near(rest.view().mass(), sum, 1e-12 * sum));
    double of_blocks = 0;
    for (const double mass : rest.view().block_masses()) of_blocks += mass;
    if (!rest.view().block_masses().empty()) CHECK(near(of_blocks, sum, 1e-12 * sum));
  }
}

TEST_CASE("the entries of one law are walked with the weights of another, in all pairings of forms") {
  random_source random(12);
  for (int round = 0; round < 50; ++round) {
    const std::size_t size = random.between(1, 40);
    const auto a = random.weights<double>(size, 0.5);
    const auto b = random.weights<double>(size, 0.5);
    for (const bool sparse_a : {false, true}) {
      for (const bool sparse_b : {false, true}) {
        const auto of_a = law_in_form(a, sparse_a);
        const auto of_b = law_in_form(b, sparse_b);
        std::size_t seen = 0;
        decant::for_each_entry(of_a.view(), of_b.view(), [&](token id, double x, double y) {
          CHECK(id == of_a.view().id(seen++));
          CHECK(x == a[index(id)]);
          CHECK(y == b[index(id)]);
        });
        CHECK(seen == of_a.view().size());
      }
    }
  }
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
  CHECK(decant::argmax(p.view()) == 0);
  CHECK(near(q.view().probability(2), 6.0 / 7, 1e-15));
  distribution<rational> empty;
  empty.begin_sparse(3);
  CHECK(empty.finish() == error_code::row_empty);
}
#endif
