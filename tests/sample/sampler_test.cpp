// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/sampler.hpp>

#include <decant/sample/log_probabilities.hpp>
#include <decant/sample/min_p.hpp>
#include <decant/sample/penalties.hpp>
#include <decant/sample/temperature.hpp>
#include <decant/sample/top_k.hpp>
#include <decant/sample/top_p.hpp>

#include "tests/support/random.hpp"
#include "tests/support/sampling.hpp"

#include <limits>
#include <string>

namespace {

using decant::error_code;
using decant::make_sampler;
using decant::min_p;
using decant::penalties;
using decant::temperature;
using decant::token;
using decant::top_k;
using decant::top_p;
using decant_test::near;
using decant_test::probabilities;
using decant_test::support;

/// A user's step: odd tokens only. No check, no state.
struct odd_only {
  template <class Real>
  void apply(decant::candidates<Real>& set) const {
    set.filter([](token id, Real) { return id % 2 == 1; });
  }
};

/// A user's step with memory: never the token before last again.
struct no_echo {
  struct state_type {
    token last = decant::no_token;
    token before_last = decant::no_token;
  };
  [[nodiscard]] state_type initial_state() const { return {}; }
  void advance(state_type& state, token t) const { state = {t, state.last}; }
  template <class Real>
  void apply(decant::candidates<Real>& set, const state_type& state) const {
    set.filter([&](token id, Real) { return id != state.before_last; });
  }
};

struct not_a_step {};

static_assert(decant::SamplerStep<odd_only> && decant::SamplerStep<no_echo>);
static_assert(!decant::StatefulStep<odd_only> && decant::StatefulStep<no_echo> && decant::StatefulStep<penalties>);
static_assert(!decant::SamplerStep<not_a_step>);
static_assert(decant::Sampler<decant::sampler_chain<odd_only, no_echo, top_k>, double>);
static_assert(!decant::Sampler<odd_only>);

}  // namespace

TEST_CASE("a chain applies its steps in the order written") {
  const std::vector<float> row{3, 2, 1};
  CHECK(support(probabilities(make_sampler(odd_only{}, top_k{1}), row)) == std::vector<token>{1});
  CHECK(decant_test::code_for(make_sampler(top_k{1}, odd_only{}), row) == error_code::row_empty);
}

TEST_CASE("states advance step by step, each its own") {
  const std::vector<float> row{0, 0, 0, 0};
  const auto sampler = make_sampler(no_echo{}, top_p{1.0f}, penalties{1.0f, 1.0f, 0.0f, 2});
  const std::vector<token> history{3, 1, 2};
  const auto law = probabilities(sampler, row, history);
  CHECK(law[1] == 0);
  CHECK(near(law[2], law[0] / std::exp(1.0), 1e-6));
  CHECK(law[3] == law[0]);
}

TEST_CASE("steps of a chain are read and changed by type") {
  auto sampler = make_sampler(top_k{40}, temperature{0.8f});
  CHECK(sampler.get<top_k>().k == 40);
  const auto before = sampler;
  CHECK(sampler == before);
  sampler.get<temperature>().value = 0.0f;
  CHECK_FALSE(sampler == before);
  CHECK(support(probabilities(sampler, std::vector<float>{1, 3, 2})) == std::vector<token>{1});
}

TEST_CASE("a chain passes on the first complaint about its parameters") {
  CHECK(make_sampler().check().has_value());
  CHECK(make_sampler(odd_only{}, top_k{3}, temperature{1.0f}).check().has_value());
  const auto checked = make_sampler(odd_only{}, top_p{2.0f}, min_p{-1.0f}).check();
  CHECK(checked.error().message().c_str() ==
        std::string("a parameter is outside its range: p of top-p must lie in [0, 1]"));
}

TEMPLATE_TEST_CASE("every chain states the same outcomes for special rows", "", float, double) {
  constexpr TestType nan = std::numeric_limits<TestType>::quiet_NaN();
  constexpr TestType inf = std::numeric_limits<TestType>::infinity();
  const auto check = [&](const auto& sampler) {
    CHECK(decant_test::code_for(sampler, std::vector<TestType>{}) == error_code::row_unavailable);
    CHECK(decant_test::code_for(sampler, std::vector<TestType>{1, nan, 2}) == error_code::row_not_finite);
    CHECK(decant_test::code_for(sampler, std::vector<TestType>{1, 2, inf}) == error_code::row_not_finite);
    CHECK(decant_test::code_for(sampler, std::vector<TestType>{-inf, -inf}) == error_code::row_empty);
    CHECK(probabilities(sampler, std::vector<TestType>{-inf, -4, -inf}) == std::vector<double>{0, 1, 0});
    CHECK(probabilities(sampler, std::vector<TestType>{7}) == std::vector<double>{1});
    CHECK(probabilities(sampler, std::vector<TestType>(100, TestType(3)))[0] > 0);
  };
  check(make_sampler());
  check(make_sampler(temperature{0.0f}));
  check(make_sampler(temperature{0.5f}));
  check(make_sampler(top_k{5}));
  check(make_sampler(top_p{0.5f}));
  check(make_sampler(min_p{0.1f}));
  check(make_sampler(penalties{1.2f, 0.1f, 0.1f, 8}, top_k{40}, top_p{0.9f}, min_p{0.05f}, temperature{0.7f}));
}

TEST_CASE("given_law takes weights as they are") {
  const decant::given_law sampler;
  CHECK(probabilities(sampler, std::vector<double>{1, 3, 0}) == std::vector<double>{0.25, 0.75, 0});
  CHECK(decant_test::code_for(sampler, std::vector<double>{}) == error_code::row_unavailable);
  CHECK(decant_test::code_for(sampler, std::vector<double>{0, 0}) == error_code::row_empty);
  CHECK(decant_test::code_for(sampler, std::vector<double>{1, -1}) == error_code::row_not_finite);
  CHECK(decant_test::code_for(sampler, std::vector<double>{1, decant_test::infinity}) == error_code::row_not_finite);
  CHECK(decant_test::code_for(sampler, std::vector<double>{1, std::nan("")}) == error_code::row_not_finite);
}

TEMPLATE_TEST_CASE("log-probabilities of dense and sparse laws", "", float, double) {
  decant_test::random_source random(81);
  decant::distribution<TestType> dense;
  decant::distribution<TestType> sparse;
  for (int round = 0; round < 100; ++round) {
    const auto weights = random.weights<TestType>(random.between(1, 60), 0.5);
    std::copy(weights.begin(), weights.end(), dense.begin_dense(weights.size()).begin());
    sparse.begin_sparse(weights.size());
    for (std::size_t i = 0; i < weights.size(); ++i) {
      if (weights[i] > 0) sparse.push(static_cast<token>(i), weights[i]);
    }
    REQUIRE((dense.finish() == error_code::none && sparse.finish() == error_code::none));
    std::vector<decant::token_log_probability> all(weights.size() + 2);
    const std::size_t count = decant::best_log_probabilities(dense.view(), std::span(all));
    CHECK(count == sparse.view().size());
    for (std::size_t i = 0; i < count; ++i) {
      CHECK(near(all[i].value, std::log(dense.view().probability(all[i].id)), 1e-12));
      CHECK(near(all[i].value, decant::log_probability(sparse.view(), all[i].id), 1e-12));
      if (i > 0) CHECK((all[i].value < all[i - 1].value || all[i].id > all[i - 1].id));
    }
    std::vector<decant::token_log_probability> best(std::min<std::size_t>(3, count));
    CHECK(decant::best_log_probabilities(sparse.view(), std::span(best)) == best.size());
    CHECK(std::equal(best.begin(), best.end(), all.begin()));
  }
  sparse.assign_one_hot(1, 3);
  CHECK(decant::log_probability(sparse.view(), 1) == 0);
  CHECK(decant::log_probability(sparse.view(), 0) == -decant_test::infinity);
  CHECK(decant::best_log_probabilities(sparse.view(), {}) == 0);
}

TEMPLATE_TEST_CASE("the raw log-probability is the soft-max of the row", "", float, double) {
  decant_test::random_source random(82);
  const auto row = random.logits<TestType>(50);
  const auto law = probabilities(make_sampler(), row);
  for (token id = 0; id < 50; ++id) {
    CHECK(
        near(decant::raw_log_probability(std::span<const TestType>(row), id), std::log(law[decant::index(id)]), 1e-5));
  }
}
