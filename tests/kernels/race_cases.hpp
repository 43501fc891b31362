// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The cases of the race kernels, for the sets that `race_sets()` of the including file names, the scalar set first:
// against the definition of an arrival, bit for bit against the scalar set, and between pages that nobody may touch.
#ifndef DECANT_TESTS_KERNELS_RACE_CASES_HPP
#define DECANT_TESTS_KERNELS_RACE_CASES_HPP

#include <decant/core/philox.hpp>

#include "support/guarded_row.hpp"
#include "support/random.hpp"
#include "support/test_kit.hpp"

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace decant_test::race_cases {

using namespace decant::cpu;
using decant::index;
using decant::token;

constexpr race_noise noise{{0x01234567U, 0x02000000U, 0xFEDCBA98U, 3U}, 0xA5A5A5A50F0F0F0FU};

/// The u of a token, from the definition alone.
inline double uniform_of(const race_noise& of, token id) {
  const auto block = decant::philox4x32(
      {of.counter[0], of.counter[1] + 1 + static_cast<std::uint32_t>(id) / 2, of.counter[2], of.counter[3]}, of.key);
  const std::size_t half = id % 2 == 0 ? 0 : 2;
  return decant::open_unit_interval(block[half], block[half + 1]);
}

/// Weights over many orders of magnitude: some zero, some denormal, some huge.
inline void fill_weights(random_source& random, std::span<float> row) {
  for (float& x : row) {
    x = static_cast<float>(std::exp(3 * random.normal()));
    if (random.coin(0.2)) x = 0.0F;
    if (random.coin(0.02)) x = std::numeric_limits<float>::denorm_min() * static_cast<float>(random.between(1, 1000));
    if (random.coin(0.02)) x = std::numeric_limits<float>::max();
  }
}

/// What a set finds in a law whose entries are next to pages that nobody may touch.
inline std::vector<token> contenders_of(const race_kernels& kernels, std::span<const token> ids, token first,
                                        std::span<const float> weights, double deadline, guarded_end end) {
  guarded_row<float> row(weights.size(), end);
  std::copy(weights.begin(), weights.end(), row.data());
  guarded_row<token> id_row(ids.size(), end);
  std::copy(ids.begin(), ids.end(), id_row.data());
  guarded_row<token> found(weights.size() + collect_slack, end);
  const std::size_t count = kernels.contenders(noise, ids.empty() ? nullptr : id_row.data(), first, row.data(),
                                               weights.size(), deadline, found.data());
  REQUIRE(count <= weights.size());
  return {found.data(), found.data() + count};
}

/// Whether an entry must be among the contenders, may be, or must not.
enum class chances { none, slight, real };

inline chances chances_of(token id, float weight, double deadline) {
  const double u = uniform_of(noise, id);
  const auto w = static_cast<double>(weight);
  if (w > 0 && -std::log(u) / w <= deadline) return chances::real;
  if (!(deadline < 0x1p100)) return w > 0 ? chances::slight : chances::none;  // infinite, as far as floats go
  // A bound in 24 bits: 1 - u rounded down, the deadline up.
  const double least = 1 - u - 0x1p-24;
  return std::max(w * deadline, w * 0x1p-150) * (1 + 0x1p-19) >= std::max(least, 0.0) ? chances::slight : chances::none;
}

inline void check_law(std::span<const token> ids, token first, std::span<const float> weights, double deadline) {
  CAPTURE(weights.size(), deadline, first, ids.size());
  const std::vector<token> specified =
      contenders_of(*race_sets().front(), ids, first, weights, deadline, guarded_end::last);
  std::size_t next = 0;
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const token entry = first + static_cast<token>(i);
    const bool is_found = next < specified.size() && specified[next] == entry;
    next += is_found ? 1 : 0;
    const chances has = chances_of(ids.empty() ? entry : ids[i], weights[i], deadline);
    wrong += (has == chances::real && !is_found) || (has == chances::none && is_found) ? 1 : 0;
  }
  CHECK(next == specified.size());  // ascending, and nothing else
  CHECK(wrong == 0);
  for (const race_kernels* kernels : race_sets()) {
    for (const guarded_end end : {guarded_end::first, guarded_end::last}) {
      CHECK(contenders_of(*kernels, ids, first, weights, deadline, end) == specified);
    }
  }
}

TEST_CASE("contenders of a race are those that can arrive in time, on every set and between guard pages") {
  random_source random(701);
  std::vector<std::size_t> sizes;
  for (std::size_t size = 1; size <= 200; ++size) sizes.push_back(size);
  for (const std::size_t edge : {256U, 320U, 512U}) sizes.insert(sizes.end(), {edge - 1, edge, edge + 1});
  constexpr double inf = std::numeric_limits<double>::infinity();
  for (const std::size_t size : sizes) {
    std::vector<float> weights(size);
    fill_weights(random, weights);
    std::vector<token> ids(size);
    token id = -1;
    for (token& one : ids) one = id += static_cast<token>(random.between(1, random.coin(0.1) ? 50'000 : 3));
    const double deadline = std::exp(6 * random.normal());
    for (const double until : {deadline, size % 3 == 0 ? inf : 1e-3}) {
      check_law({}, 2 * random.token_below(60'000), weights, until);
      check_law(ids, 0, weights, until);
    }
  }
}

TEST_CASE("deadlines that floats do not hold lose no contender") {
  random_source random(702);
  std::vector<float> weights(130);
  for (const double deadline : {1e-320, 1e-60, 1e-42, 1e30, 1e35, 1e45, 1e300}) {
    for (float& x : weights) x = static_cast<float>(random.uniform());
    check_law({}, 0, weights, deadline);
    const double fitting = std::min(1 / deadline, 3e38);
    for (float& x : weights) x = static_cast<float>(fitting * random.uniform(0, 2));
    check_law({}, 0, weights, deadline);
  }
}

TEST_CASE("whoever arrives at the deadline itself is a contender of a race") {
  // Where u is almost 1, -log(u) is almost the bound 1 - u.
  random_source random(704);
  for (token id = 0; id < 100'000; ++id) {
    const double u = uniform_of(noise, id);
    if (1 - u > 0x1p-9) continue;
    const float weight = static_cast<float>(std::exp(4 * random.normal()));
    std::vector<float> weights(2, 0.0F);
    weights[index(id % 2)] = weight;
    check_law({}, id - id % 2, weights, -std::log(u) / static_cast<double>(weight));
  }
}

TEST_CASE("logarithms of a race have the same bits on every set") {
  random_source random(703);
  std::vector<double> x(1000);
  for (double& u : x) u = decant::open_unit_interval(static_cast<std::uint32_t>(random.bits()), 17);
  std::vector<double> alone = x;
  for (double& one : alone) one = natural_logarithm(one);
  for (const race_kernels* kernels : race_sets()) {
    for (std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{64}, x.size()}) {
      guarded_row<double> row(size, guarded_end::last);
      std::copy_n(x.begin(), size, row.data());
      kernels->logarithms(row.data(), size);
      CHECK(std::memcmp(row.data(), alone.data(), size * sizeof(double)) == 0);
    }
  }
}

}  // namespace decant_test::race_cases

#endif
