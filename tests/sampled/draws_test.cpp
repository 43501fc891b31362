// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The draws themselves on large float rows, as the vectorised paths make them: soft-max rows of the samplers, laws with
// the masses of their blocks, races whose noise comes in batches. Each against the law in double.
#include "tests/sampled/support/sampled_cases.hpp"

namespace decant_test {
namespace {

struct drawn_row {
  std::vector<double> law;
  distribution<float> made;
};

[[nodiscard]] drawn_row row_of(std::size_t vocab_size, const sampled_chain& chain, std::uint64_t seed) {
  random_source random(seed);
  const auto logits = random.logits<float>(vocab_size, 3);
  drawn_row row{slow_law(logits, chain), {}};
  sampled_chain::scratch_type<float> scratch;
  REQUIRE(chain.law(std::span<const float>(logits), chain.initial_state(), scratch, row.made) == error_code::none);
  return row;
}

/// Laws of the first winner's and the second one's bins together, when two are drawn without replacement.
[[nodiscard]] std::vector<double> law_of_two(const std::vector<double>& law, const token_bins& bins) {
  std::vector<double> cells(bins.size() * bins.size(), 0.0);
  for (std::size_t v = 0; v < law.size(); ++v) {
    if (!(law[v] > 0)) continue;
    for (std::size_t b = 0; b < bins.size(); ++b) {
      const double left = bins.mass[b] - (bins.of[v] == b ? law[v] : 0);
      cells[bins.of[v] * bins.size() + b] += law[v] / (1 - law[v]) * left;
    }
  }
  return cells;
}

void check_draws(const drawn_row& row, std::uint64_t picks, std::uint64_t races) {
  const token_bins single = bins_of_neighbours(row.law, 64);
  const token_bins coarse = bins_of_neighbours(row.law, 8);
  conditional_counts picked({single.mass});
  conditional_counts won({law_of_two(row.law, coarse)});
  std::size_t impossible = 0;
  const philox_chance chance{11};
  for (std::uint64_t i = 0; i < picks; ++i) {
    const std::size_t bin = single.of[index(chance.pick(sample_key(i), row.made.view()))];
    if (bin == token_bins::none) {
      ++impossible;
    } else {
      picked.add(0, bin);
    }
  }
  for (std::uint64_t i = 0; i < races; ++i) {
    token two[2] = {0, 0};
    impossible += chance.ordered_sample(draft_key(i, 0), row.made.view(), two) != 2 || two[0] == two[1];
    const std::size_t first = coarse.of[index(two[0])];
    const std::size_t second = coarse.of[index(two[1])];
    if (first == token_bins::none || second == token_bins::none) {
      ++impossible;
    } else {
      won.add(0, first * coarse.size() + second);
    }
  }
  CHECK(impossible == 0);
  CHECK(picked.compared().p_value() >= sampled_alpha);
  CHECK(won.compared().p_value() >= sampled_alpha);
}

}  // namespace

TEST_CASE("picks and races on large float rows have the law in double") {
  for (const std::size_t vocab : {std::size_t{1'000}, std::size_t{32'000}}) {
    CAPTURE(vocab);
    const std::uint64_t races = vocab == 1'000 ? 20'000 : 2'000;
    const drawn_row dense = row_of(vocab, processing(1.0f, 0, 1.0f), 5);
    REQUIRE(!dense.made.view().sparse());
    REQUIRE(!dense.made.view().block_masses().empty());
    check_draws(dense, 100'000, races);
    const drawn_row sparse = row_of(vocab, processing(0.8f, 60, 0.95f), 6);
    REQUIRE(sparse.made.view().sparse());
    check_draws(sparse, 100'000, 20'000);
  }
}

TEST_CASE("float rows of the samplers have the law in double, token by token") {
  for (const std::size_t vocab : {std::size_t{1'000}, std::size_t{32'000}}) {
    CAPTURE(vocab);
    for (const sampled_chain& chain :
         {processing(1.0f, 0, 1.0f), processing(0.8f, 60, 0.95f), processing(1.0f, 0, 0.9f)}) {
      const drawn_row row = row_of(vocab, chain, 7);
      double distance = 0;
      for (std::size_t v = 0; v < vocab; ++v) {
        distance += std::abs(row.made.view().probability(static_cast<token>(v)) - row.law[v]) / 2;
      }
      CHECK(distance < 1e-6);
    }
  }
}

}  // namespace decant_test
