// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The working set of a sampler chain: one logits row that the steps edit (bias, penalties, temperature) and thin out
// (top-k, top-p, min-p), until `write_law` turns the survivors into the processed distribution.
//
// A row is read about once. While the set is dense it keeps the maximum of every block of 64 logits, which truncations
// look at to read few blocks (kernels/vocabulary_selection.hpp). A row that is viewed is copied block by block where it
// is edited, and a temperature is remembered rather than applied until somebody wants to edit.
#ifndef DECANT_SAMPLE_CANDIDATES_HPP
#define DECANT_SAMPLE_CANDIDATES_HPP

#include <decant/core/distribution.hpp>
#include <decant/kernels/vocabulary_selection.hpp>

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
  using loops = cpu::vocabulary_loops<Real>;
  using selection = cpu::row_selection<Real>;
  static constexpr std::size_t block_size = cpu::logit_block;
  static_assert(cpu::mass_block == law_block, "the kernels sum the blocks of laws");

 public:
  using value_type = Real;

  /// Copies a row. `row_unavailable` for an empty one, `row_not_finite` when it holds NaN or +infinity (-infinity is a
  /// banned token and legal), `row_empty` when every token is banned. One pass.
  [[nodiscard]] error_code load(std::span<const Real> row) { return begin(row, true); }
  /// As `load`, without copying: the row must stay as it is until the next load or the last use of the set.
  [[nodiscard]] error_code view(std::span<const Real> row) { return begin(row, false); }

  [[nodiscard]] bool sparse() const noexcept { return is_sparse_; }
  [[nodiscard]] std::size_t vocab_size() const noexcept { return dense_.size(); }
  /// Number of candidates: the vocabulary size when dense (banned ones included).
  [[nodiscard]] std::size_t size() const noexcept { return is_sparse_ ? survivor_count_ : dense_.size(); }

  /// All logits by token id, to be edited. Precondition: dense.
  [[nodiscard]] std::span<Real> dense_logits() noexcept {
    DECANT_PRECONDITION(!is_sparse_);
    own_all();
    maxima_are_current_ = false;
    return dense_;
  }
  /// The survivors as a list. Precondition: sparse.
  class survivor_list {
   public:
    [[nodiscard]] std::size_t size() const noexcept { return set_.survivor_count_; }
    [[nodiscard]] candidate<Real> operator[](std::size_t i) const noexcept {
      return {set_.ids_[i], set_.shown(set_.logits_[i])};
    }
    /// Replaces all of them by candidates in ascending id order.
    template <class Iterator>
    void assign(Iterator first, Iterator last) {
      set_.survivor_count_ = 0;
      set_.divisor_ = 1;
      for (; first != last; ++first) set_.append(first->id, first->logit);
    }

   private:
    friend class candidates;
    explicit survivor_list(candidates& set) noexcept : set_(set) {}
    candidates& set_;
  };
  [[nodiscard]] survivor_list survivors() noexcept {
    DECANT_PRECONDITION(is_sparse_);
    return survivor_list(*this);
  }

  /// Calls `edit(token id, Real& logit)` for every candidate.
  template <class Edit>
  void for_each(Edit&& edit) {
    own_all();
    if (is_sparse_) {
      for (std::size_t i = 0; i < survivor_count_; ++i) edit(ids_[i], logits_[i]);
      return;
    }
    maxima_are_current_ = false;
    for (std::size_t i = 0; i < dense_.size(); ++i) edit(static_cast<token>(i), dense_[i]);
  }

  /// Calls `visit(token id, Real logit)` for every candidate.
  template <class Visit>
  void visit(Visit&& visit) const {
    if (is_sparse_) {
      for (std::size_t i = 0; i < survivor_count_; ++i) visit(ids_[i], shown(logits_[i]));
      return;
    }
    for (std::size_t b = 0; b < block_count(); ++b) {
      const Real* logits = block(b);
      for (std::size_t i = 0; i < size_of_block(b); ++i) {
        visit(static_cast<token>(b * block_size + i), shown(logits[i]));
      }
    }
  }

  /// Replaces every logit by `map(logit)`, where `map` never decreases.
  template <class Map>
  void map_increasing(Map&& map) {
    own_all();
    if (is_sparse_) {
      for (std::size_t i = 0; i < survivor_count_; ++i) logits_[i] = map(logits_[i]);
      return;
    }
    for (Real& logit : dense_) logit = map(logit);
    for (Real& largest : block_maxima_) largest = map(largest);
  }

  /// Divides every logit by a positive number. Within wide limits no pass: later steps take it into account.
  void divide_by(Real divisor) {
    DECANT_PRECONDITION(divisor > Real(0));
    const double all = divisor_ * static_cast<double>(divisor);
    if (all >= 1e-3 && all <= 1e3) {
      divisor_ = all;
    } else {
      map_increasing([divisor](Real logit) { return logit / divisor; });
    }
  }

  /// Calls `change(Real& logit)` for one token if it is a candidate. O(1) dense, O(log survivors) sparse; O(block) when
  /// the largest logit of a block is lowered.
  template <class Edit>
  void edit(token id, Edit&& change) {
    if (id < 0 || index(id) >= dense_.size()) return;
    if (divisor_ != 1) own_all();
    if (is_sparse_) {
      const std::int32_t* end = ids_.data() + survivor_count_;
      const std::int32_t* found = std::lower_bound(static_cast<const std::int32_t*>(ids_.data()), end, id);
      if (found != end && *found == id) change(logits_[static_cast<std::size_t>(found - ids_.data())]);
      return;
    }
    const std::size_t b = index(id) / block_size;
    own_block(b);
    Real& logit = dense_[index(id)];
    const Real before = logit;
    change(logit);
    if (!maxima_are_current_) return;
    Real& largest = block_maxima_[b];
    if (logit >= largest) {
      largest = logit;
    } else if (before == largest) {
      largest = largest_of_block(b);
    }
  }

  /// Keeps the candidates for which `keep(id, logit)` holds; banned ones are dropped. The set becomes sparse.
  template <class Keep>
  void filter(Keep&& keep) {
    const auto stays = [&](token id, Real logit) { return !is_banned(logit) && keep(id, logit); };
    if (is_sparse_) {
      keep_survivors(stays);
    } else {
      for (std::size_t b = 0; b < block_count(); ++b) collect_block(b, stays);
      is_sparse_ = true;
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
    for (std::size_t b = 0; b < block_count(); ++b) {
      if (stays(no_token, shown(block_maxima_[b]))) collect_block(b, stays);
    }
    is_sparse_ = true;
  }

  /// Keeps the candidates whose logit is at least `threshold`, or the `min_keep` best when there are fewer of them;
  /// `min_keep` >= 1. Dense: blocks whose largest logit is below are not read.
  void keep_at_least(Real threshold, std::size_t min_keep) {
    DECANT_PRECONDITION(min_keep >= 1);
    if (count_at_least(threshold, min_keep) < min_keep) {
      if (count_at_least(threshold, 1) == 0) rescued_ = true;
      keep_best(min_keep);
    } else if (is_sparse_) {
      const Real stored = unshown(threshold);
      survivor_count_ = selection::keep_at_least(ids_.data(), logits_.data(), survivor_count_, stored);
    } else {
      take(selection_.at_least(row(), unshown(threshold)));
    }
  }

  /// Keeps the `count` best in canonical order (all, when there are fewer) without the banned ones; `count` >= 1.
  /// One pass over the block maxima and about `count` blocks while `count` is at most the number of blocks; otherwise
  /// up to an eighth of the vocabulary one pass more, and a selection over the candidates.
  void keep_best(std::size_t count) {
    DECANT_PRECONDITION(count >= 1);
    if (is_sparse_) {
      drop_banned();
      survivor_count_ = selection::cut_to_best(ids_.data(), logits_.data(), survivor_count_, count);
      return;
    }
    update_block_maxima();
    if (count > block_count()) own_edited();
    take(selection_.best(row(), count));
  }

  /// As `keep_best`, and what ties with the last of them stays too. Dense: the passes of `keep_best` and one more over
  /// the blocks of survivors; sparse: O(candidates).
  void keep_best_and_ties(std::size_t count) {
    DECANT_PRECONDITION(count >= 1);
    if (is_sparse_) {
      drop_banned();
      if (count >= survivor_count_) return;
      const auto last = keys_.begin() + static_cast<std::ptrdiff_t>(count - 1);
      const auto end = std::copy_n(logits_.begin(), survivor_count_, keys_.begin());
      std::nth_element(keys_.begin(), last, end, std::greater<>());
      survivor_count_ = selection::keep_at_least(ids_.data(), logits_.data(), survivor_count_, *last);
      return;
    }
    update_block_maxima();
    if (count > block_count()) own_edited();
    const auto best = selection_.best(row(), count);
    const Real border = best.count == 0 ? infinity : *std::min_element(best.values, best.values + best.count);
    take(selection_.at_least(row(), border));
  }

  /// Keeps the smallest prefix in canonical order whose probability reaches `p` < 1, and no fewer than the `min_keep`
  /// best; the set has a finite logit. One pass with an exponential per candidate; for a prefix that is not among the
  /// few hundred best, about four more.
  void keep_prefix(double p, std::size_t min_keep) {
    const numbered all = as_row();
    const Real* maxima = block_maxima_.data();
    if (is_sparse_) {
      loops::scan(all.logits, all.size, key_maxima_.data(), nullptr);
      maxima = key_maxima_.data();
    }
    keep_prefix_by({all.logits, all.size, maxima}, all, p, min_keep, 0);
  }

  /// As `keep_prefix`, in the order of the distance of the logits to `centre`, nearest first: no fewer than the
  /// `min_keep` nearest stay. `sums` are those of the set.
  void keep_nearest(double centre, const soft_max_sums& sums, double p, std::size_t min_keep) {
    const numbered all = as_row();
    loops::nearness(all.logits, all.size, static_cast<Real>(centre * divisor_), keys_.data(), key_maxima_.data());
    keep_prefix_by({keys_.data(), all.size, key_maxima_.data()}, all, p, min_keep, sums.mass);
  }

  /// Makes the set sparse without dropping anything but banned tokens.
  void make_sparse() {
    if (!is_sparse_) filter([](token, Real) { return true; });
  }

  /// The best candidate in canonical order, `no_token` when all are banned.
  [[nodiscard]] candidate<Real> best() {
    const candidate<Real> none{no_token, -infinity};
    if (is_sparse_) {
      const Real largest = loops::largest(logits_.data(), survivor_count_);
      if (is_banned(largest)) return none;
      return {ids_[loops::find(logits_.data(), survivor_count_, largest)], shown(largest)};
    }
    update_block_maxima();
    const Real largest = loops::largest(block_maxima_.data(), block_count());
    if (is_banned(largest)) return none;
    const std::size_t winner = loops::find(block_maxima_.data(), block_count(), largest);
    const std::size_t place = loops::find(block(winner), size_of_block(winner), largest);
    return {static_cast<token>(winner * block_size + place), shown(largest)};
  }

  /// Sums over the soft-max of the set; `entropy` stays 0 unless it is wanted. One pass (dense: exponentials in `Real`,
  /// sums in double).
  [[nodiscard]] soft_max_sums soft_max(bool with_entropy = false) {
    const numbered all = as_row();
    const Real largest = all.largest;
    if (is_banned(largest)) return {};
    soft_max_sums found{static_cast<double>(shown(largest)), 0, 0};
    if (with_entropy) {
      const cpu::weight_sums sums = loops::mass_and_distance(all.logits, all.size, largest, divisor_);
      found.mass = sums.mass;
      found.entropy = std::log(sums.mass) + sums.distance / divisor_ / sums.mass;
    } else {
      found.mass = loops::mass(all.logits, all.size, largest, divisor_);
    }
    return found;
  }

  /// Number, mean and deviation of the logits. Two passes, sums in double.
  [[nodiscard]] logit_moments moments() {
    const numbered all = as_row();
    logit_moments found;
    const cpu::spread around_zero = loops::spread_around(all.logits, all.size, Real(0));
    found.count = around_zero.count;
    if (found.count == 0) return found;
    const auto n = static_cast<double>(found.count);
    const auto centre = static_cast<Real>(around_zero.sum / n);
    const cpu::spread around = loops::spread_around(all.logits, all.size, centre);
    const double offset = around.sum / n;
    found.mean = (static_cast<double>(centre) + offset) / divisor_;
    found.deviation = std::sqrt(std::max(0.0, around.squares / n - offset * offset)) / divisor_;
    return found;
  }

  /// The survivors that are not banned in canonical order, best first, in `scratch()`: valid until a member that ranks
  /// is called. The set becomes sparse. O(candidates log candidates): for sets that a truncation has made small.
  [[nodiscard]] std::span<const candidate<Real>> ranked() {
    make_sparse();
    scratch_.clear();
    visit([this](token id, Real logit) {
      if (!is_banned(logit)) scratch_.push_back({id, logit});
    });
    std::sort(scratch_.begin(), scratch_.end(), in_rank_order);
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
                      in_rank_order);
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
    const numbered all = as_row();
    const Real largest = all.largest;
    if (is_banned(largest)) return has_nan() ? error_code::row_not_finite : error_code::row_empty;
    const auto weigh = [&](std::span<Real> weights) {
      if constexpr (std::is_same_v<Real, float>) {
        return loops::weigh(all.logits, all.size, largest, divisor_, weights.data(), out.room_for_block_masses());
      } else {
        return loops::weigh(all.logits, all.size, largest, divisor_, weights.data());
      }
    };
    if (!is_sparse_) return finish(out, weigh(out.begin_dense(dense_.size())));
    const auto [ids, weights] = out.begin_sparse(dense_.size(), survivor_count_);
    std::copy_n(ids_.begin(), survivor_count_, ids.begin());
    return finish(out, weigh(weights));
  }

 private:
  static constexpr Real infinity = std::numeric_limits<Real>::infinity();
  static constexpr Real largest_finite = std::numeric_limits<Real>::max();
  static constexpr auto in_rank_order = [](const candidate<Real>& a, const candidate<Real>& b) {
    return ranks_before(a, b);
  };

  /// The candidates as a contiguous row; of a sparse set place i is survivor i. Logits as they are stored.
  struct numbered {
    const Real* logits;
    std::size_t size;
    Real largest;
  };

  [[nodiscard]] static bool is_banned(Real logit) noexcept { return logit < -largest_finite; }

  [[nodiscard]] error_code begin(std::span<const Real> row, bool copies) {
    survivor_count_ = 0;
    is_sparse_ = false;
    rescued_ = false;
    divisor_ = 1;
    if (row.empty()) return error_code::row_unavailable;
    resize(row.size());
    viewed_ = copies ? nullptr : row.data();
    forget_edits();
    const auto facts = loops::scan(row.data(), row.size(), block_maxima_.data(), copies ? dense_.data() : nullptr);
    maxima_are_current_ = true;
    if (facts.has_nan || facts.largest > largest_finite) return error_code::row_not_finite;
    return facts.largest >= -largest_finite ? error_code::none : error_code::row_empty;
  }

  void resize(std::size_t vocab_size) {
    if (dense_.size() == vocab_size) return;
    const std::size_t blocks = (vocab_size + block_size - 1) / block_size;
    selection_.reserve(vocab_size);
    scratch_.reserve(vocab_size);
    ids_.resize(vocab_size + cpu::collect_slack);
    logits_.resize(vocab_size + cpu::collect_slack);
    keys_.resize(vocab_size);
    key_maxima_.resize(blocks);
    is_edited_.assign(blocks, 0);
    edited_blocks_ = 0;
    block_maxima_.resize(blocks);
    dense_.resize(vocab_size);  // last: its size says that all are in place
  }

  [[nodiscard]] std::size_t block_count() const noexcept { return block_maxima_.size(); }
  [[nodiscard]] std::size_t size_of_block(std::size_t b) const noexcept {
    return std::min(block_size, dense_.size() - b * block_size);
  }

  // --- a dense row and its edited blocks ---

  /// The stored logits of a block.
  [[nodiscard]] const Real* block(std::size_t b) const noexcept {
    return (viewed_ != nullptr && is_edited_[b] == 0 ? viewed_ : dense_.data()) + b * block_size;
  }
  [[nodiscard]] cpu::blocked_row<Real> row() const noexcept {
    if (viewed_ == nullptr) return {dense_.data(), dense_.size(), block_maxima_.data()};
    return {viewed_, dense_.size(), block_maxima_.data(), dense_.data(),
            edited_blocks_ > 0 ? is_edited_.data() : nullptr};
  }
  /// A logit as the steps see it.
  [[nodiscard]] Real shown(Real stored) const noexcept {
    return divisor_ == 1 ? stored : static_cast<Real>(static_cast<double>(stored) / divisor_);
  }
  /// The least stored logit that is shown as at least `threshold`, but never that of a banned token.
  [[nodiscard]] Real unshown(Real threshold) const noexcept {
    if (!(threshold >= -largest_finite)) return -largest_finite;
    if (divisor_ == 1) return threshold;
    if (shown(-largest_finite) >= threshold) return -largest_finite;
    const Real below = cpu::last_for_which(-largest_finite, infinity, [&](Real x) { return shown(x) < threshold; });
    return std::nextafter(below, infinity);
  }

  void own_block(std::size_t b) noexcept {
    if (viewed_ == nullptr || is_edited_[b] != 0) return;
    std::copy_n(viewed_ + b * block_size, size_of_block(b), dense_.data() + b * block_size);
    is_edited_[b] = 1;
    ++edited_blocks_;
  }
  void forget_edits() noexcept {
    if (edited_blocks_ > 0) std::fill(is_edited_.begin(), is_edited_.end(), static_cast<unsigned char>(0));
    edited_blocks_ = 0;
  }
  /// Makes a row with edited blocks contiguous.
  void own_edited() noexcept {
    if (viewed_ == nullptr || edited_blocks_ == 0) return;
    for (std::size_t b = 0; b < block_count(); ++b) own_block(b);
    viewed_ = nullptr;
  }
  /// Makes the stored logits those that are shown, in memory of the set.
  void own_all() noexcept {
    if (is_sparse_) {
      if (divisor_ == 1) return;
      for (std::size_t i = 0; i < survivor_count_; ++i) logits_[i] = shown(logits_[i]);
      divisor_ = 1;
      return;
    }
    if (viewed_ != nullptr) {
      for (std::size_t b = 0; b < block_count(); ++b) own_block(b);
      viewed_ = nullptr;
    }
    if (divisor_ == 1) return;
    for (Real& logit : dense_) logit = shown(logit);
    for (Real& largest : block_maxima_) largest = shown(largest);
    divisor_ = 1;
  }

  [[nodiscard]] Real largest_of_block(std::size_t b) const noexcept {
    Real largest = -infinity;
    const Real* logits = block(b);
    for (std::size_t i = 0; i < size_of_block(b); ++i) largest = std::max(largest, logits[i]);
    return largest;
  }
  void update_block_maxima() noexcept {
    if (maxima_are_current_) return;
    own_edited();
    loops::scan(row().base, dense_.size(), block_maxima_.data(), nullptr);
    maxima_are_current_ = true;
  }

  // --- the set as a row ---

  [[nodiscard]] numbered as_row() noexcept {
    if (is_sparse_) return {logits_.data(), survivor_count_, loops::largest(logits_.data(), survivor_count_)};
    update_block_maxima();
    own_edited();
    return {row().base, dense_.size(), loops::largest(block_maxima_.data(), block_count())};
  }

  void keep_prefix_by(const cpu::blocked_row<Real>& keys, const numbered& all, double p, std::size_t min_keep,
                      double total) {
    const cpu::soft_max_of<Real> law{all.largest, divisor_};
    auto chosen = selection_.prefix(keys, all.logits, law, p, total);
    if (chosen.count < min_keep) chosen = selection_.best(keys, min_keep);
    if (!is_sparse_) {
      for (std::size_t i = 0; keys.base != all.logits && i < chosen.count; ++i) {
        chosen.values[i] = all.logits[index(chosen.places[i])];
      }
      take(chosen);
    } else {
      for (std::size_t i = 0; i < chosen.count; ++i) {  // places ascend: what is overwritten has been read
        ids_[i] = ids_[index(chosen.places[i])];
        logits_[i] = logits_[index(chosen.places[i])];
      }
      survivor_count_ = chosen.count;
    }
  }

  /// Makes chosen tokens of a dense row, with their stored logits, the survivors.
  void take(const typename selection::chosen& chosen) {
    selection_.swap_chosen(ids_, logits_);
    survivor_count_ = chosen.count;
    is_sparse_ = true;
  }
  void append(token id, Real logit) noexcept {
    ids_[survivor_count_] = id;
    logits_[survivor_count_++] = logit;
  }
  void drop_banned() noexcept {
    survivor_count_ = selection::keep_at_least(ids_.data(), logits_.data(), survivor_count_, -largest_finite);
  }

  /// How many logits are at least `threshold`, counted no further than `enough`.
  [[nodiscard]] std::size_t count_at_least(Real threshold, std::size_t enough) {
    std::size_t count = 0;
    if (is_sparse_) {
      return loops::count_at_least(logits_.data(), survivor_count_, unshown(threshold));
    }
    update_block_maxima();
    const Real stored = unshown(threshold);
    for (std::size_t b = 0; b < block_count() && count < enough; ++b) {
      if (block_maxima_[b] >= stored) count += loops::count_at_least(block(b), size_of_block(b), stored);
    }
    return count;
  }

  template <class Stays>
  void collect_block(std::size_t b, const Stays& stays) {
    const Real* logits = block(b);
    for (std::size_t i = 0; i < size_of_block(b); ++i) {
      const candidate<Real> c{static_cast<token>(b * block_size + i), shown(logits[i])};
      if (stays(c.id, c.logit)) append(c.id, logits[i]);
    }
  }

  template <class Stays>
  void keep_survivors(const Stays& stays) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < survivor_count_; ++i) {
      if (!stays(ids_[i], shown(logits_[i]))) continue;
      ids_[kept] = ids_[i];
      logits_[kept++] = logits_[i];
    }
    survivor_count_ = kept;
  }

  /// Closes a law whose weights sum to `mass`. Those of short laws are summed in order, so that the dense and the
  /// sparse form of one agree.
  [[nodiscard]] static error_code finish(distribution<Real>& out, [[maybe_unused]] double mass) {
    if constexpr (std::is_same_v<Real, float>) {
      if (out.view().size() > law_block) return out.finish(mass);
    }
    return out.finish();
  }

  [[nodiscard]] bool has_nan() const noexcept {
    bool found = false;
    visit([&](token, Real logit) { found |= logit != logit; });
    return found;
  }

  const Real* viewed_ = nullptr;  ///< the row of the host, as long as unedited blocks are read there
  std::vector<Real> dense_;       ///< the row, or its edited blocks
  std::vector<unsigned char> is_edited_;
  std::size_t edited_blocks_ = 0;
  std::vector<Real> block_maxima_;  ///< of the stored logits, where `maxima_are_current_`
  double divisor_ = 1;              ///< stored logits over this are those that steps see
  std::vector<std::int32_t> ids_;   ///< of the survivors, ascending
  std::vector<Real> logits_;        ///< the stored logit of each
  std::size_t survivor_count_ = 0;
  std::vector<candidate<Real>> scratch_;
  std::vector<Real> keys_;
  std::vector<Real> key_maxima_;
  selection selection_;
  bool is_sparse_ = false;
  bool maxima_are_current_ = false;
  bool rescued_ = false;
};

}  // namespace decant::inline DECANT_ABI

#endif
