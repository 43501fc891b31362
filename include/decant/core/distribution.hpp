// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A law over the vocabulary, dense (one weight per token) or sparse (survivors of a truncation, sorted by id), with its
// mass. Weights need not be normalised: every consumer divides by `mass()` or, better, compares without dividing.
// The scalar is float or double in production; any exact ordered field (a rational) works in proofs.
#ifndef DECANT_CORE_DISTRIBUTION_HPP
#define DECANT_CORE_DISTRIBUTION_HPP

#include <decant/core/error.hpp>
#include <decant/core/types.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

namespace decant::inline DECANT_ABI {

/// The type in which weights of scalar `Real` are summed and compared: double for float, `Real` itself otherwise.
template <class Real>
using mass_t = std::conditional_t<std::is_same_v<Real, float>, double, Real>;

/// A scalar as double, for logarithms, statistics and printing. An exact scalar provides `double to_double(x)`.
template <class Real>
[[nodiscard]] double as_double(const Real& value) {
  if constexpr (std::is_arithmetic_v<Real>) {
    return static_cast<double>(value);
  } else {
    return to_double(value);
  }
}

namespace detail {

/// Sum of weights in `mass_t`, in eight running sums that do not wait for each other. Scalars rather than an array of
/// them: GCC 12 makes vector code of these at -O2, too, which is 2.5 times as fast there (32,000 floats: 4.9 us, one
/// running sum 29.6 us).
template <class Real>
[[nodiscard]] mass_t<Real> sum_in_lanes(std::span<const Real> weights) {
  using mass = mass_t<Real>;
  mass a(0), b(0), c(0), d(0), e(0), f(0), g(0), h(0);
  const Real* w = weights.data();
  const std::size_t whole = weights.size() - weights.size() % 8;
  for (std::size_t i = 0; i < whole; i += 8) {
    a += static_cast<mass>(w[i]);
    b += static_cast<mass>(w[i + 1]);
    c += static_cast<mass>(w[i + 2]);
    d += static_cast<mass>(w[i + 3]);
    e += static_cast<mass>(w[i + 4]);
    f += static_cast<mass>(w[i + 5]);
    g += static_cast<mass>(w[i + 6]);
    h += static_cast<mass>(w[i + 7]);
  }
  for (std::size_t i = whole; i < weights.size(); ++i) a += static_cast<mass>(w[i]);
  return ((a + b) + (c + d)) + ((e + f) + (g + h));
}

}  // namespace detail

/// Entries of a block of a law, whose masses are kept beside the weights, so that a draw reads two short rows
/// instead of a long one. Near the square root of usual vocabularies, where the two balance.
inline constexpr std::size_t law_block = 256;

/// One entry of a law.
template <class Real>
struct weighted_token {
  token id;
  Real weight;
};

/// Non-owning view of a law; cheap to copy, valid as long as the distribution behind it is unchanged.
template <class Real>
class distribution_view {
 public:
  using value_type = Real;

  distribution_view() = default;
  /// Dense: weight i belongs to token i. `block_masses`: the mass of every `law_block` tokens, where it is known.
  distribution_view(std::span<const Real> weights, mass_t<Real> mass, std::span<const mass_t<Real>> block_masses = {})
      : weights_(weights.data()),
        size_(weights.size()),
        vocab_size_(weights.size()),
        mass_(mass),
        block_masses_(block_masses.empty() ? nullptr : block_masses.data()) {
    DECANT_PRECONDITION(block_masses.empty() || block_masses.size() == (size_ + law_block - 1) / law_block);
  }
  /// Sparse: ids ascending, one weight each.
  distribution_view(token_span ids, std::span<const Real> weights, std::size_t vocab_size, mass_t<Real> mass,
                    std::span<const mass_t<Real>> block_masses = {})
      : ids_(ids.data()),
        weights_(weights.data()),
        size_(ids.size()),
        vocab_size_(vocab_size),
        mass_(mass),
        block_masses_(block_masses.empty() ? nullptr : block_masses.data()),
        sparse_(true) {}

  [[nodiscard]] bool sparse() const noexcept { return sparse_; }
  /// Number of stored entries: the vocabulary size when dense, the number of survivors when sparse.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t vocab_size() const noexcept { return vocab_size_; }
  /// Sum of the weights.
  [[nodiscard]] const mass_t<Real>& mass() const noexcept { return mass_; }
  [[nodiscard]] token id(std::size_t entry) const noexcept { return sparse_ ? ids_[entry] : static_cast<token>(entry); }
  [[nodiscard]] const Real& weight(std::size_t entry) const noexcept { return weights_[entry]; }
  /// The stored ids; empty when dense.
  [[nodiscard]] token_span ids() const noexcept { return {ids_, sparse_ ? size_ : 0}; }
  [[nodiscard]] std::span<const Real> weights() const noexcept { return {weights_, size_}; }
  /// The masses of a law's blocks of entries; empty where they are not known.
  [[nodiscard]] std::span<const mass_t<Real>> block_masses() const noexcept {
    return {block_masses_, block_masses_ == nullptr ? 0 : (size_ + law_block - 1) / law_block};
  }

  /// Weight of a token, 0 for one that is not stored or not in the vocabulary. O(1) dense, O(log size) sparse.
  [[nodiscard]] Real weight_of(token id) const noexcept {
    if (id < 0 || index(id) >= vocab_size_) return Real(0);
    if (!sparse_) return weights_[index(id)];
    const token* end = ids_ + size_;
    const token* found = std::lower_bound(ids_, end, id);
    return found != end && *found == id ? weights_[found - ids_] : Real(0);
  }

  /// Probability of a token as double.
  [[nodiscard]] double probability(token id) const { return as_double(weight_of(id)) / as_double(mass_); }

 private:
  const token* ids_ = nullptr;
  const Real* weights_ = nullptr;
  std::size_t size_ = 0;
  std::size_t vocab_size_ = 0;
  mass_t<Real> mass_{0};
  const mass_t<Real>* block_masses_ = nullptr;
  bool sparse_ = false;
};

/// Owner of a law. Its buffers are reused: after warm-up no member allocates.
template <class Real>
class distribution {
 public:
  using value_type = Real;

  distribution() = default;

  operator distribution_view<Real>() const noexcept { return view(); }  // NOLINT(google-explicit-constructor)
  [[nodiscard]] distribution_view<Real> view() const noexcept {
    const std::span<const Real> weights(weights_.data(), weights_.size());
    return sparse_ ? distribution_view<Real>(ids_, weights, vocab_size_, mass_, block_masses_)
                   : distribution_view<Real>(weights, mass_, block_masses_);
  }

  /// Starts a dense law and hands out its weights, to be written in full and then closed with `finish()`.
  [[nodiscard]] std::span<Real> begin_dense(std::size_t vocab_size) {
    ids_.clear();
    block_masses_.clear();
    weights_.resize(vocab_size);
    vocab_size_ = vocab_size;
    sparse_ = false;
    return weights_;
  }
  /// Starts an empty sparse law; entries follow with `push` in ascending id order, then `finish()`.
  void begin_sparse(std::size_t vocab_size) {
    ids_.clear();
    block_masses_.clear();
    weights_.clear();
    make_room(std::min(vocab_size, usual_survivors));
    vocab_size_ = vocab_size;
    sparse_ = true;
  }
  /// Starts a sparse law of `entries` and hands out its ids and weights, to be written in full, ids ascending, and then
  /// closed with `finish`.
  [[nodiscard]] std::pair<std::span<token>, std::span<Real>> begin_sparse(std::size_t vocab_size, std::size_t entries) {
    begin_sparse(vocab_size);
    make_room(entries);
    ids_.resize(entries);
    weights_.resize(entries);
    return {ids_, weights_};
  }
  /// Where the masses of the blocks of weights just begun go, to be written in full and then closed with
  /// `finish(mass)`; null where the law needs none.
  [[nodiscard]] mass_t<Real>* room_for_block_masses() {
    block_masses_.resize(weights_.size() <= law_block ? 0 : (weights_.size() + law_block - 1) / law_block);
    return block_masses_.empty() ? nullptr : block_masses_.data();
  }
  void push(token id, const Real& weight) {
    DECANT_PRECONDITION(sparse_ && (ids_.empty() || ids_.back() < id));
    ids_.push_back(id);
    weights_.push_back(weight);
  }
  /// Computes the mass. `row_empty` when it is zero, `row_not_finite` when it is NaN or infinite.
  [[nodiscard]] error_code finish() {
    sum_blocks();
    mass_ = mass_t<Real>(0);
    if (block_masses_.empty()) {
      // In order: zeros in between, the difference of the dense and the sparse form, then leave the sum as it is.
      for (const Real& weight : weights_) mass_ += static_cast<mass_t<Real>>(weight);
    } else {
      mass_ = detail::sum_in_lanes<mass_t<Real>>(block_masses_);
    }
    return check_mass();
  }
  /// As `finish()`, with a mass the caller has already summed.
  [[nodiscard]] error_code finish(mass_t<Real> mass) {
    mass_ = mass;
    return check_mass();
  }

  void assign(distribution_view<Real> other) {
    if (other.sparse()) make_room(std::max(other.size(), std::min(other.vocab_size(), usual_survivors)));
    ids_.assign(other.ids().begin(), other.ids().end());
    weights_.assign(other.weights().begin(), other.weights().end());
    block_masses_.assign(other.block_masses().begin(), other.block_masses().end());
    vocab_size_ = other.vocab_size();
    mass_ = other.mass();
    sparse_ = other.sparse();
  }
  /// Copies a law without one of its tokens and finishes it.
  [[nodiscard]] error_code assign_without(distribution_view<Real> other, token id) {
    if (other.sparse()) {
      begin_sparse(other.vocab_size());
      for (std::size_t i = 0; i < other.size(); ++i) {
        if (other.id(i) != id) push(other.id(i), other.weight(i));
      }
      return finish();
    }
    assign(other);
    if (id < 0 || index(id) >= weights_.size()) return check_mass();
    weights_[index(id)] = Real(0);
    if (block_masses_.empty()) return finish();
    const std::size_t block = index(id) / law_block;
    const std::span<const Real> rest = std::span<const Real>(weights_).subspan(block * law_block);
    block_masses_[block] = detail::sum_in_lanes<Real>(rest.first(std::min(law_block, rest.size())));
    mass_ = detail::sum_in_lanes<mass_t<Real>>(block_masses_);
    return check_mass();
  }
  /// All mass on one token.
  void assign_one_hot(token id, std::size_t vocab_size) {
    begin_sparse(vocab_size);
    push(id, Real(1));
    mass_ = mass_t<Real>(1);
  }

 private:
  /// Room that every sparse law gets at once: laws of the usual truncations then never grow, and a node that sees its
  /// first wide law in a late step does not allocate there.
  static constexpr std::size_t usual_survivors = 256;

  void make_room(std::size_t entries) {
    if (entries <= ids_.capacity()) return;
    const std::size_t room = std::max(entries, 2 * ids_.capacity());
    ids_.reserve(room);
    weights_.reserve(room);
  }

  /// The masses of the blocks of a law of several.
  void sum_blocks() {
    block_masses_.clear();
    if (weights_.size() <= law_block) return;
    const std::span<const Real> weights(weights_);
    for (std::size_t first = 0; first < weights.size(); first += law_block) {
      block_masses_.push_back(
          detail::sum_in_lanes<Real>(weights.subspan(first, std::min(law_block, weights.size() - first))));
    }
  }

  [[nodiscard]] error_code check_mass() const {
    if constexpr (std::is_floating_point_v<Real>) {
      if (!(mass_ <= std::numeric_limits<mass_t<Real>>::max())) return error_code::row_not_finite;
    }
    return mass_ > mass_t<Real>(0) ? error_code::none : error_code::row_empty;
  }

  std::vector<token> ids_;
  std::vector<Real> weights_;
  std::vector<mass_t<Real>> block_masses_;
  std::size_t vocab_size_ = 0;
  mass_t<Real> mass_{0};
  bool sparse_ = false;
};

/// Walks two laws in ascending id order and calls `visit(id, weight in a, weight in b)` for every id stored in either.
template <class Real, class Visit>
void for_each_pair(distribution_view<Real> a, distribution_view<Real> b, Visit&& visit) {
  const Real zero(0);
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() || j < b.size()) {
    const token id_a = i < a.size() ? a.id(i) : std::numeric_limits<token>::max();
    const token id_b = j < b.size() ? b.id(j) : std::numeric_limits<token>::max();
    const token id = std::min(id_a, id_b);
    visit(id, id_a == id ? a.weight(i) : zero, id_b == id ? b.weight(j) : zero);
    i += id_a == id;
    j += id_b == id;
  }
}

/// Walks the entries of `a` and calls `visit(id, weight in a, weight in b)`. O(entries of a) where b is dense.
template <class Real, class Visit>
void for_each_entry(distribution_view<Real> a, distribution_view<Real> b, Visit&& visit) {
  std::size_t j = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const token id = a.id(i);
    if (!b.sparse()) {
      visit(id, a.weight(i), b.weight_of(id));
      continue;
    }
    while (j < b.size() && b.id(j) < id) ++j;
    visit(id, a.weight(i), j < b.size() && b.id(j) == id ? b.weight(j) : Real(0));
  }
}

/// Shows `consider(entry)` every entry of a law that may be among the heaviest, in no particular order. It returns the
/// weight that an entry must reach to be of interest from then on; others may be left out, by whole blocks where their
/// masses are known: no entry is heavier than its block. O(entries); O(blocks) for the laws of language models.
template <class Real, class Consider>
void visit_heaviest(distribution_view<Real> law, Consider&& consider) {
  Real bar(0);
  const auto visit = [&](std::size_t first, std::size_t last) {
    for (std::size_t i = first; i < last; ++i) {
      if (!(law.weight(i) < bar)) bar = consider(weighted_token<Real>{law.id(i), law.weight(i)});
    }
  };
  const std::span<const mass_t<Real>> masses = law.block_masses();
  if (masses.empty()) return visit(0, law.size());
  const auto visit_block = [&](std::size_t b) { visit(b * law_block, std::min(law.size(), (b + 1) * law_block)); };
  const auto heaviest = static_cast<std::size_t>(std::max_element(masses.begin(), masses.end()) - masses.begin());
  visit_block(heaviest);  // it raises the bar for all others
  for (std::size_t b = 0; b < masses.size(); ++b) {
    if (b != heaviest && !(masses[b] < static_cast<mass_t<Real>>(bar))) visit_block(b);
  }
}

/// Whether `a` ranks before `b`: by weight, the lowest id first among equals.
template <class Real>
[[nodiscard]] bool ranks_before(const weighted_token<Real>& a, const weighted_token<Real>& b) {
  return b.weight < a.weight || (a.weight == b.weight && a.id < b.id);
}

/// The token of largest weight; the lowest id among equals. `no_token` for a law without entries.
template <class Real>
[[nodiscard]] token argmax(distribution_view<Real> law) {
  weighted_token<Real> best{no_token, Real(0)};
  visit_heaviest(law, [&](const weighted_token<Real>& entry) {
    if (best.id == no_token || ranks_before(entry, best)) best = entry;
    return best.weight;
  });
  return best.id;
}

}  // namespace decant::inline DECANT_ABI

#endif
