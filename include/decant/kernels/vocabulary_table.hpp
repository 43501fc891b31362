// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a set of vocabulary kernels offers: the loops over one row of logits that samplers and residuals are made of.
// The scalar set is the specification; every other set gives the same bits. Rows may have any length and alignment;
// nothing outside of them is read.
#ifndef DECANT_KERNELS_VOCABULARY_TABLE_HPP
#define DECANT_KERNELS_VOCABULARY_TABLE_HPP

#include <decant/config.hpp>

#include <cstddef>
#include <cstdint>

namespace decant::inline DECANT_ABI::cpu {

/// Logits of a block, whose maximum is kept while a row is dense.
inline constexpr std::size_t logit_block = 64;
/// Tokens of a block of a law, whose mass is kept beside the weights.
inline constexpr std::size_t mass_block = 256;
/// Entries that kernels which collect may write beyond those they report.
inline constexpr std::size_t collect_slack = 16;

/// A dense row, of which some blocks of 64 may have been replaced by those at the same place of another.
template <class Real>
struct blocked_row {
  const Real* base = nullptr;
  std::size_t size = 0;
  const Real* block_maxima = nullptr;
  const Real* replacement = nullptr;
  const unsigned char* is_replaced = nullptr;  ///< by block; null when none is

  [[nodiscard]] std::size_t blocks() const noexcept { return (size + logit_block - 1) / logit_block; }
  [[nodiscard]] const Real* block(std::size_t b) const noexcept {
    return (is_replaced != nullptr && is_replaced[b] != 0 ? replacement : base) + b * logit_block;
  }
};

/// What a pass over a row says of it. NaN is left aside in `largest`, which is -infinity for a row of nothing else.
struct row_facts {
  float largest;
  bool has_nan;
};

/// The weight of a logit l is 2^(l (hi + lo) - power - shift), and 0 for l <= floor, whose weight is 0 in any case: the
/// soft-max relative to a best logit, of weight 1, with a temperature folded in. Nothing is rounded before the integral
/// part of the exponent is taken off, so weights are within a unit in the last place however far they are from the
/// best. Made by `weight_rule_of`.
struct weight_rule {
  float top = 0;  ///< the best logit
  float floor = 0;
  float hi = 0;
  float lo = 0;
  float power = 0;  ///< top (hi + lo) = power + shift, power a multiple of 1/16
  float shift = 0;
};

/// 2^(i / 16).
inline constexpr float powers_of_sixteenths[16] = {
    1.0F,        1.04427373F, 1.09050775F, 1.13878858F, 1.18920708F, 1.24185777F, 1.29683959F, 1.35425556F,
    1.41421354F, 1.47682619F, 1.54221082F, 1.61049032F, 1.68179286F, 1.75625217F, 1.8340081F,  1.91520655F};

/// Sums over weights; `distance` is that of weight * (top - logit).
struct weight_sums {
  double mass;
  double distance;
};

struct mass_and_count {
  double mass;
  std::size_t count;
};

/// A ranked row in pieces: all that reaches `high` in sums, and `kept` entries from `low` up to but without it.
struct band {
  double mass_above;
  std::size_t count_above;
  std::size_t kept;
};

/// Number, sum of distances from a centre and of their squares.
struct spread {
  std::size_t count;
  double sum;
  double squares;
};

/// What is settled of pairs (p, q) for every threshold between two: the sum of p where p is the lesser, of q where q
/// is; and how many are not.
struct settled_masses {
  double by_p;
  double by_q;
  std::size_t kept;
};

/// max(keep p + share min(q, limit p) + second_share min(q, second_limit p), 0): what K-SEQ, lenience and mentored
/// decoding make of two laws.
struct blend_rule {
  double keep;
  double share;
  double limit;
  double second_share = 0;
  double second_limit = 0;
};

struct vocabulary_kernels {
  /// The largest of a row; -infinity for an empty one. NaN is left aside.
  float (*largest)(const float* row, std::size_t count) noexcept;
  /// The maxima of all blocks of 64, and what a row is like. Copies it, too, unless `copy` is null.
  row_facts (*scan)(const float* row, std::size_t count, float* block_maxima, float* copy) noexcept;
  /// The first place of a value; `count` where it is not found.
  std::size_t (*find)(const float* row, std::size_t count, float value) noexcept;
  /// How many reach a threshold.
  std::size_t (*count_at_least)(const float* row, std::size_t count, float threshold) noexcept;
  /// Writes the ids and values of those that reach a threshold; returns how many. For a row whose maxima are known:
  /// blocks that have none are not read.
  std::size_t (*collect_blocks)(const blocked_row<float>& row, float threshold, std::int32_t* ids,
                                float* values) noexcept;
  /// Moves the entries that reach a threshold to the front; returns how many they are.
  std::size_t (*retain)(float threshold, std::size_t count, std::int32_t* ids, float* values) noexcept;
  /// The maxima of every four logits 16 apart in each block of 64: 16 a block, -infinity beyond the end.
  void (*lane_maxima)(const float* row, std::size_t count, float* maxima) noexcept;
  /// The mass of a row.
  double (*mass)(const float* row, std::size_t count, const weight_rule& rule) noexcept;
  /// As above with every weight within 5 %, in less than half the time.
  double (*rough_mass)(const float* row, std::size_t count, const weight_rule& rule) noexcept;
  /// As `mass`, with the mean distance to the best logit, from which the entropy follows.
  weight_sums (*mass_and_distance)(const float* row, std::size_t count, const weight_rule& rule) noexcept;
  /// Writes the weights of a row, and the masses of every 256 of them unless `block_masses` is null; returns the mass.
  /// `weights` may be the row.
  double (*weigh)(const float* row, std::size_t count, const weight_rule& rule, float* weights,
                  double* block_masses) noexcept;
  /// Mass and number of the entries whose key reaches a threshold.
  mass_and_count (*mass_at_least)(const float* keys, const float* weights, std::size_t count, float threshold) noexcept;
  /// Moves the entries with low <= key < high to the outputs, which may be the inputs; `ids` null stands for 0, 1, ...
  band (*between)(const std::int32_t* ids, const float* keys, const float* weights, std::size_t count, float low,
                  float high, std::int32_t* out_ids, float* out_keys, float* out_weights) noexcept;
  /// keys = -|logit - centre|, with the maxima of their blocks.
  void (*nearness)(const float* row, std::size_t count, float centre, float* keys, float* block_maxima) noexcept;
  /// Of the finite logits.
  spread (*spread_around)(const float* row, std::size_t count, float centre) noexcept;
  /// out = max(fma(-factor, q, scale * r), 0), formed in double, with the masses of every 256 unless `block_masses` is
  /// null; returns the mass. Nothing is written where `out` is null.
  double (*subtract)(const float* r, const float* q, std::size_t count, double scale, double factor, float* out,
                     double* block_masses) noexcept;
  /// The masses of every 256 weights, unless that is null; returns the mass.
  double (*sum_blocks)(const float* weights, std::size_t count, double* block_masses) noexcept;
  /// out = what the rule makes of p and q, in double, with masses as above; returns the mass. `out` may be null.
  double (*blend)(const float* p, const float* q, std::size_t count, const blend_rule& rule, float* out,
                  double* block_masses) noexcept;
  /// out = scale_p p + scale_q q where the key, which is p or q, reaches a threshold, and scale_p p elsewhere; masses
  /// as above.
  double (*add_selected)(const float* p, const float* q, const float* keys, std::size_t count, float scale_p,
                         float scale_q, float threshold, float* out, double* block_masses) noexcept;
  /// Sum of min(scale p, q).
  double (*overlap)(const float* p, const float* q, std::size_t count, float scale) noexcept;
  /// Separates the pairs (p, scale q) by whether p / (scale q) is certainly at or above `high`, at or below `low`, or
  /// in between: those are moved to the outputs, which may be the inputs and have room for `collect_slack` more.
  settled_masses (*settle)(const float* p, const float* q, std::size_t count, float scale, float low, float high,
                           float* out_p, float* out_q) noexcept;
  /// Sum of w log(scale w + shift) over positive w.
  double (*log_sum)(const float* weights, std::size_t count, float scale, float shift) noexcept;
  /// Sum of p log(scale p / q) over positive p; infinite where q has a zero that p has not.
  double (*divergence)(const float* p, const float* q, std::size_t count, float scale) noexcept;
  /// Half the sum of x log(x / m) + y log(y / m), where x = scale_p p, y = scale_q q and m is their mean.
  double (*jensen_shannon)(const float* p, const float* q, std::size_t count, float scale_p, float scale_q) noexcept;
  /// out = scale p / q, at most `most`; -1 where q is 0.
  void (*ratios)(const float* p, const float* q, std::size_t count, float scale, float most, float* out) noexcept;
};

}  // namespace decant::inline DECANT_ABI::cpu

#endif
