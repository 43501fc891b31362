// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The cases of the kernels over laws (kernels/law_kernels.inl), for the sets that `vocabulary_sets()` of the including
// file names, the scalar set first: against double precision, bit for bit against the scalar set, and between pages
// that nobody may touch.
#ifndef DECANT_TESTS_KERNELS_LAW_CASES_HPP
#define DECANT_TESTS_KERNELS_LAW_CASES_HPP

#include "support/guarded_row.hpp"
#include "support/random.hpp"
#include "support/test_kit.hpp"

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace decant_test::law_cases {

using namespace decant::cpu;

/// Weights over many orders of magnitude, some zero, some equal to those of the other law.
inline void fill_weights(random_source& random, std::span<float> row) {
  for (float& x : row) x = random.coin(0.1) ? 0.0F : static_cast<float>(std::exp(4 * random.normal()));
}

constexpr blend_rule rule{0.75, -0.5, 1.25, 0.25, 2.5};
constexpr float low = 0.6F;
constexpr float high = 1.7F;
constexpr float scale = 1.1F;

/// Everything that one set of kernels makes of two laws, in guarded memory.
struct results {
  std::size_t size;
  guarded_row<float> blended, by_p, by_q, ratios;
  guarded_row<double> blended_blocks, by_p_blocks;
  std::vector<float> contested_p, contested_q;
  settled_masses settled{};
  double blend = 0, blend_unwritten = 0, subtract_unwritten = 0, add_by_p = 0, add_by_q = 0, overlap = 0, log_sum = 0,
         divergence = 0, jensen_shannon = 0;

  results(const vocabulary_kernels& k, std::span<const float> p, std::span<const float> q, guarded_end end)
      : size(p.size()),
        blended(size, end),
        by_p(size, end),
        by_q(size, end),
        ratios(size, end),
        blended_blocks((size + mass_block - 1) / mass_block, end),
        by_p_blocks((size + mass_block - 1) / mass_block, end),
        contested_p(size + collect_slack),
        contested_q(size + collect_slack) {
    blend = k.blend(p.data(), q.data(), size, rule, blended.data(), blended_blocks.data());
    blend_unwritten = k.blend(p.data(), q.data(), size, rule, nullptr, nullptr);
    subtract_unwritten = k.subtract(p.data(), q.data(), size, 1.25, 0.75, nullptr, nullptr);
    add_by_p = k.add_selected(p.data(), q.data(), p.data(), size, 0.5F, 0.25F, 1.0F, by_p.data(), by_p_blocks.data());
    add_by_q = k.add_selected(p.data(), q.data(), q.data(), size, 0.5F, 0.25F, 1.0F, by_q.data(), nullptr);
    overlap = k.overlap(p.data(), q.data(), size, scale);
    settled = k.settle(p.data(), q.data(), size, scale, low, high, contested_p.data(), contested_q.data());
    contested_p.resize(settled.kept);
    contested_q.resize(settled.kept);
    log_sum = k.log_sum(p.data(), size, 0.01F, 1e-5F);
    divergence = k.divergence(p.data(), q.data(), size, scale);
    jensen_shannon = k.jensen_shannon(p.data(), q.data(), size, 0.01F, 0.02F);
    k.ratios(p.data(), q.data(), size, scale, 2.0F, ratios.data());
  }

  void same_as(results& other) {
    const auto same = [](const auto& a, const auto& b) {
      return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(*a.data())) == 0;
    };
    CHECK(same(blended.span(), other.blended.span()));
    CHECK(same(blended_blocks.span(), other.blended_blocks.span()));
    CHECK(same(by_p.span(), other.by_p.span()));
    CHECK(same(by_p_blocks.span(), other.by_p_blocks.span()));
    CHECK(same(by_q.span(), other.by_q.span()));
    CHECK(same(ratios.span(), other.ratios.span()));
    CHECK(same(contested_p, other.contested_p));
    CHECK(same(contested_q, other.contested_q));
    CHECK(settled.by_p == other.settled.by_p);
    CHECK(settled.by_q == other.settled.by_q);
    CHECK(blend == other.blend);
    CHECK(blend_unwritten == other.blend_unwritten);
    CHECK(subtract_unwritten == other.subtract_unwritten);
    CHECK(add_by_p == other.add_by_p);
    CHECK(add_by_q == other.add_by_q);
    CHECK(overlap == other.overlap);
    CHECK(log_sum == other.log_sum);
    CHECK(divergence == other.divergence);
    CHECK(jensen_shannon == other.jensen_shannon);
  }
};

[[nodiscard]] inline bool close(double a, double b, double tolerance = 1e-6) {
  return a == b || std::abs(a - b) <= tolerance * std::max(std::abs(a), std::abs(b));
}

}  // namespace decant_test::law_cases

TEST_CASE("kernels over laws give the same bits on every instruction set and stay inside their rows") {
  using namespace decant_test;
  random_source random(31);
  std::vector<std::size_t> sizes;
  for (std::size_t size = 1; size <= 200; ++size) sizes.push_back(size);
  for (const std::size_t size : {255U, 256U, 257U, 511U, 513U, 1025U}) sizes.push_back(size);
  const auto sets = vocabulary_sets();
  for (const std::size_t size : sizes) {
    for (const guarded_end end : {guarded_end::first, guarded_end::last}) {
      guarded_row<float> p(size, end);
      guarded_row<float> q(size, end);
      law_cases::fill_weights(random, p.span());
      law_cases::fill_weights(random, q.span());
      law_cases::results first(*sets.front(), p.span(), q.span(), end);
      for (std::size_t i = 1; i < sets.size(); ++i) {
        law_cases::results other(*sets[i], p.span(), q.span(), end);
        other.same_as(first);
      }
    }
  }
}

TEST_CASE("kernels over laws do what double precision does") {
  using namespace decant_test;
  using namespace decant_test::law_cases;
  random_source random(32);
  for (const std::size_t size : {1U, 7U, 64U, 300U, 3000U}) {
    std::vector<float> p(size);
    std::vector<float> q(size);
    fill_weights(random, p);
    fill_weights(random, q);
    for (std::size_t i = 0; i < size; ++i) q[i] = p[i] > 0 && q[i] == 0 && random.coin(0.9) ? 1e-3F : q[i];
    for (const vocabulary_kernels* set : vocabulary_sets()) {
      results made(*set, p, q, guarded_end::last);
      double blend = 0, subtracted = 0, by_p = 0, by_q = 0, overlap = 0, log_sum = 0, divergence = 0, shannon = 0;
      double settled_p = 0, settled_q = 0;
      std::size_t contested = 0;
      for (std::size_t i = 0; i < size; ++i) {
        const double x = p[i];
        const double y = q[i];
        const double blended = std::max(0.75 * x - 0.5 * std::min(y, 1.25 * x) + 0.25 * std::min(y, 2.5 * x), 0.0);
        REQUIRE(close(made.blended.span()[i], blended));
        blend += blended;
        subtracted += std::max(1.25 * x - 0.75 * y, 0.0);
        REQUIRE(close(made.by_p.span()[i], 0.5 * x + (x >= 1 ? 0.25 * y : 0)));
        REQUIRE(close(made.by_q.span()[i], 0.5 * x + (y >= 1 ? 0.25 * y : 0)));
        by_p += 0.5 * x + (x >= 1 ? 0.25 * y : 0);
        by_q += 0.5 * x + (y >= 1 ? 0.25 * y : 0);
        overlap += std::min(double{scale} * x, y);
        const double ratio = made.ratios.span()[i];
        if (y > 0) REQUIRE(close(ratio, std::min(double{scale} * x / y, 2.0)));
        if (y == 0) REQUIRE(ratio == -1);
        log_sum += x * std::log(double{0.01F} * x + double{1e-5F});
        if (x > 0) divergence += x * std::log(double{scale} * x / y);
        const double a = double{0.01F} * x;
        const double b = double{0.02F} * y;
        if (a > 0) shannon += 0.5 * a * std::log(2 * a / (a + b));
        if (b > 0) shannon += 0.5 * b * std::log(2 * b / (a + b));
        const float scaled = q[i] * scale;
        if (p[i] >= high * scaled) {
          settled_q += static_cast<double>(scaled);
        } else if (p[i] <= low * scaled) {
          settled_p += x;
        } else {
          REQUIRE(contested < made.settled.kept);
          CHECK(made.contested_p[contested] == p[i]);
          CHECK(made.contested_q[contested] == scaled);
          ++contested;
        }
      }
      CHECK(contested == made.settled.kept);
      CHECK(close(made.settled.by_p, settled_p));
      CHECK(close(made.settled.by_q, settled_q));
      CHECK(close(made.blend, blend));
      CHECK(made.blend_unwritten == made.blend);
      CHECK(close(made.subtract_unwritten, subtracted));
      CHECK(close(made.add_by_p, by_p));
      CHECK(close(made.add_by_q, by_q));
      CHECK(close(made.overlap, overlap));
      CHECK(close(made.log_sum, log_sum, 1e-5));
      CHECK(close(made.divergence, divergence, 1e-5));
      CHECK(close(made.jensen_shannon, shannon, 1e-5));
    }
  }
}

TEST_CASE("logarithms of laws are within units of the last place, also next to 1") {
  using namespace decant_test;
  random_source random(33);
  using decant::cpu::vocabulary_kernels;
  const auto check = [](const vocabulary_kernels& k, float x) {
    // One weight of 1: the sum is the logarithm of the ratio.
    const float one = 1.0F;
    const double found = k.log_sum(&one, 1, x, 0.0F);
    const double exact = std::log(static_cast<double>(x));
    const auto size = static_cast<float>(std::abs(exact));
    const float unit = std::nextafter(size, std::numeric_limits<float>::max()) - size;
    return std::abs(found - exact) <= static_cast<double>(unit);
  };
  for (const vocabulary_kernels* set : vocabulary_sets()) {
    bool holds = true;
    for (int i = 0; i < 20'000; ++i) {
      holds &= check(*set, static_cast<float>(std::exp(random.uniform(-86, 86))));
      holds &= check(*set, static_cast<float>(1 + random.uniform(-1, 1) * std::exp(random.uniform(-16, -1))));
    }
    CHECK(holds);
    CHECK(set->log_sum(nullptr, 0, 1.0F, 0.0F) == 0);
  }
}

TEST_CASE("divergence is infinite exactly where the second law lacks a token of the first") {
  for (const decant::cpu::vocabulary_kernels* set : vocabulary_sets()) {
    const std::vector<float> p{0.5F, 0.0F, 0.5F};
    const std::vector<float> without{1.0F, 0.0F, 0.0F};
    const std::vector<float> with{0.25F, 0.5F, 0.25F};
    CHECK(set->divergence(p.data(), without.data(), 3, 1.0F) == std::numeric_limits<double>::infinity());
    CHECK(decant_test::near(set->divergence(p.data(), with.data(), 3, 1.0F), std::log(2.0), 1e-7));
    CHECK(decant_test::near(set->jensen_shannon(p.data(), p.data(), 3, 1.0F, 1.0F), 0.0, 1e-12));
  }
}

#endif
