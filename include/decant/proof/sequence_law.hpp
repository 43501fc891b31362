// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Laws of token sequences: what a step (or several) emits, with probabilities, and the comparison with the target.
// A step is exact when its outputs, each completed by the target itself to a common length, have the target's law:
//   sum over prefixes w of x of P(w) * prod_{j > |w|} p(x_j | x_<j)  ==  prod_j p(x_j | x_<j)   for every x.
#ifndef DECANT_PROOF_SEQUENCE_LAW_HPP
#define DECANT_PROOF_SEQUENCE_LAW_HPP

#include <decant/model/law.hpp>
#include <decant/proof/enumerator.hpp>

#include <map>

namespace decant::inline DECANT_ABI::proof {

/// Probabilities of finitely many token sequences, kept as a trie.
template <class Prob>
class sequence_law {
 public:
  sequence_law() : nodes_(1) {}

  /// Adds mass to one sequence. O(length log vocabulary).
  void add(token_span sequence, const Prob& probability) {
    std::size_t at = 0;
    nodes_[at].reached += probability;
    for (const token t : sequence) {
      at = child_or_new(at, t);
      nodes_[at].reached += probability;
    }
    nodes_[at].ended += probability;
    longest_ = std::max(longest_, sequence.size());
  }

  /// Sum of all probabilities.
  [[nodiscard]] const Prob& mass() const noexcept { return nodes_[root].reached; }
  /// Length of the longest sequence.
  [[nodiscard]] std::size_t longest() const noexcept { return longest_; }
  /// Probability of exactly this sequence.
  [[nodiscard]] Prob probability_of(token_span sequence) const {
    std::size_t at = root;
    for (const token t : sequence) {
      at = child(at, t);
      if (at == root) return Prob(0);
    }
    return nodes_[at].ended;
  }
  /// Mean length.
  [[nodiscard]] Prob expected_length() const {
    Prob sum(0);
    for (std::size_t i = 1; i < nodes_.size(); ++i) sum += nodes_[i].reached;
    return sum;
  }
  /// Calls `visit(sequence, probability)` for every sequence of positive probability, in lexicographic order.
  template <class Visit>
  void for_each(Visit&& visit) const {
    std::vector<token> path;
    visit_below(root, path, visit);
  }

  // Trie access, for comparisons.

  static constexpr std::size_t root = 0;
  /// The node below `at` by one token; `root` when there is none.
  [[nodiscard]] std::size_t child(std::size_t at, token t) const {
    const auto found = nodes_[at].children.find(t);
    return found == nodes_[at].children.end() ? root : found->second;
  }
  /// Mass of the sequences that end here.
  [[nodiscard]] const Prob& ended(std::size_t at) const noexcept { return nodes_[at].ended; }
  /// Mass of the sequences that end here or below.
  [[nodiscard]] const Prob& reached(std::size_t at) const noexcept { return nodes_[at].reached; }

 private:
  struct node {
    Prob ended{0};
    Prob reached{0};
    std::map<token, std::size_t> children{};
  };

  [[nodiscard]] std::size_t child_or_new(std::size_t at, token t) {
    const auto [place, added] = nodes_[at].children.try_emplace(t, nodes_.size());
    const std::size_t below = place->second;
    if (added) nodes_.emplace_back();
    return below;
  }

  template <class Visit>
  void visit_below(std::size_t at, std::vector<token>& path, Visit& visit) const {
    if (nodes_[at].ended > Prob(0)) visit(token_span(path), nodes_[at].ended);
    for (const auto& [t, below] : nodes_[at].children) {
      path.push_back(t);
      visit_below(below, path, visit);
      path.pop_back();
    }
  }

  std::vector<node> nodes_;
  std::size_t longest_ = 0;
};

/// Total variation distance of two laws of sequences.
template <class Prob>
[[nodiscard]] Prob total_variation(const sequence_law<Prob>& a, const sequence_law<Prob>& b) {
  Prob sum(0);
  a.for_each([&](token_span s, const Prob& p) { sum += magnitude<Prob>(p - b.probability_of(s)); });
  b.for_each([&](token_span s, const Prob& p) {
    if (!(a.probability_of(s) > Prob(0))) sum += p;
  });
  return sum / Prob(2);
}

/// Distance of a law, completed by a model, from the model's own law.
template <class Prob>
struct law_distance {
  std::vector<Prob> total_variation{};  ///< entry k-1: of the first k tokens
  Prob largest_error{0};                ///< largest difference of one probability, over prefixes of every length
};

/// Compares (A2): for every prefix length 1..`length`. Complexity: vocabulary^length rows of the model.
template <class Prob, TokenLaw Law>
class completion {
 public:
  explicit completion(const Law& model) : model_(model), vocab_size_(model.vocab_size()) {}

  /// `context` holds the committed tokens before the sequences of `law`.
  [[nodiscard]] law_distance<Prob> distance(const sequence_law<Prob>& law, token_span context, std::size_t length) {
    law_ = &law;
    context_.assign(context.begin(), context.end());
    distance_ = {std::vector<Prob>(length, Prob(0)), Prob(0)};
    walk(law.root, true, Prob(0), Prob(1), 0);
    for (Prob& tv : distance_.total_variation) tv = tv / Prob(2);
    return distance_;
  }

 private:
  /// Below one prefix: `at` is its place in the law if some sequence reaches it (`inside`), `carried` the mass of
  /// shorter sequences completed by the model to this prefix, `wanted` the model's own probability of it.
  void walk(std::size_t at, bool inside, const Prob& carried, const Prob& wanted, std::size_t depth) {
    if (depth == distance_.total_variation.size()) return;
    const std::vector<Prob> row = next_token_law();
    const Prob completed = inside ? carried + law_->ended(at) : carried;
    for (std::size_t v = 0; v < vocab_size_; ++v) {
      const auto t = static_cast<token>(v);
      const std::size_t below = inside ? law_->child(at, t) : law_->root;
      const bool reached = below != law_->root;
      const Prob carried_on = completed * row[v];
      const Prob wanted_on = wanted * row[v];
      const Prob found = reached ? carried_on + law_->reached(below) : carried_on;
      if (!(found > Prob(0)) && !(wanted_on > Prob(0))) continue;
      note(depth, magnitude<Prob>(found - wanted_on));
      context_.push_back(t);
      walk(below, reached, carried_on, wanted_on, depth + 1);
      context_.pop_back();
    }
  }

  void note(std::size_t depth, const Prob& error) {
    distance_.total_variation[depth] += error;
    if (distance_.largest_error < error) distance_.largest_error = error;
  }

  [[nodiscard]] std::vector<Prob> next_token_law() {
    weights_.resize(vocab_size_);
    model_.weights(context_, weights_);
    std::vector<Prob> row;
    row.reserve(vocab_size_);
    Prob mass(0);
    for (const real& w : weights_) {
      row.push_back(to_probability<Prob>(w));
      mass += row.back();
    }
    for (Prob& p : row) p = p / mass;
    return row;
  }

  using real = typename Law::value_type;

  const Law& model_;
  std::size_t vocab_size_;
  const sequence_law<Prob>* law_ = nullptr;
  std::vector<token> context_;
  std::vector<real> weights_;
  law_distance<Prob> distance_;
};

}  // namespace decant::inline DECANT_ABI::proof

#endif
