// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The dynamic sparse trees of parallel prompt decoding (PPD, arXiv 2405.18628). There is no draft model: trained prompt
// tokens behind a node let the target itself, in the same pass, predict the tokens after it. A pass of N input slots is
// spent on tree nodes and on their prompt tokens, and the next tree can only be as deep as the node at which acceptance
// ends had prompt tokens. So there is one tree per state d = 1..m (the number of prompt tokens behind the node accepted
// last). Offline, from acc[depth][rank] as in tree/calibrated_paths.hpp:
//   tree d       the n_d - 1 most valuable paths of depth at most d; E_d = 1 + the sum of their values;
//                a node is where acceptance ends with probability value - sum of its children's values;
//   prompts      every node gets m; while the slots do not suffice, the prompt token is taken away that loses least,
//                P(ends here) (E_k - E_(k-1)) for a node with k of them, never the last one of a node;
//   value        the states form a Markov chain that starts with m; value = sum over d of (share of steps in d) E_d;
//   sizes        n_d between N/(m+1) and N/2, one after the other until none gives a better value, from m starts (the
//                paper tries all pairs of n_2 and n_3 with n_1 = 10);
//   N            by measured cost: the largest value / t_target(N) (`best_prompt_trees`).
//
// Guarantee: the verifier's; nothing is drawn, so verify with match or greedy. Needs: a target that evaluates probes,
// trained prompt embeddings, a calibration. A step costs no draft pass. Offline: O(m N log N) per set tried.
// Reconstructed: the meaning of n_d here includes the root, whose prompt tokens count among the N slots, too.
//
// Example, m = 2, acc = {{.6 .2} {.5}}, N = 6: tree 1 has the root and {0}, tree 2 the root, {0} and {0 0}.
#ifndef DECANT_TREE_PROMPT_DECODING_TREE_HPP
#define DECANT_TREE_PROMPT_DECODING_TREE_HPP

#include <decant/control/cost_curve.hpp>
#include <decant/tree/calibrated_paths.hpp>

namespace decant::inline DECANT_ABI {

/// The tree of one state. Entry 0 of the arrays is the root, entry i the node of paths[i - 1].
struct prompt_tree {
  rank_paths paths{};                   ///< parents before children
  std::vector<std::int32_t> prompts{};  ///< prompt tokens behind each node
  std::vector<double> ends_here{};      ///< probability that acceptance ends at the node
  double tokens = 1;                    ///< expected tokens of a step, E_d

  /// Input slots of a pass: nodes and prompt tokens.
  [[nodiscard]] std::size_t slots() const noexcept {
    std::size_t count = prompts.size();
    for (const std::int32_t behind : prompts) count += index(behind);
    return count;
  }

  friend bool operator==(const prompt_tree&, const prompt_tree&) = default;
};

/// One tree per state, and how often each is used.
struct prompt_tree_set {
  std::vector<prompt_tree> by_state{};  ///< entry d - 1: after a node with d prompt tokens
  std::vector<double> share{};          ///< of the steps, in the long run
  double tokens = 1;                    ///< expected tokens of a step in the long run

  friend bool operator==(const prompt_tree_set&, const prompt_tree_set&) = default;
};

namespace detail {

/// Shares of the states of a chain in the long run, started in the last one. `move[i][j]` is the probability of going
/// from i to j. The lazy chain has the same shares and no period; its power is squared until it no longer moves.
[[nodiscard]] inline std::vector<double> long_run_shares(std::vector<std::vector<double>> move) {
  const std::size_t count = move.size();
  for (std::size_t i = 0; i < count; ++i) {
    for (double& p : move[i]) p /= 2;
    move[i][i] += 0.5;
  }
  std::vector<std::vector<double>> squared = move;
  double change = 1;
  for (int squarings = 0; squarings < 60 && change > 1e-15; ++squarings) {
    change = 0;
    for (std::size_t i = 0; i < count; ++i) {
      double mass = 0;
      for (std::size_t j = 0; j < count; ++j) {
        squared[i][j] = 0;
        for (std::size_t k = 0; k < count; ++k) squared[i][j] += move[i][k] * move[k][j];
        mass += squared[i][j];
      }
      for (std::size_t j = 0; j < count; ++j) {
        squared[i][j] /= mass;  // keeps rounding from growing with every squaring
        change = std::max(change, std::abs(squared[i][j] - move[i][j]));
      }
    }
    move.swap(squared);
  }
  return move.back();
}

/// Place of a path's parent in the arrays of a tree: 0 for the root, i + 1 for paths[i].
[[nodiscard]] inline std::size_t parent_of(const rank_paths& paths, const std::vector<std::int32_t>& path) {
  if (path.size() == 1) return 0;
  const auto is_parent = [&path](const std::vector<std::int32_t>& above) {
    return std::equal(above.begin(), above.end(), path.begin(), path.end() - 1);
  };
  return static_cast<std::size_t>(std::find_if(paths.begin(), paths.end(), is_parent) - paths.begin()) + 1;
}

/// Builds sets of trees for one number of slots.
class prompt_tree_planner {
 public:
  prompt_tree_planner(const rank_acceptance& acceptance, std::size_t max_prompts, std::size_t slots)
      : max_prompts_(max_prompts), slots_(slots) {
    DECANT_PRECONDITION(max_prompts >= 1 && slots >= 2);
    most_ = std::max<std::size_t>(1, slots / 2);
    least_ = std::min(most_, (slots + max_prompts) / (max_prompts + 1));
    for (std::size_t depth = 1; depth <= max_prompts; ++depth) {
      const auto levels = static_cast<std::ptrdiff_t>(std::min(depth, acceptance.size()));
      const rank_acceptance shallow(acceptance.begin(), acceptance.begin() + levels);
      candidates_.push_back(ranked_nodes(most_valuable_paths(shallow, most_ - 1).paths, shallow));
    }
  }

  /// The best set found from several starts by changing one size at a time. Never worth less than the same number of
  /// prompt tokens behind every node: these sets are among those compared.
  [[nodiscard]] prompt_tree_set best() const {
    prompt_tree_set found;
    const auto keep_better = [&found](prompt_tree_set other) {
      if (!found.by_state.empty() && !(other.tokens > found.tokens)) return;
      found = std::move(other);
    };
    for (std::size_t behind = 1; behind <= max_prompts_ && behind < slots_; ++behind) {
      const std::vector<std::size_t> sizes(max_prompts_, slots_ / (behind + 1));
      keep_better(uniform_set(sizes, behind));
      keep_better(improved(sizes));
    }
    return found;
  }

 private:
  /// Candidate nodes of a state, most valuable first, so parents before their children.
  struct node_list {
    rank_paths paths{};
    std::vector<double> values{};
    std::vector<std::size_t> parents{};  ///< place in the arrays of a tree: 0 for the root, i + 1 for paths[i]
  };

  [[nodiscard]] static node_list ranked_nodes(rank_paths paths, const rank_acceptance& acceptance) {
    node_list nodes{std::move(paths), {}, {}};
    for (const auto& path : nodes.paths) {
      double value = 1;
      for (std::size_t depth = 0; depth < path.size(); ++depth) value *= acceptance[depth][index(path[depth])];
      nodes.values.push_back(value);
      nodes.parents.push_back(parent_of(nodes.paths, path));
    }
    return nodes;
  }

  [[nodiscard]] prompt_tree_set improved(std::vector<std::size_t> sizes) const {
    prompt_tree_set found = set_of(sizes);
    for (bool better = true; better;) {
      better = false;
      for (std::size_t& size : sizes) {
        const std::size_t before = size;
        std::size_t kept = before;
        for (size = least_; size <= most_; ++size) {
          prompt_tree_set other = set_of(sizes);
          if (!(other.tokens > found.tokens + 1e-12)) continue;
          found = std::move(other);
          kept = size;
        }
        size = kept;
        better = better || kept != before;
      }
    }
    return found;
  }

  [[nodiscard]] prompt_tree_set set_of(const std::vector<std::size_t>& sizes) const {
    prompt_tree_set set = bare_set(sizes);
    for (prompt_tree& tree : set.by_state) share_out_prompts(tree, set.by_state);
    weigh(set);
    return set;
  }
  [[nodiscard]] prompt_tree_set uniform_set(const std::vector<std::size_t>& sizes, std::size_t behind) const {
    prompt_tree_set set = bare_set(sizes);
    for (prompt_tree& tree : set.by_state)
      tree.prompts.assign(tree.ends_here.size(), static_cast<std::int32_t>(behind));
    weigh(set);
    return set;
  }

  /// The trees before their nodes have prompt tokens.
  [[nodiscard]] prompt_tree_set bare_set(const std::vector<std::size_t>& sizes) const {
    prompt_tree_set set;
    for (std::size_t state = 0; state < max_prompts_; ++state) set.by_state.push_back(tree_of(state, sizes[state]));
    return set;
  }

  /// Long-run shares and value.
  void weigh(prompt_tree_set& set) const {
    std::vector<std::vector<double>> move;
    for (const prompt_tree& tree : set.by_state) {
      move.emplace_back(max_prompts_, 0.0);
      for (std::size_t i = 0; i < tree.prompts.size(); ++i) {
        move.back()[index(tree.prompts[i]) - 1] += tree.ends_here[i];
      }
    }
    set.share = long_run_shares(std::move(move));
    set.tokens = 0;
    for (std::size_t state = 0; state < max_prompts_; ++state) {
      set.tokens += set.share[state] * set.by_state[state].tokens;
    }
  }

  [[nodiscard]] prompt_tree tree_of(std::size_t state, std::size_t size) const {
    const node_list& all = candidates_[state];
    const std::size_t count = std::min(size - 1, all.paths.size());
    prompt_tree tree;
    tree.paths.assign(all.paths.begin(), all.paths.begin() + static_cast<std::ptrdiff_t>(count));
    tree.ends_here.assign(1, 1.0);
    for (std::size_t i = 0; i < count; ++i) {
      tree.ends_here[all.parents[i]] -= all.values[i];
      tree.ends_here.push_back(all.values[i]);
      tree.tokens += all.values[i];
    }
    for (double& probability : tree.ends_here) probability = std::max(0.0, probability);
    return tree;
  }

  void share_out_prompts(prompt_tree& tree, const std::vector<prompt_tree>& states) const {
    struct removal {
      double loss;
      std::size_t node;
    };
    const auto later = [](const removal& a, const removal& b) {
      return a.loss != b.loss ? a.loss > b.loss : a.node > b.node;
    };
    const std::size_t nodes = tree.ends_here.size();
    tree.prompts.assign(nodes, static_cast<std::int32_t>(max_prompts_));
    std::vector<removal> heap;
    const auto offer = [&](std::size_t node) {
      const std::size_t behind = index(tree.prompts[node]);
      if (behind < 2) return;
      heap.push_back({tree.ends_here[node] * (states[behind - 1].tokens - states[behind - 2].tokens), node});
      std::push_heap(heap.begin(), heap.end(), later);
    };
    for (std::size_t node = 0; node < nodes; ++node) offer(node);
    for (std::size_t used = nodes * (max_prompts_ + 1); used > slots_ && !heap.empty(); --used) {
      std::pop_heap(heap.begin(), heap.end(), later);
      const std::size_t node = heap.back().node;
      heap.pop_back();
      --tree.prompts[node];
      offer(node);
    }
  }

  std::size_t max_prompts_;
  std::size_t slots_;
  std::size_t least_ = 1;
  std::size_t most_ = 1;
  std::vector<node_list> candidates_;  // by state
};

}  // namespace detail

/// The trees for passes of at most `slots` input slots and at most `max_prompts` prompt tokens behind a node (the paper
/// has 3). Precondition: max_prompts >= 1, slots >= 2.
[[nodiscard]] inline prompt_tree_set prompt_trees(const rank_acceptance& acceptance, std::size_t max_prompts,
                                                  std::size_t slots) {
  return detail::prompt_tree_planner(acceptance, max_prompts, slots).best();
}

/// The trees of the number of slots in [2, max_slots] with the most tokens per time; the fewest slots among equals. No
/// trees (`by_state` empty) where none is faster than plain decoding. Precondition: curve.check().
[[nodiscard]] inline prompt_tree_set best_prompt_trees(const rank_acceptance& acceptance, std::size_t max_prompts,
                                                       std::size_t max_slots, const cost_curve& curve) {
  prompt_tree_set best;
  double best_rate = 1 / curve.time(1);
  for (std::size_t slots = 2; slots <= max_slots; ++slots) {
    prompt_tree_set found = prompt_trees(acceptance, max_prompts, slots);
    const double rate = found.tokens / curve.time(slots);
    if (!(rate > best_rate)) continue;
    best_rate = rate;
    best = std::move(found);
  }
  return best;
}

/// Where the prompt tokens of a draft are. Reusable.
struct prompt_slots {
  std::vector<node_id> first{};    ///< by node: its first prompt token, the others follow; `no_node` when it has none
  std::vector<node_id> node_of{};  ///< by entry of the tree: its node, `no_node` where a candidate was missing
};

/// Puts a tree below the root of a fresh draft. `candidates[d]` lists the tokens predicted for depth d + 1, the
/// likeliest first, from the rows of the prompt tokens behind the node accepted last (the same for all paths). A node
/// whose candidate is missing is left out with everything below it. Prompt token j = 0, 1, ... behind a node is a probe
/// with token `first_prompt_token + j`: it sees the path to the node and the prompt tokens before it.
template <class Real>
void append_prompt_tree(token_draft<Real>& draft, const prompt_tree& tree, std::span<const token_span> candidates,
                        token first_prompt_token, prompt_slots& slots) {
  slots.node_of.assign(tree.prompts.size(), no_node);
  slots.node_of[0] = 0;
  for (std::size_t i = 0; i < tree.paths.size(); ++i) {
    const auto& path = tree.paths[i];
    const std::size_t depth = path.size() - 1;
    const node_id parent = slots.node_of[detail::parent_of(tree.paths, path)];
    const bool known = depth < candidates.size() && index(path[depth]) < candidates[depth].size();
    if (parent != no_node && known)
      slots.node_of[i + 1] = draft.tree.append(parent, candidates[depth][index(path[depth])]);
  }
  slots.first.assign(draft.tree.size(), no_node);
  for (std::size_t i = 0; i < tree.prompts.size(); ++i) {
    node_id last = slots.node_of[i];
    for (std::int32_t j = 0; last != no_node && j < tree.prompts[i]; ++j) {
      last = draft.tree.append_probe(last, first_prompt_token + j);
      if (j == 0) slots.first[index(slots.node_of[i])] = last;
    }
  }
}

}  // namespace decant::inline DECANT_ABI

#endif
