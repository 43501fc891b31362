// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The partial state of attention: merging the states of any division of the keys gives the soft-max over all of them.
#include <decant/kernels/attention_state.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/attention_cases.hpp"

namespace {

constexpr std::size_t width = 16;

/// A state with memory of its own.
struct owned_state {
  decant::cpu::attention_mass mass;
  std::vector<float> sums = std::vector<float>(width);
  [[nodiscard]] decant::cpu::attention_state view() { return {&mass, sums.data(), width}; }
};

/// Keys with a score and values v(t, d) = score_t + d.
struct scored_keys {
  std::vector<float> scores;

  [[nodiscard]] owned_state state(const decant::cpu::attention_table& kernels, std::size_t first,
                                  std::size_t last) const {
    std::vector<float> weights(scores.begin() + static_cast<std::ptrdiff_t>(first),
                               scores.begin() + static_cast<std::ptrdiff_t>(last));
    weights.resize((last - first + 15) / 16 * 16 + 16);
    owned_state out;
    out.mass = kernels.weigh(weights.data(), last - first);
    for (std::size_t t = first; t < last; ++t) {
      for (std::size_t d = 0; d < width; ++d) out.sums[d] += weights[t - first] * value(t, d);
    }
    return out;
  }
  [[nodiscard]] double error_of(owned_state& state) const {
    double top = -HUGE_VAL;
    for (const float s : scores) top = std::fmax(top, static_cast<double>(s));
    double worst = 0;
    std::vector<float> out(width);
    state.view().finish(width, out.data());
    for (std::size_t d = 0; d < width; ++d) {
      double total = 0, sum = 0, size = 0;
      for (std::size_t t = 0; t < scores.size(); ++t) {
        const double w = top == -HUGE_VAL ? 0 : std::exp(static_cast<double>(scores[t]) - top);
        total += w;
        sum += w * static_cast<double>(value(t, d));
        size += w * std::abs(static_cast<double>(value(t, d)));
      }
      const double exact = total > 0 ? sum / total : 0;
      const double scale = total > 0 ? size / total + 1e-3 : 1;
      worst = std::fmax(worst, std::abs(static_cast<double>(out[d]) - exact) / scale);
    }
    return worst;
  }

  [[nodiscard]] static float value(std::size_t t, std::size_t d) {
    return static_cast<float>(static_cast<int>(t * 7 + d * 3) % 11 - 5);
  }
};

}  // namespace

TEST_CASE("two parts merge to the whole, wherever they are cut") {
  decant_test::random_source random(1);
  for (const decant::instruction_set set : decant_test::instruction_sets()) {
    const auto& kernels = decant::cpu::attention_kernels_of(set);
    for (std::size_t count = 1; count <= 40; ++count) {
      scored_keys keys{random.logits<float>(count, 4)};
      if (count % 5 == 0) keys.scores[count / 2] = -HUGE_VALF;
      if (count % 7 == 0) keys.scores.assign(count, -HUGE_VALF);
      if (count % 9 == 0) keys.scores[0] = 1e4F, keys.scores[count - 1] = -1e4F;
      for (std::size_t cut = 0; cut <= count; ++cut) {
        owned_state left = keys.state(kernels, 0, cut);
        owned_state right = keys.state(kernels, cut, count);
        left.view().merge(kernels, right.view());
        CHECK(keys.error_of(left) < 1e-6);
      }
    }
  }
}

TEST_CASE("the state of no keys changes nothing, on either side") {
  const auto& kernels = decant::cpu::attention_kernels_of(decant::best_instruction_set());
  const scored_keys keys{{0.5F, -3.0F, 2.0F}};
  const owned_state state = keys.state(kernels, 0, 3);
  owned_state nothing, left = state, right;
  left.view().merge(kernels, nothing.view());
  owned_state copy = state;
  right.view().merge(kernels, copy.view());
  for (const owned_state& merged : {left, right}) {
    CHECK(merged.mass.greatest == state.mass.greatest);
    CHECK(merged.mass.total == state.mass.total);
    CHECK(merged.sums == state.sums);
  }
  nothing.view().merge(kernels, owned_state{}.view());
  CHECK(nothing.mass.total == 0);
  CHECK(nothing.view().log_weight() == -HUGE_VALF);
}

TEST_CASE("random trees of merges agree") {
  decant_test::random_source random(5);
  const auto& kernels = decant::cpu::attention_kernels_of(decant::best_instruction_set());
  for (int trial = 0; trial < 200; ++trial) {
    const scored_keys keys{random.logits<float>(60, 6)};
    std::vector<owned_state> parts;
    for (std::size_t t = 0; t < 60; t += 4) parts.push_back(keys.state(kernels, t, t + 4));
    while (parts.size() > 1) {
      const auto i = static_cast<std::size_t>(random.uniform(0, static_cast<double>(parts.size() - 1)));
      owned_state taken = parts.back();
      parts.pop_back();
      parts[i % parts.size()].view().merge(kernels, taken.view());
    }
    CHECK(keys.error_of(parts.front()) < 1e-6);
  }
}

TEST_CASE("a sink takes weight and gives no value, a NaN poisons") {
  const auto& kernels = decant::cpu::attention_kernels_of(decant::best_instruction_set());
  const scored_keys keys{{1.0F}};
  owned_state key = keys.state(kernels, 0, 1);
  owned_state whole;
  whole.view().start_with_sink(1.0F);
  whole.view().merge(kernels, key.view());
  float out[width];
  whole.view().finish(width, out);
  CHECK(out[1] == scored_keys::value(0, 1) / 2);
  CHECK(std::abs(whole.view().log_weight() - (1.0F + std::log(2.0F))) < 1e-6F);
  whole.view().start_with_sink(-HUGE_VALF);
  CHECK(whole.mass.total == 0);
  const scored_keys poison{{1.0F, std::nanf(""), 3.0F}};
  owned_state bad = poison.state(kernels, 0, 3);
  key.view().merge(kernels, bad.view());
  key.view().finish(width, out);
  CHECK(std::isnan(out[0]));
}
