// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Dynamic temperature (entropy-based). Rule: with h the entropy of the current set over its largest possible value
// ln(n), every logit is divided by T' = low + (high - low) * h^exponent, low = max(0, value - range), high = value +
// range: a sure law is sharpened, an unsure one flattened.
// Parameters: value, the temperature in the middle, any finite number; range >= 0, 0 is plain temperature; exponent >=
// 0, usually 1.
// Edge cases: value <= 0 is greedy, whatever the range, and so is T' = 0 (h = 0 with low = 0). One candidate: plain
// temperature. n counts the candidates left at this point without banned ones, so a truncation before it matters.
// Engine differences: llama.cpp samples with T' in [0, range] at value 0, on the CPU; its device path is greedy there.
// It counts banned tokens in n.
// Source: llama.cpp ("temp-ext"); kalomaze's dynamic temperature.
#ifndef DECANT_SAMPLE_DYNAMIC_TEMPERATURE_HPP
#define DECANT_SAMPLE_DYNAMIC_TEMPERATURE_HPP

#include <decant/sample/temperature.hpp>

namespace decant::inline DECANT_ABI {

/// Divides the logits by a temperature between `value` - `range` and `value` + `range`. One pass with an exponential
/// per candidate and the pass of `temperature`.
struct dynamic_temperature {
  float value = 1.0f;
  float range = 0.0f;
  float exponent = 1.0f;

  static constexpr step_traits traits{.keeps_argmax = true};

  [[nodiscard]] result<void> check() const {
    if (!std::isfinite(value)) return error{error_code::invalid_argument, "the temperature must be a finite number"};
    if (!(range >= 0.0f && std::isfinite(range))) {
      return error{error_code::invalid_argument, "the range of dynamic temperature must be finite and not negative"};
    }
    if (exponent >= 0.0f && std::isfinite(exponent)) return {};
    return error{error_code::invalid_argument, "the exponent of dynamic temperature must be finite and not negative"};
  }

  template <class Real>
  void apply(candidates<Real>& set) const {
    const bool is_dynamic = value > 0.0f && range > 0.0f;
    temperature{is_dynamic ? temperature_of(set) : value}.apply(set);
  }

  friend constexpr bool operator==(const dynamic_temperature&, const dynamic_temperature&) = default;

 private:
  template <class Real>
  [[nodiscard]] float temperature_of(candidates<Real>& set) const {
    std::size_t count = 0;
    set.visit([&count](token, Real logit) { count += logit >= std::numeric_limits<Real>::lowest(); });
    if (count <= 1) return value;
    const double uncertainty = set.soft_max(true).entropy / std::log(static_cast<double>(count));
    const double low = std::max(0.0, static_cast<double>(value) - static_cast<double>(range));
    const double high = static_cast<double>(value) + static_cast<double>(range);
    const double share = std::pow(std::clamp(uncertainty, 0.0, 1.0), static_cast<double>(exponent));
    return static_cast<float>(low + (high - low) * share);
  }
};

static_assert(SamplerStep<dynamic_temperature, float> && SamplerStep<dynamic_temperature, double>);

}  // namespace decant::inline DECANT_ABI

#endif
