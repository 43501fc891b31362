// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A tree builder that follows a script: the draws below each node, level by level. It reaches the mixtures that the
// shipped builders do not make (chosen and drawn children side by side, repeated draws, stop rules, probes), and it is
// a second, plain implementation of the shapes that they do make.
#ifndef DECANT_TESTS_PROOF_SCRIPTED_BUILDER_HPP
#define DECANT_TESTS_PROOF_SCRIPTED_BUILDER_HPP

#include <decant/tree/builder.hpp>

#include <string>
#include <vector>

namespace decant_test {

using namespace decant;  // NOLINT: test support

/// How one child of a node comes about.
enum class draw_kind {
  drawn,     ///< from the row; a repeat of a sibling becomes a node of its own
  recorded,  ///< from the row; a repeat of a sibling is recorded on that sibling
  distinct,  ///< from the row without the tokens of earlier `distinct` siblings
  chosen     ///< the most probable token not chosen so before
};

/// When a node gets no children although its level has some.
enum class stop_rule {
  never,
  row_is_flat,     ///< looks at the row before anything is drawn from it: its largest weight is below half its mass
  token_unlikely,  ///< keeps the drawn token, then stops below it when its weight is below a third of the row's mass
};

/// The draws below every node of one level.
using level_script = std::vector<draw_kind>;

template <tree_class Class = tree_class::counted, bool Chain = false>
struct scripted_builder {
  static constexpr tree_class produces = Class;
  static constexpr bool chains_only = Chain;

  std::string name;
  std::vector<level_script> levels;
  stop_rule stop = stop_rule::never;
  bool probes = false;  ///< hang a probe below the root and below every first child

  template <class Real>
  struct work {
    std::vector<node_id> wanted;
    std::vector<token> chosen;
    std::vector<token> drawn;
    distribution<Real> rest;
    draft_limits limits;
    std::int32_t drafted = 0;
  };

  template <class Real>
  void start(work<Real>& w, token_draft<Real>& draft, const draft_limits& limits) const {
    w.limits = limits;
    w.drafted = 0;
    w.wanted.clear();
    if (probes) (void)draft.tree.append_probe(0, 0);
    if (expands(w, 0)) w.wanted.push_back(0);
  }

  template <class Real>
  [[nodiscard]] node_span wanted(const work<Real>& w) const {
    return w.wanted;
  }

  template <class Real, class Chance>
  void grow(work<Real>& w, token_draft<Real>& draft, std::uint64_t root_position, Chance& chance) const {
    const std::vector<node_id> level = std::move(w.wanted);
    w.wanted.clear();
    for (const node_id n : level) grow_below(w, draft, root_position, chance, n);
  }

 private:
  template <class Real>
  [[nodiscard]] bool expands(const work<Real>& w, std::int32_t depth) const {
    return index(depth) < levels.size() && depth < w.limits.depth && w.drafted < w.limits.nodes;
  }

  template <class Real, class Chance>
  void grow_below(work<Real>& w, token_draft<Real>& draft, std::uint64_t root_position, Chance& chance,
                  node_id n) const {
    const std::int32_t row = draft.row_after(n);
    const std::int32_t depth = draft.tree.depth(n);
    if (stop == stop_rule::row_is_flat && is_flat(draft.rows.row(row))) return;
    w.chosen.clear();
    w.drawn.clear();
    for (const draw_kind kind : levels[index(depth)]) {
      if (w.drafted >= w.limits.nodes) return;
      // Every draw has a number of its own: the id of the node it makes, or, when it makes none, one beyond all ids.
      const auto draw = static_cast<node_id>(draft.tree.size() + 1000 * draft.tree.repeats().size());
      const node_id child = add_child(w, draft, chance, draft_key(root_position, draw), n, row, kind);
      if (child == no_node) continue;
      ++w.drafted;
      if (!expands(w, depth + 1) || stops_below(draft, row, child)) continue;
      w.wanted.push_back(child);
    }
    if (probes && draft.tree.first_child(n) != no_node) {
      (void)draft.tree.append_probe(draft.tree.first_child(n), draft.tree.token_of(draft.tree.first_child(n)));
    }
  }

  template <class Real, class Chance>
  [[nodiscard]] node_id add_child(work<Real>& w, token_draft<Real>& draft, Chance& chance, chance_key key, node_id n,
                                  std::int32_t row, draw_kind kind) const {
    const distribution_view<Real> law = draft.rows.row(row);
    if (kind == draw_kind::chosen) {
      const token best = argmax_without(law, w.chosen, w.rest);
      if (best == no_token) return no_node;
      w.chosen.push_back(best);
      return draft.tree.append(n, best);
    }
    if (kind == draw_kind::distinct) {
      if (!keep_rest(law, w.drawn, w.rest)) return no_node;
      const token drawn = chance.pick(key, w.rest.view());
      w.drawn.push_back(drawn);
      return draft.tree.append(n, drawn, {edge_law::without_replacement, row});
    }
    const token drawn = chance.pick(key, law);
    const tree_edge edge{edge_law::independent, row};
    const node_id sibling = draft.tree.child_with(n, drawn);
    if (kind == draw_kind::drawn || sibling == no_node) return draft.tree.append(n, drawn, edge);
    draft.tree.repeat(sibling, edge);
    return no_node;
  }

  template <class Real>
  [[nodiscard]] static bool is_flat(distribution_view<Real> law) {
    const token best = argmax(law);
    return static_cast<mass_t<Real>>(law.weight_of(best)) * mass_t<Real>(2) < law.mass();
  }
  template <class Real>
  [[nodiscard]] bool stops_below(const token_draft<Real>& draft, std::int32_t row, node_id child) const {
    if (stop != stop_rule::token_unlikely) return false;
    const distribution_view<Real> law = draft.rows.row(row);
    return static_cast<mass_t<Real>>(law.weight_of(draft.tree.token_of(child))) * mass_t<Real>(3) < law.mass();
  }

  /// Writes the law without some tokens; false when nothing is left.
  template <class Real>
  [[nodiscard]] static bool keep_rest(distribution_view<Real> law, const std::vector<token>& without,
                                      distribution<Real>& rest) {
    rest.begin_sparse(law.vocab_size());
    for (std::size_t i = 0; i < law.size(); ++i) {
      const bool taken = std::find(without.begin(), without.end(), law.id(i)) != without.end();
      if (!taken && law.weight(i) > Real(0)) rest.push(law.id(i), law.weight(i));
    }
    return rest.finish() == error_code::none;
  }
  template <class Real>
  [[nodiscard]] static token argmax_without(distribution_view<Real> law, const std::vector<token>& without,
                                            distribution<Real>& rest) {
    return keep_rest(law, without, rest) ? argmax(rest.view()) : no_token;
  }
};

/// A chain of drawn tokens.
[[nodiscard]] inline scripted_builder<tree_class::counted, true> scripted_chain(std::size_t length) {
  return {"scripted chain of " + std::to_string(length), std::vector<level_script>(length, {draw_kind::drawn})};
}
/// A chain of the most probable tokens.
[[nodiscard]] inline scripted_builder<tree_class::deterministic, true> scripted_argmax_chain(std::size_t length) {
  return {"scripted argmax chain of " + std::to_string(length), std::vector<level_script>(length, {draw_kind::chosen})};
}
/// A tree with a number of children of one kind per level.
template <tree_class Class = tree_class::counted>
[[nodiscard]] scripted_builder<Class> scripted_widths(std::string name, std::vector<std::size_t> widths,
                                                      draw_kind kind) {
  scripted_builder<Class> builder{std::move(name), {}};
  for (const std::size_t width : widths) builder.levels.emplace_back(width, kind);
  return builder;
}

}  // namespace decant_test

#endif
