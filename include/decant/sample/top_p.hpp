// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Top-p, nucleus sampling. Rule: the smallest prefix in canonical order whose probability reaches p stays, that is
// every candidate before which less than p lies. Probabilities are those of the current set, renormalised.
// Parameters: p in [0, 1]; p >= 1 is off, p = 0 keeps the best candidate. min_keep >= 1: never fewer than this many.
// Edge cases: the best candidate always stays; ties at the border go to lower ids. Exponentials in the scalar of the
// row, sums in double: a sum that rounding leaves short of p keeps everything.
// Engine differences: llama.cpp, Hugging Face and vLLM agree on the renormalised mass; FlashInfer's joint order tests
// the mass of the whole vocabulary. Hugging Face and vLLM sum upwards from the smallest, the same set up to rounding.
// Temperature before or after it makes a difference (presets.hpp).
// Source: Holtzman et al. 2019, arXiv 1904.09751.
//
// Nothing of the vocabulary's size is sorted: one pass puts the mass into bins by the distance to the best logit, the
// bins say between which two distances the prefix ends, and only the candidates of that one bin are ranked.
#ifndef DECANT_SAMPLE_TOP_P_HPP
#define DECANT_SAMPLE_TOP_P_HPP

#include <decant/sample/sampler.hpp>

#include <array>

namespace decant::inline DECANT_ABI {

namespace detail {

/// Mass and number of candidates by their distance below the best logit.
template <class Real>
class mass_histogram {
 public:
  static constexpr std::size_t bin_count = 512;

  explicit mass_histogram(Real top) noexcept : top_(top) {}

  void add(Real logit, double weight) noexcept {
    const std::size_t bin = bin_of(logit);
    mass_[bin] += weight;
    ++count_[bin];
    total_ += weight;
  }

  /// Bins of 1/16 nat from the best logit down; the last takes all that is further away.
  [[nodiscard]] std::size_t bin_of(Real logit) const noexcept {
    const Real place = (top_ - logit) * Real(16);
    return place < Real(bin_count - 1) ? static_cast<std::size_t>(place) : bin_count - 1;
  }

  [[nodiscard]] double total() const noexcept { return total_; }

  /// Where a prefix ends: inside `bin`, before which lie `mass` and `count`.
  struct crossing {
    std::size_t bin = 0;
    double mass = 0;
    std::size_t count = 0;
  };
  /// The first bin at whose end the prefix holds `mass` and `count`; `bin_count` when all bins together do not.
  [[nodiscard]] crossing find(double mass, std::size_t count) const noexcept {
    crossing at;
    while (at.bin < bin_count && (at.mass + mass_[at.bin] < mass || at.count + count_[at.bin] < count)) {
      at.mass += mass_[at.bin];
      at.count += count_[at.bin];
      ++at.bin;
    }
    return at;
  }

 private:
  Real top_;
  double total_ = 0;
  std::array<double, bin_count> mass_{};
  std::array<std::uint32_t, bin_count> count_{};
};

}  // namespace detail

/// Keeps the smallest prefix of probability `p`. One pass with an exponential per candidate, one more over the blocks
/// that hold survivors, and a selection among the candidates within 1/16 nat of the border.
struct top_p {
  float p = 1.0f;
  std::size_t min_keep = 1;

  [[nodiscard]] result<void> check() const {
    if (!(p >= 0.0f && p <= 1.0f)) return error{error_code::invalid_argument, "p of top-p must lie in [0, 1]"};
    if (min_keep >= 1) return {};
    return error{error_code::invalid_argument, "min_keep of top-p must be at least 1"};
  }

  template <class Real>
  void apply(candidates<Real>& set) const {
    const Real top = set.best().logit;
    if (!(p < 1.0f) || !std::isfinite(top)) return;
    detail::mass_histogram<Real> histogram(top);
    set.visit([&](token, Real logit) {
      if (logit >= std::numeric_limits<Real>::lowest()) histogram.add(logit, weight(logit, top));
    });
    const double wanted = static_cast<double>(p) * histogram.total();
    const auto crossing = histogram.find(wanted, min_keep);
    set.filter_upper([&](Real logit) { return histogram.bin_of(logit) <= crossing.bin; });
    if (crossing.bin == histogram.bin_count) return;
    auto& border = set.scratch();
    border.clear();
    set.visit([&](token id, Real logit) {
      if (histogram.bin_of(logit) == crossing.bin) border.push_back({id, logit});
    });
    const candidate<Real> last = prefix_end<Real>(border, top, wanted, crossing.mass, crossing.count);
    set.filter([&](token id, Real logit) { return !ranks_before(last, {id, logit}); });
  }

  friend constexpr bool operator==(const top_p&, const top_p&) = default;

 private:
  template <class Real>
  [[nodiscard]] static double weight(Real logit, Real top) {
    return static_cast<double>(std::exp(logit - top));
  }

  /// The last candidate of the prefix, which ends inside `border`; `mass` and `count` lie before the border. Halves the
  /// border by selection until it is short enough to be sorted: O(border) in all.
  template <class Real>
  [[nodiscard]] candidate<Real> prefix_end(std::span<candidate<Real>> border, Real top, double wanted, double mass,
                                           std::size_t count) const {
    while (border.size() > 256) {
      const auto [better, worse] = halves(border);
      double better_mass = 0;
      for (const candidate<Real>& c : better) better_mass += weight(c.logit, top);
      const bool ends_in_better = mass + better_mass >= wanted && count + better.size() >= min_keep;
      border = ends_in_better ? better : worse;
      if (ends_in_better) continue;
      mass += better_mass;
      count += better.size();
    }
    std::sort(border.begin(), border.end(), ranks_before<Real>);
    std::size_t last = 0;
    for (;; ++last) {
      mass += weight(border[last].logit, top);
      const bool complete = mass >= wanted && count + last + 1 >= min_keep;
      if (complete || last + 1 == border.size()) return border[last];
    }
  }

  template <class Real>
  [[nodiscard]] static std::pair<std::span<candidate<Real>>, std::span<candidate<Real>>> halves(
      std::span<candidate<Real>> all) {
    const std::size_t half = all.size() / 2;
    std::nth_element(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(half), all.end(), ranks_before<Real>);
    return {all.first(half), all.subspan(half)};
  }
};

static_assert(SamplerStep<top_p, float> && SamplerStep<top_p, double>);

}  // namespace decant::inline DECANT_ABI

#endif
