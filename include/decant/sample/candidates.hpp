// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The working set of a sampler chain: a copy of one logits row that the steps edit (bias, penalties, temperature) and
// thin out (top-k, top-p, min-p), until `write_law` turns the survivors into the processed distribution.
//
// While the set is dense it keeps the maximum of every block of 64 logits. Truncations then touch few blocks: for
// instance, let b be the k-th largest block maximum; k blocks hold a logit >= b, so the k best logits are all >= b and
// lie in the blocks whose maximum is >= b.
#ifndef DECANT_SAMPLE_CANDIDATES_HPP
#define DECANT_SAMPLE_CANDIDATES_HPP

#include <decant/core/distribution.hpp>

namespace decant::inline DECANT_ABI {

/// A token that is still in the race, with its current logit.
template <class Real>
struct candidate {
  token id;
  Real logit;
};

/// Canonical order of candidates: higher logit first, lower id among equals.
template <class Real>
[[nodiscard]] constexpr bool ranks_before(const candidate<Real>& a, const candidate<Real>& b) noexcept {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

/// The soft-max of a set of logits in two numbers, banned tokens left aside: P(i) = exp(logit_i - top) / mass.
struct soft_max_sums {
  double top = 0;      ///< the largest logit
  double mass = 0;     ///< sum of exp(logit - top), at least 1; 0 for an empty set
  double entropy = 0;  ///< in nats, of the soft-max

  /// The logit of a token of probability `p`.
  [[nodiscard]] double logit_of(double p) const { return top + std::log(p) + std::log(mass); }
  /// The probability of a token of this logit.
  [[nodiscard]] double probability(double logit) const { return std::exp(logit - top) / mass; }
};

/// Number, mean and population standard deviation of a set of logits, banned tokens left aside.
struct logit_moments {
  std::size_t count = 0;
  double mean = 0;
  double deviation = 0;
};

/// Two states. Dense: every token of the vocabulary, logits editable in place. Sparse: the survivors of a truncation,
/// in ascending id order; once sparse it stays so until the next load. Banned tokens have logit -infinity and never
/// survive a truncation. Memory is taken when a row of a new size is loaded; nothing else allocates.
template <class Real>
class candidates {
 public:
  using value_type = Real;

  /// Copies a row. `row_unavailable` for an empty one, `row_not_finite` when it holds NaN or +infinity (-infinity is a
  /// banned token and legal), `row_empty` when every token is banned. One pass.
  [[nodiscard]] error_code load(std::span<const Real> row) {
    sparse_.clear();
    is_sparse_ = false;
    rescued_ = false;
    if (row.empty()) return error_code::row_unavailable;
    resize(row.size());
    bool has_nan = false;
    Real largest = -infinity;
    for (std::size_t b = 0; b < block_maxima_.size(); ++b) {
      const auto block = row.subspan(b * block_size, size_of_block(b));
      std::copy(block.begin(), block.end(), dense_.begin() + static_cast<std::ptrdiff_t>(b * block_size));
      const scan found = scan_block(b);
      has_nan |= found.has_nan;
      largest = std::max(largest, block_maxima_[b] = found.largest);
    }
    maxima_are_current_ = true;
    if (has_nan || largest > largest_finite) return error_code::row_not_finite;
    return largest >= -largest_finite ? error_code::none : error_code::row_empty;
  }

  [[nodiscard]] bool sparse() const noexcept { return is_sparse_; }
  [[nodiscard]] std::size_t vocab_size() const noexcept { return dense_.size(); }
  /// Number of candidates: the vocabulary size when dense (banned ones included).
  [[nodiscard]] std::size_t size() const noexcept { return is_sparse_ ? sparse_.size() : dense_.size(); }

  /// All logits by token id, to be edited. Precondition: dense.
  [[nodiscard]] std::span<Real> dense_logits() noexcept {
    DECANT_PRECONDITION(!is_sparse_);
    maxima_are_current_ = false;
    return dense_;
  }
  /// The survivors, to be edited; they stay in ascending id order. Precondition: sparse.
  [[nodiscard]] std::vector<candidate<Real>>& survivors() noexcept {
    DECANT_PRECONDITION(is_sparse_);
    return sparse_;
  }

  /// Calls `edit(token id, Real& logit)` for every candidate.
  template <class Edit>
  void for_each(Edit&& edit) {
    if (is_sparse_) {
      for (candidate<Real>& c : sparse_) edit(c.id, c.logit);
      return;
    }
    maxima_are_current_ = false;
    for (std::size_t i = 0; i < dense_.size(); ++i) edit(static_cast<token>(i), dense_[i]);
  }

  /// Calls `visit(token id, Real logit)` for every candidate.
  template <class Visit>
  void visit(Visit&& visit) const {
    if (is_sparse_) {
      for (const candidate<Real>& c : sparse_) visit(c.id, c.logit);
      return;
    }
    for (std::size_t i = 0; i < dense_.size(); ++i) visit(static_cast<token>(i), dense_[i]);
  }

  /// Replaces every logit by `map(logit)`, where `map` never decreases.
  template <class Map>
  void map_increasing(Map&& map) {
    if (is_sparse_) {
      for (candidate<Real>& c : sparse_) c.logit = map(c.logit);
      return;
    }
    for (Real& logit : dense_) logit = map(logit);
    for (Real& largest : block_maxima_) largest = map(largest);
  }

  /// Calls `change(Real& logit)` for one token if it is a candidate. O(1) dense, O(log survivors) sparse; O(block) when
  /// the largest logit of a block is lowered.
  template <class Edit>
  void edit(token id, Edit&& change) {
    if (id < 0 || index(id) >= dense_.size()) return;
    if (is_sparse_) {
      const auto found = std::lower_bound(sparse_.begin(), sparse_.end(), id,
                                          [](const candidate<Real>& c, token wanted) { return c.id < wanted; });
      if (found != sparse_.end() && found->id == id) change(found->logit);
      return;
    }
    Real& logit = dense_[index(id)];
    const Real before = logit;
    change(logit);
    if (!maxima_are_current_) return;
    Real& largest = block_maxima_[index(id) / block_size];
    if (logit >= largest) {
      largest = logit;
    } else if (before == largest) {
      largest = scan_block(index(id) / block_size).largest;
    }
  }

  /// Keeps the candidates for which `keep(id, logit)` holds; banned ones are dropped. The set becomes sparse.
  template <class Keep>
  void filter(Keep&& keep) {
    const auto stays = [&](token id, Real logit) { return !is_banned(logit) && keep(id, logit); };
    if (is_sparse_) {
      keep_survivors(stays);
    } else {
      is_sparse_ = true;
      for (std::size_t i = 0; i < dense_.size(); ++i) collect_if(i, stays);
    }
  }

  /// As `filter`, for a rule `keep(logit)` that holds for every logit above one for which it holds: blocks whose
  /// largest logit fails are not read.
  template <class Keep>
  void filter_upper(Keep&& keep) {
    const auto stays = [&](token, Real logit) { return !is_banned(logit) && keep(logit); };
    if (is_sparse_) {
      keep_survivors(stays);
      return;
    }
    update_block_maxima();
    is_sparse_ = true;
    for (std::size_t b = 0; b < block_maxima_.size(); ++b) {
      if (!stays(no_token, block_maxima_[b])) continue;
      const std::size_t begin = b * block_size;
      for (std::size_t i = begin; i < begin + size_of_block(b); ++i) collect_if(i, stays);
    }
  }

  /// Keeps the candidates whose logit is at least `threshold`, or the `min_keep` best when there are fewer of them;
  /// `min_keep` >= 1. Dense: blocks whose largest logit is below are not read.
  void keep_at_least(Real threshold, std::size_t min_keep) {
    DECANT_PRECONDITION(min_keep >= 1);
    if (count_at_least(threshold, min_keep) >= min_keep) {
      filter_upper([threshold](Real logit) { return logit >= threshold; });
    } else {
      if (count_at_least(threshold, 1) == 0) rescued_ = true;
      keep_best(min_keep);
    }
  }

  /// Keeps the `count` best in canonical order (all, when there are fewer) without the banned ones; `count` >= 1.
  /// One pass over the block maxima and about `count` blocks while `count` is at most the number of blocks; otherwise
  /// one selection over the candidates.
  void keep_best(std::size_t count) {
    DECANT_PRECONDITION(count >= 1);
    if (!is_sparse_) drop_blocks_below(count);
    if (sparse_.size() <= count) return;
    const candidate<Real> last = nth_best(count - 1);
    keep_survivors([&](token id, Real logit) { return !ranks_before(last, {id, logit}); });
  }

  /// Makes the set sparse without dropping anything but banned tokens.
  void make_sparse() {
    if (!is_sparse_) filter([](token, Real) { return true; });
  }

  /// The best candidate in canonical order, `no_token` when all are banned.
  [[nodiscard]] candidate<Real> best() {
    candidate<Real> best{no_token, -infinity};
    if (is_sparse_) {
      for (const candidate<Real>& c : sparse_) {
        if (c.logit > best.logit) best = c;
      }
      return best;
    }
    update_block_maxima();
    std::size_t winner = 0;
    for (std::size_t b = 0; b < block_maxima_.size(); ++b) {
      if (block_maxima_[b] > best.logit) best.logit = block_maxima_[winner = b];
    }
    if (is_banned(best.logit)) return best;
    std::size_t i = winner * block_size;
    while (dense_[i] != best.logit) ++i;
    best.id = static_cast<token>(i);
    return best;
  }

  /// Sums over the soft-max of the set; `entropy` stays 0 unless it is wanted. One pass (dense: exponentials in `Real`,
  /// sums in double).
  [[nodiscard]] soft_max_sums soft_max(bool with_entropy = false) {
    const candidate<Real> top = best();
    if (top.id == no_token) return {};
    double mass = 0;
    double weighted = 0;  // of the distances to the best logit
    visit([&](token, Real logit) {
      if (is_banned(logit)) return;
      const Real distance = top.logit - logit;
      const auto weight = static_cast<double>(std::exp(-distance));
      mass += weight;
      if (with_entropy && weight > 0) weighted += weight * static_cast<double>(distance);
    });
    return {static_cast<double>(top.logit), mass, with_entropy ? std::log(mass) + weighted / mass : 0.0};
  }

  /// Number, mean and deviation of the logits. Two passes in double.
  [[nodiscard]] logit_moments moments() const {
    logit_moments found;
    double sum = 0;
    visit([&](token, Real logit) {
      if (is_banned(logit)) return;
      sum += static_cast<double>(logit);
      ++found.count;
    });
    if (found.count == 0) return found;
    found.mean = sum / static_cast<double>(found.count);
    double squares = 0;
    visit([&](token, Real logit) {
      if (is_banned(logit)) return;
      const double difference = static_cast<double>(logit) - found.mean;
      squares += difference * difference;
    });
    found.deviation = std::sqrt(squares / static_cast<double>(found.count));
    return found;
  }

  /// The survivors in canonical order, best first, in `scratch()`: valid until a member that ranks is called. The set
  /// becomes sparse. O(candidates log candidates): for sets that a truncation has made small.
  [[nodiscard]] std::span<const candidate<Real>> ranked() {
    make_sparse();
    scratch_.assign(sparse_.begin(), sparse_.end());
    std::sort(scratch_.begin(), scratch_.end(), ranks_before<Real>);
    return scratch_;
  }
  /// As `ranked()`, the `count` best only; the set stays as it is. O(candidates + count log count).
  [[nodiscard]] std::span<const candidate<Real>> ranked_best(std::size_t count) {
    scratch_.clear();
    visit([&](token id, Real logit) {
      if (!is_banned(logit)) scratch_.push_back({id, logit});
    });
    count = std::min(count, scratch_.size());
    std::partial_sort(scratch_.begin(), scratch_.begin() + static_cast<std::ptrdiff_t>(count), scratch_.end(),
                      ranks_before<Real>);
    return std::span<const candidate<Real>>(scratch_).first(count);
  }

  /// Whether a step since the last load would have kept nothing, and kept the best candidates instead.
  [[nodiscard]] bool rescued() const noexcept { return rescued_; }
  /// For steps with a rule of their own that would have kept nothing.
  void note_rescue() noexcept { rescued_ = true; }

  /// Memory for a step that ranks candidates; it can hold all of them without allocating.
  [[nodiscard]] std::vector<candidate<Real>>& scratch() noexcept { return scratch_; }

  /// Soft-max of the candidates, into a law that is sparse exactly when the set is. `row_not_finite` when a step
  /// produced NaN or +infinity, `row_empty` when no candidate is left. Exponentials in `Real`, their sum in double.
  [[nodiscard]] error_code write_law(distribution<Real>& out) {
    const candidate<Real> top = best();
    if (top.id == no_token) return has_nan() ? error_code::row_not_finite : error_code::row_empty;
    if (is_sparse_) {
      out.begin_sparse(dense_.size());
      for (const candidate<Real>& c : sparse_) out.push(c.id, std::exp(c.logit - top.logit));
    } else {
      const std::span<Real> weights = out.begin_dense(dense_.size());
      for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = std::exp(dense_[i] - top.logit);
    }
    return out.finish();
  }

 private:
  static constexpr std::size_t block_size = 64;
  static constexpr Real infinity = std::numeric_limits<Real>::infinity();
  static constexpr Real largest_finite = std::numeric_limits<Real>::max();

  struct scan {
    Real largest;
    bool has_nan;
  };

  [[nodiscard]] static bool is_banned(Real logit) noexcept { return logit < -largest_finite; }

  void resize(std::size_t vocab_size) {
    if (dense_.size() == vocab_size) return;
    const std::size_t block_count = (vocab_size + block_size - 1) / block_size;
    maxima_scratch_.reserve(block_count);
    sparse_.reserve(vocab_size);
    scratch_.reserve(vocab_size);
    block_maxima_.reserve(block_count);
    dense_.reserve(vocab_size);
    // Nothing below fails: the two sizes always agree.
    block_maxima_.resize(block_count);
    dense_.resize(vocab_size);
  }

  [[nodiscard]] std::size_t size_of_block(std::size_t b) const noexcept {
    return std::min(block_size, dense_.size() - b * block_size);
  }

  /// The largest logit of a block, NaN left aside. Independent lanes, so that compilers make vectors of them.
  [[nodiscard]] scan scan_block(std::size_t b) const noexcept {
    const Real* logits = dense_.data() + b * block_size;
    const std::size_t size = size_of_block(b);
    constexpr std::size_t lane_count = 16;
    Real largest[lane_count];
    bool has_nan[lane_count] = {};
    std::fill_n(largest, lane_count, -infinity);
    std::size_t i = 0;
    for (; i + lane_count <= size; i += lane_count) {
      for (std::size_t lane = 0; lane < lane_count; ++lane) {
        const Real logit = logits[i + lane];
        largest[lane] = logit > largest[lane] ? logit : largest[lane];
        has_nan[lane] |= logit != logit;
      }
    }
    scan found{*std::max_element(largest, largest + lane_count), false};
    for (const bool nan : has_nan) found.has_nan |= nan;
    for (; i < size; ++i) {
      found.largest = std::max(found.largest, logits[i]);
      found.has_nan |= logits[i] != logits[i];
    }
    return found;
  }

  /// How many logits are at least `threshold`, counted no further than `enough`.
  [[nodiscard]] std::size_t count_at_least(Real threshold, std::size_t enough) {
    std::size_t count = 0;
    const auto counts = [&](Real logit) { return !is_banned(logit) && logit >= threshold; };
    if (is_sparse_) {
      for (std::size_t i = 0; i < sparse_.size() && count < enough; ++i) {
        count += static_cast<std::size_t>(counts(sparse_[i].logit));
      }
      return count;
    }
    update_block_maxima();
    for (std::size_t b = 0; b < block_maxima_.size() && count < enough; ++b) {
      if (!counts(block_maxima_[b])) continue;
      const std::size_t begin = b * block_size;
      for (std::size_t i = begin; i < begin + size_of_block(b); ++i) {
        count += static_cast<std::size_t>(counts(dense_[i]));
      }
    }
    return count;
  }

  void update_block_maxima() noexcept {
    if (maxima_are_current_) return;
    for (std::size_t b = 0; b < block_maxima_.size(); ++b) block_maxima_[b] = scan_block(b).largest;
    maxima_are_current_ = true;
  }

  /// Makes the set sparse; drops blocks that hold none of the `count` best.
  void drop_blocks_below(std::size_t count) {
    if (count > block_maxima_.size()) {
      make_sparse();
      return;
    }
    update_block_maxima();
    maxima_scratch_.assign(block_maxima_.begin(), block_maxima_.end());
    const auto nth = maxima_scratch_.begin() + static_cast<std::ptrdiff_t>(count - 1);
    std::nth_element(maxima_scratch_.begin(), nth, maxima_scratch_.end(), [](Real a, Real b) { return a > b; });
    filter_upper([bound = *nth](Real logit) { return logit >= bound; });
  }

  /// The survivor of a rank (0 is the best), which exists.
  [[nodiscard]] candidate<Real> nth_best(std::size_t rank) {
    scratch_.assign(sparse_.begin(), sparse_.end());
    const auto nth = scratch_.begin() + static_cast<std::ptrdiff_t>(rank);
    std::nth_element(scratch_.begin(), nth, scratch_.end(), ranks_before<Real>);
    return *nth;
  }

  template <class Stays>
  void collect_if(std::size_t i, const Stays& stays) {
    if (stays(static_cast<token>(i), dense_[i])) sparse_.push_back({static_cast<token>(i), dense_[i]});
  }

  template <class Stays>
  void keep_survivors(const Stays& stays) {
    std::size_t kept = 0;
    for (const candidate<Real>& c : sparse_) {
      if (stays(c.id, c.logit)) sparse_[kept++] = c;
    }
    sparse_.resize(kept);
  }

  [[nodiscard]] bool has_nan() const noexcept {
    bool found = false;
    visit([&](token, Real logit) { found |= logit != logit; });
    return found;
  }

  std::vector<Real> dense_;
  std::vector<Real> block_maxima_;  ///< of the dense logits, where `maxima_are_current_`
  std::vector<Real> maxima_scratch_;
  std::vector<candidate<Real>> sparse_;
  std::vector<candidate<Real>> scratch_;
  bool is_sparse_ = false;
  bool maxima_are_current_ = false;
  bool rescued_ = false;
};

}  // namespace decant::inline DECANT_ABI

#endif
