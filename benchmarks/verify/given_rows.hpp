// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rows like a language model's: logit = -s log(1 + rank of the token), every node with its own ranks and its own
// sharpness s. A target's row is the draft's with noise.
#ifndef DECANT_BENCHMARKS_VERIFY_GIVEN_ROWS_HPP
#define DECANT_BENCHMARKS_VERIFY_GIVEN_ROWS_HPP

#include <decant/core/philox.hpp>
#include <decant/core/token_draft.hpp>
#include <decant/sample/presets.hpp>

#include <cmath>
#include <vector>

namespace bench {

using namespace decant;  // NOLINT: a program's own namespace

/// Uniform numbers in [0, 1), a function of the seed.
inline std::vector<double> uniform_numbers(std::uint64_t seed, std::size_t count) {
  std::vector<double> numbers(count);
  philox_chance{seed, 0}.uniforms({}, numbers);
  return numbers;
}

/// Logit rows, one after the other.
struct logit_rows {
  std::size_t vocab_size = 0;
  std::vector<float> values{};

  [[nodiscard]] std::size_t count() const { return values.size() / vocab_size; }
  /// The row of a node when a case's rows begin with number `offset`.
  [[nodiscard]] std::span<const float> row(std::size_t offset, node_id n) const {
    return std::span<const float>(values).subspan((offset + index(n)) % count() * vocab_size, vocab_size);
  }
};

/// Sharpness of a row's soft-max: its likeliest token has probability 0.17 to 0.83 at V = 32,000.
inline constexpr double flattest = 1.5;
inline constexpr double sharpest = 3.5;

inline logit_rows draft_rows(std::size_t vocab_size, std::size_t count, std::uint64_t seed) {
  logit_rows rows{vocab_size};
  rows.values.resize(count * vocab_size);
  std::vector<double> log_rank(vocab_size);
  for (std::size_t rank = 0; rank < vocab_size; ++rank) log_rank[rank] = std::log(static_cast<double>(rank + 1));
  const std::vector<double> noise = uniform_numbers(seed, 2 * count);
  constexpr std::size_t stride = 7'919;  // prime, so that it meets every rank once
  for (std::size_t r = 0; r < count; ++r) {
    const double sharpness = flattest + (sharpest - flattest) * noise[2 * r];
    auto rank = static_cast<std::size_t>(noise[2 * r + 1] * static_cast<double>(vocab_size));
    for (std::size_t t = 0; t < vocab_size; ++t, rank = (rank + stride) % vocab_size) {
      rows.values[r * vocab_size + t] = static_cast<float>(-sharpness * log_rank[rank]);
    }
  }
  return rows;
}

/// `spread`: half width of the noise on every logit.
inline logit_rows target_rows(const logit_rows& drafted, double spread, std::uint64_t seed) {
  logit_rows rows = drafted;
  const std::vector<double> noise = uniform_numbers(seed, drafted.vocab_size);
  for (std::size_t i = 0; i < rows.values.size(); ++i) {
    const double u = noise[(i + i / drafted.vocab_size * 101) % drafted.vocab_size];
    rows.values[i] += static_cast<float>(spread * (2 * u - 1));
  }
  return rows;
}

/// Finished laws, handed out as they are.
struct given_laws {
  using value_type = float;
  std::vector<distribution<float>> laws{};
  std::size_t offset = 0;

  [[nodiscard]] const distribution<float>* law(node_id n) const { return &laws[(offset + index(n)) % laws.size()]; }
  [[nodiscard]] error_code status() const { return error_code::none; }
};

template <class S>
[[nodiscard]] given_laws laws_of(const logit_rows& rows, const S& sampler) {
  given_laws made;
  made.laws.resize(rows.count());
  typename S::template scratch_type<float> scratch;
  const auto state = sampler.initial_state();
  for (std::size_t r = 0; r < rows.count(); ++r) {
    (void)sampler.law(rows.row(r, 0), state, scratch, made.laws[r]);
  }
  return made;
}

/// The whole vocabulary, or the 40 likeliest tokens.
[[nodiscard]] inline given_laws dense_laws(const logit_rows& rows) { return laws_of(rows, sampler_chain<>{}); }
[[nodiscard]] inline given_laws sparse_laws(const logit_rows& rows) { return laws_of(rows, make_sampler(top_k{40})); }

}  // namespace bench

#endif
