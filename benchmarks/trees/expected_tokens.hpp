// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Expected tokens of one step for a given draft, without drawing a coin where a closed form is at hand: the noise that
// is left is that of the drafts. A verifier without one is run several times.
#ifndef DECANT_BENCHMARKS_TREES_EXPECTED_TOKENS_HPP
#define DECANT_BENCHMARKS_TREES_EXPECTED_TOKENS_HPP

#include "worlds.hpp"

#include <decant/core/philox.hpp>
#include <decant/verify/any_verifier.hpp>
#include <decant/verify/block_verification.hpp>
#include <decant/verify/edge_laws.hpp>
#include <decant/verify/match.hpp>
#include <decant/verify/recursive_rejection.hpp>
#include <decant/verify/traversal.hpp>

namespace trees {

/// Target laws of one draft. A leaf's law decides nothing but the token that is not counted: it is not looked up.
class site_laws {
 public:
  using value_type = float;

  void reset(world& place, std::size_t site, const token_tree& tree, double temperature) {
    place_ = &place;
    site_ = site;
    tree_ = &tree;
    temperature_ = temperature;
    known_.assign(tree.size(), 0);
    if (laws_.size() < tree.size()) laws_.resize(tree.size());
    leaf_.assign_one_hot(0, place.vocab_size());
  }
  [[nodiscard]] const distribution<float>* law(node_id n) {
    if (tree_->first_child(n) == no_node) return &leaf_;
    distribution<float>& law = laws_[index(n)];
    if (!known_[index(n)]) {
      tree_->path_tokens(n, path_);
      place_->row(site_, path_, row_);
      write_law(row_.ids, row_.target, temperature_, place_->vocab_size(), law);
      known_[index(n)] = 1;
    }
    return &law;
  }
  [[nodiscard]] error_code status() const { return error_code::none; }

 private:
  world* place_ = nullptr;
  std::size_t site_ = 0;
  const token_tree* tree_ = nullptr;
  double temperature_ = 1;
  std::vector<char> known_;
  std::vector<distribution<float>> laws_;
  distribution<float> leaf_;
  std::vector<token> path_;
  raw_row row_;
};

/// match: 1 + the target's probabilities of all paths.
inline double expected_by_match(const token_draft<float>& draft, site_laws& laws) {
  std::vector<double> reached(draft.tree.size(), 0.0);
  reached[0] = 1;
  double sum = 1;
  for (const node_id n : draft.tree.all().subspan(1)) {
    const node_id parent = draft.tree.parent(n);
    if (draft.tree.child_with(parent, draft.tree.token_of(n)) != n) continue;
    reached[index(n)] = reached[index(parent)] * laws.law(parent)->view().probability(draft.tree.token_of(n));
    sum += reached[index(n)];
  }
  return sum;
}

/// Recursive rejection: the probability to come to a node is that of its parent, times its acceptance after the draws
/// before it were rejected. `reached` gets one entry per node.
inline void reached_nodes(const token_draft<float>& draft, site_laws& laws, std::vector<double>& reached) {
  static thread_local running_residual<float> residual;
  static thread_local edge_laws<float> edges;
  reached.assign(draft.tree.size(), 0.0);
  reached[0] = 1;
  for (const node_id n : draft.tree.all()) {
    if (draft.tree.first_child(n) == no_node || !(reached[index(n)] > 0)) continue;
    residual.reset(laws.law(n)->view());
    edges.reset();
    double left = reached[index(n)];
    draft.tree.for_each_draw(n, [&](const tree_draw& draw) {
      const proposal<float> drawn = edges.next(draft, draw.child, draw.edge);
      if (drawn.impossible()) return false;
      const auto law = residual.law();
      const double wanted = static_cast<double>(law.weight_of(drawn.id)) / law.mass();
      const double offered = drawn.point_mass ? 1 : static_cast<double>(drawn.weight) / drawn.mass;
      const double accepted = std::min(1.0, wanted / offered);
      reached[index(draw.child)] += left * accepted;
      left *= 1 - accepted;
      if (!(left > 0)) return true;
      if (drawn.point_mass) {
        residual.remove(drawn.id);
      } else {
        residual.subtract(drawn.row, drawn.mass);
      }
      return false;
    });
  }
}

inline double expected_by_rejection(const token_draft<float>& draft, site_laws& laws) {
  static thread_local std::vector<double> reached;
  reached_nodes(draft, laws, reached);
  double sum = 0;
  for (const double p : reached) sum += p;
  return sum;
}

/// A chance source whose coins all fail; it remembers what each of them could have given.
struct failing_chance {
  const token_tree* tree = nullptr;
  double left = 1;
  double sum = 0;

  void reset(const token_tree& of) {
    tree = &of;
    left = 1;
    sum = 0;
  }
  bool accept(chance_key key, double a, double b) {
    const double p = a <= 0 ? 0.0 : a >= b ? 1.0 : a / b;
    // A coin above the nodes belongs to a repeated draw.
    const auto coin = static_cast<std::size_t>(key.index);
    const node_id n = coin < tree->size() ? static_cast<node_id>(coin) : tree->repeats()[coin - tree->size()].child;
    sum += left * p * (tree->depth(n) + 1);
    left *= 1 - p;
    return false;
  }
  token pick(chance_key, distribution_view<float> law) { return law.id(0); }
  std::size_t ordered_sample(chance_key, distribution_view<float>, std::span<token>) { return 0; }
};

/// Verifiers that judge whole paths, leaves first, and end the step with the first success.
template <class V>
double expected_by_judging_paths(const token_draft<float>& draft, site_laws& laws) {
  static thread_local typename V::template work<float> work;
  failing_chance chance;
  chance.reset(draft.tree);
  verdict out;
  (void)V{}.verify(draft, laws, chance, 0, work, out);
  return chance.sum + chance.left;  // at the root, the last resort, one token is emitted
}

/// Any verifier, with coins.
inline double expected_by_trials(const any_verifier<>& verifier, const token_draft<float>& draft, site_laws& laws,
                                 philox_chance& chance, std::uint64_t first_position, int trials,
                                 owning_ptr<erased_work>& work, verdict& out) {
  double sum = 0;
  for (int i = 0; i < trials; ++i) {
    if (verifier.verify(draft, laws, chance, first_position + static_cast<std::uint64_t>(i) * 64, work, out) ==
        error_code::none) {
      sum += static_cast<double>(out.path.size());
    }
  }
  return sum / trials;
}

}  // namespace trees

#endif
