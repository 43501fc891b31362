// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/residual.hpp>

#include "tests/support/allocation_counter.hpp"
#include "tests/support/laws.hpp"
#include "tests/support/random.hpp"
#include "tests/support/test_kit.hpp"

#if defined(DECANT_TEST_HAS_GMP)
#include "tests/support/rational.hpp"
#endif

#include <vector>

namespace {

using decant::distribution_view;
using decant::index;
using decant::running_residual;
using decant::token;
using decant_test::dense_law;
using decant_test::law_in_form;
using decant_test::near;
using decant_test::random_source;
using decant_test::sparse_law;

using weights = std::vector<double>;

double sum(const weights& values) {
  double total = 0;
  for (const double value : values) total += value;
  return total;
}

weights normalised(weights values) {
  const double total = sum(values);
  for (double& value : values) value /= total;
  return values;
}

template <class Real>
weights probabilities(distribution_view<Real> law) {
  weights out(law.vocab_size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = law.probability(static_cast<token>(i));
  return out;
}

/// max(scale p - q, 0), the obvious way: normalised laws, every token.
weights slow_difference(const weights& p, const weights& q, double scale = 1) {
  weights out(p.size());
  for (std::size_t i = 0; i < p.size(); ++i) out[i] = std::max(scale * p[i] - q[i], 0.0);
  return out;
}

double largest_difference(const weights& a, const weights& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

}  // namespace

TEST_CASE("one subtraction, all pairings of forms, against the obvious way") {
  random_source random(201);
  running_residual<double> residual;
  for (int round = 0; round < 500; ++round) {
    const std::size_t size = random.between(2, 60);
    const weights p = random.weights<double>(size, random.uniform(0, 0.8));
    const weights q = random.weights<double>(size, random.uniform(0, 0.8));
    const double scale = random.coin() ? 1 : random.uniform(0.1, 2);
    const weights expected = slow_difference(normalised(p), normalised(q), scale);
    for (const bool sparse_p : {false, true}) {
      for (const bool sparse_q : {false, true}) {
        const auto target = law_in_form(p, sparse_p);
        const auto proposal = law_in_form(q, sparse_q);
        residual.reset(target);
        const double total = residual.subtract(proposal, proposal.view().mass(), scale);
        CAPTURE(size, scale, sparse_p, sparse_q);
        CHECK(near(total, sum(expected), 1e-12));
        CHECK(residual.law().sparse() == sparse_p);
        if (sum(expected) > 1e-9) {
          CHECK(largest_difference(probabilities(residual.law()), normalised(expected)) < 1e-9);
        }
      }
    }
  }
}

TEST_CASE("a blend of the two laws can be left over, in all pairings of forms") {
  random_source random(209);
  running_residual<double> residual;
  for (int round = 0; round < 200; ++round) {
    const std::size_t size = random.between(2, 60);
    const weights p = random.weights<double>(size, random.uniform(0, 0.8));
    const weights q = random.weights<double>(size, random.uniform(0, 0.8));
    weights expected(size);
    for (std::size_t i = 0; i < size; ++i) {
      expected[i] = p[i] / sum(p) - 0.5 * std::min(q[i] / sum(q), 0.75 * p[i] / sum(p));
    }
    for (const bool sparse_p : {false, true}) {
      for (const bool sparse_q : {false, true}) {
        const auto held_law = law_in_form(p, sparse_p);
        residual.reset(held_law);
        const double total = residual.blend(law_in_form(q, sparse_q).view(), {1, -0.5, 0.75});
        CAPTURE(size, sparse_p, sparse_q);
        CHECK(near(total, sum(expected), 1e-12));
        CHECK(residual.law().sparse() == sparse_p);
        CHECK(largest_difference(probabilities(residual.law()), normalised(expected)) < 1e-12);
      }
    }
  }
}

TEST_CASE("a blend that leaves nothing keeps the law") {
  for (const bool sparse : {false, true}) {
    running_residual<double> residual;
    const auto held_law = law_in_form(weights{1, 0, 3}, sparse);
    residual.reset(held_law);
    CHECK(residual.blend(dense_law(weights{1, 1, 1}).view(), {0, 0, 0}) == 0);
    CHECK(probabilities(residual.law()) == weights{0.25, 0, 0.75});
  }
}

TEST_CASE("siblings drawn without replacement, one after the other") {
  random_source random(202);
  running_residual<double> residual;
  for (int round = 0; round < 300; ++round) {
    const std::size_t size = random.between(3, 40);
    const weights p = random.weights<double>(size, random.uniform(0, 0.5));
    const weights q = random.weights<double>(size, random.uniform(0, 0.5));
    const bool sparse_p = random.coin();
    const auto proposal = law_in_form(q, random.coin());
    const auto held_law = law_in_form(p, sparse_p);
    residual.reset(held_law);
    weights running = normalised(p);
    weights left = q;
    double mass_left = proposal.view().mass();
    for (int sibling = 0; sibling < 4; ++sibling) {
      // A rejected token has less target than proposal; only such a one is subtracted.
      const weights law = normalised(left);
      std::vector<token> rejectable;
      for (std::size_t i = 0; i < size; ++i) {
        if (running[i] < law[i]) rejectable.push_back(static_cast<token>(i));
      }
      if (rejectable.empty()) break;
      const token rejected = rejectable[random.below(rejectable.size())];
      const weights difference = slow_difference(running, law);
      if (sum(difference) < 1e-6) break;
      CHECK(near(residual.subtract(proposal, mass_left), sum(difference), 1e-9));
      running = normalised(difference);
      CHECK(largest_difference(probabilities(residual.law()), running) < 1e-8);
      CHECK(residual.law().weight_of(rejected) == 0);
      left[index(rejected)] = 0;
      mass_left -= q[index(rejected)];
      if (sum(left) < 1e-3) break;
    }
  }
}

TEST_CASE("removing tokens equals masking them") {
  random_source random(203);
  running_residual<double> residual;
  for (int round = 0; round < 200; ++round) {
    const std::size_t size = random.between(2, 30);
    weights p = random.weights<double>(size, 0.3);
    const auto held_law = law_in_form(p, random.coin());
    residual.reset(held_law);
    for (int step = 0; step < 4; ++step) {
      const token id = random.token_below(size + 2);  // perhaps one that is not there
      weights masked = p;
      if (index(id) < size) masked[index(id)] = 0;
      residual.remove(id);
      if (sum(masked) > 0) p = masked;  // otherwise the last law stays
      CHECK(largest_difference(probabilities(residual.law()), normalised(p)) < 1e-12);
      CHECK(near(residual.law().mass(), sum(p), 1e-12));
    }
  }
}

TEMPLATE_TEST_CASE("equal laws leave no residual, and the law stays", "", float, double) {
  random_source random(204);
  running_residual<TestType> residual;
  for (int round = 0; round < 100; ++round) {
    const auto p = random.weights<TestType>(random.between(1, 60), 0.3);
    for (const bool sparse : {false, true}) {
      const auto law = law_in_form(p, sparse);
      residual.reset(law);
      CHECK(residual.subtract(law, law.view().mass()) == 0);
      CHECK(probabilities(residual.law()) == probabilities(law.view()));
    }
  }
}

TEMPLATE_TEST_CASE("laws equal up to rounding leave a law that can be drawn from", "", float, double) {
  random_source random(205);
  running_residual<TestType> residual;
  for (int round = 0; round < 200; ++round) {
    const auto p = random.weights<TestType>(random.between(1, 60));
    auto q = p;
    for (TestType& weight : q) weight *= TestType(0.3);  // the same law, rounded otherwise
    const auto proposal = dense_law(q);
    const auto held_law = dense_law(p);
    residual.reset(held_law);
    const double total = static_cast<double>(residual.subtract(proposal, proposal.view().mass()));
    CHECK(total >= 0);
    CHECK(total < 1e-6);
    CHECK(residual.law().mass() > 0);
    CHECK(decant::argmax(residual.law()) != decant::no_token);
  }
}

TEST_CASE("disjoint laws leave the target untouched") {
  for (const bool sparse_p : {false, true}) {
    for (const bool sparse_q : {false, true}) {
      running_residual<double> residual;
      const auto held_law = law_in_form(weights{1, 0, 3, 0}, sparse_p);
      residual.reset(held_law);
      const auto proposal = law_in_form(weights{0, 5, 0, 1}, sparse_q);
      CHECK(residual.subtract(proposal, proposal.view().mass()) == 1);
      CHECK(probabilities(residual.law()) == weights{0.25, 0, 0.75, 0});
    }
  }
}

TEST_CASE("one-hot laws") {
  running_residual<double> residual;
  decant::distribution<double> one_hot;
  one_hot.assign_one_hot(2, 4);
  const auto held_law = dense_law(weights{1, 1, 1, 1});
  residual.reset(held_law);
  CHECK(residual.subtract(one_hot, 1.0) == 0.75);
  CHECK(near(residual.law().probability(0), 1.0 / 3, 1e-15));
  CHECK(residual.law().probability(2) == 0);

  residual.reset(one_hot);
  CHECK(residual.subtract(dense_law(weights{1, 1, 1, 1}), 4.0) == 0.75);
  CHECK(residual.law().probability(2) == 1);

  residual.reset(one_hot);
  CHECK(residual.subtract(one_hot, 1.0) == 0);
  residual.remove(2);
  CHECK(residual.law().probability(2) == 1);
}

TEST_CASE("the law a residual starts from is never written") {
  const auto target = dense_law(weights{1, 2, 3});
  const auto proposal = dense_law(weights{3, 2, 1});
  running_residual<double> residual;
  residual.reset(target);
  static_cast<void>(residual.subtract(proposal, 6.0));
  residual.remove(2);
  CHECK(probabilities(target.view()) == normalised({1, 2, 3}));
  CHECK(probabilities(proposal.view()) == normalised({3, 2, 1}));
}

TEST_CASE("mass without some tokens is summed afresh") {
  random_source random(206);
  for (int round = 0; round < 100; ++round) {
    weights p = random.weights<double>(random.between(1, 40), 0.4);
    const auto law = law_in_form(p, random.coin());
    std::vector<token> removed;
    for (std::size_t i = 0; i < p.size(); ++i) {
      if (!random.coin(0.3)) continue;
      removed.push_back(static_cast<token>(i));
      p[i] = 0;
    }
    CHECK(near(decant::mass_without(law.view(), removed), sum(p), 1e-12));
  }
  // The running difference would be 0 or noise here.
  const auto steep = dense_law(weights{1, 1e-18, 1e-18});
  CHECK(near(decant::mass_without(steep.view(), std::vector<token>{0}) / 2e-18, 1, 1e-12));
}

TEST_CASE("a residual allocates nothing after warm-up") {
  random_source random(207);
  running_residual<float> residual;
  std::size_t made = 0;
  for (int round = 0; round < 30; ++round) {
    const auto target = law_in_form(random.weights<float>(100, 0.5), round % 2 == 0);
    const auto proposal = law_in_form(random.weights<float>(100, 0.5), round % 3 == 0);
    const std::size_t now = decant_test::allocations_of([&] {
      residual.reset(target);
      static_cast<void>(residual.subtract(proposal, proposal.view().mass()));
      residual.remove(5);
    });
    if (round >= 4) made += now;
  }
  CHECK(made == 0);
}

#if defined(DECANT_TEST_HAS_GMP)
TEST_CASE("accepting with min(p, q) and drawing from the residual gives the target, exactly") {
  using decant_test::rational;
  random_source random(208);
  for (int round = 0; round < 100; ++round) {
    const std::size_t size = random.between(1, 8);
    std::vector<rational> p(size);
    std::vector<rational> q(size);
    for (std::size_t i = 0; i < size; ++i) {
      p[i] = static_cast<int>(random.below(6));
      q[i] = static_cast<int>(random.below(6));
    }
    p[0] += rational(1);
    q[size - 1] += rational(1);
    const auto target = law_in_form(p, random.coin());
    const auto proposal = law_in_form(q, random.coin());
    running_residual<rational> residual;
    residual.reset(target);
    const rational rejected = residual.subtract(proposal, proposal.view().mass());
    for (token id = 0; id < static_cast<token>(size); ++id) {
      const rational target_share = target.view().weight_of(id) / target.view().mass();
      const rational draft_share = proposal.view().weight_of(id) / proposal.view().mass();
      const rational after = residual.law().weight_of(id) / residual.law().mass();
      CHECK(std::min(target_share, draft_share) + rejected * after == target_share);
    }
  }
}
#endif
