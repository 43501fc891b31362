// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Wrong tree builders, one mistake each: their edges do not carry the law their tokens had, or their growth looks at
// tokens it then throws away. They all call themselves sampled, which is the lie.
#ifndef DECANT_TESTS_PROOF_ZOO_BUILDERS_HPP
#define DECANT_TESTS_PROOF_ZOO_BUILDERS_HPP

#include "tests/proof/scripted_builder.hpp"
#include "tests/proof/zoo_verifiers.hpp"

namespace decant_test::zoo {

/// A chain whose token is drawn by `Flaw::draw(row, key, chance)`, a token or `no_token` to stop, and recorded as an
/// independent draw from the row.
template <class Flaw>
struct flawed_chain {
  static constexpr tree_class produces = tree_class::sampled;
  static constexpr bool chains_only = true;

  std::int32_t length = 1;

  template <class Real>
  struct work {
    node_id end = 0;
    std::int32_t left = 0;
  };
  template <class Real>
  void start(work<Real>& w, const token_draft<Real>&, const draft_limits& limits) const {
    w = {0, std::min({length, limits.nodes, limits.depth})};
  }
  template <class Real>
  [[nodiscard]] node_span wanted(const work<Real>& w) const {
    return {&w.end, w.left > 0 ? std::size_t{1} : std::size_t{0}};
  }
  template <class Real, class Chance>
  void grow(work<Real>& w, token_draft<Real>& draft, std::uint64_t root_position, Chance& chance) const {
    const std::int32_t row = draft.row_after(w.end);
    const auto next = static_cast<node_id>(draft.tree.size());
    const token drawn = Flaw::draw(dense(draft.rows.row(row)), draft_key(Flaw::place(root_position), next), chance);
    w.left = drawn == no_token ? 0 : w.left - 1;
    if (drawn != no_token) w.end = draft.tree.append(w.end, drawn, {edge_law::independent, row});
  }
};

struct sound_draw {
  template <class Real, class Chance>
  [[nodiscard]] static token draw(const row_of<Real>& row, chance_key key, Chance& chance) {
    return zoo::draw(chance, key, row);
  }
  [[nodiscard]] static std::uint64_t place(std::uint64_t root_position) { return root_position; }
};

/// The most probable token, passed off as drawn (M6).
struct argmax_as_drawn : sound_draw {
  template <class Real, class Chance>
  [[nodiscard]] static token draw(const row_of<Real>& row, chance_key, Chance&) {
    return static_cast<token>(std::max_element(row.begin(), row.end()) - row.begin());
  }
};

/// Drawn at temperature 1/2, verified with the row at temperature 1 (M13).
struct sharper_than_recorded : sound_draw {
  template <class Real, class Chance>
  [[nodiscard]] static token draw(row_of<Real> row, chance_key key, Chance& chance) {
    for (Real& w : row) w = w * w;
    return zoo::draw(chance, key, row);
  }
};

/// Drawn from the two most probable tokens, verified with the whole row.
struct truncated_but_not_recorded : sound_draw {
  template <class Real, class Chance>
  [[nodiscard]] static token draw(row_of<Real> row, chance_key key, Chance& chance) {
    row_of<Real> sorted = row;
    std::sort(sorted.begin(), sorted.end(), [](const Real& a, const Real& b) { return b < a; });
    const Real second = sorted[1];
    for (Real& w : row) {
      if (w < second) w = Real(0);
    }
    return zoo::draw(chance, key, row);
  }
};

/// Throws an improbable token away after drawing it, and stops (M11).
struct discards_improbable : sound_draw {
  template <class Real, class Chance>
  [[nodiscard]] static token draw(const row_of<Real>& row, chance_key key, Chance& chance) {
    const token drawn = zoo::draw(chance, key, row);
    return row[index(drawn)] * Real(10) < Real(3) ? no_token : drawn;
  }
};

/// Draws again until the token is probable, verified with the whole row.
struct redraws_until_probable : sound_draw {
  template <class Real, class Chance>
  [[nodiscard]] static token draw(row_of<Real> row, chance_key key, Chance& chance) {
    for (Real& w : row) {
      if (w * Real(10) < Real(2)) w = Real(0);
    }
    return zoo::draw(chance, key, row);
  }
};

/// Every step drafts with the noise of the first (M15; Sequoia's released code).
struct noise_shared_by_steps : sound_draw {
  [[nodiscard]] static std::uint64_t place(std::uint64_t) { return 0; }
};

/// Two independent draws below the root; a repeat is dropped as if it had never been drawn, and what stays is verified
/// as independent. (With q without the drawn tokens as its law the same tree would be sound.)
struct duplicates_dropped {
  static constexpr tree_class produces = tree_class::sampled;
  static constexpr bool chains_only = false;

  std::size_t draws = 3;

  template <class Real>
  struct work {
    node_id root = 0;
    bool done = false;
  };
  template <class Real>
  void start(work<Real>& w, const token_draft<Real>&, const draft_limits& limits) const {
    w.done = limits.depth < 1;
  }
  template <class Real>
  [[nodiscard]] node_span wanted(const work<Real>& w) const {
    return {&w.root, w.done ? std::size_t{0} : std::size_t{1}};
  }
  template <class Real, class Chance>
  void grow(work<Real>& w, token_draft<Real>& draft, std::uint64_t root_position, Chance& chance) const {
    const std::int32_t row = draft.row_after(0);
    for (std::size_t i = 0; i < draws; ++i) {
      const token drawn = chance.pick(draft_key(root_position, static_cast<node_id>(i) + 1), draft.rows.row(row));
      if (draft.tree.child_with(0, drawn) == no_node) draft.tree.append(0, drawn, {edge_law::independent, row});
    }
    w.done = true;
  }
};

/// A tree [2, 2] drawn without replacement, of which the nodes of largest path probability are kept (M5).
struct sampled_then_reranked {
  static constexpr tree_class produces = tree_class::sampled;
  static constexpr bool chains_only = false;

  scripted_builder<> inner = scripted_widths("", {2, 2}, draw_kind::distinct);
  std::size_t keep = 3;

  template <class Real>
  struct work {
    typename scripted_builder<>::work<Real> inner;
  };
  template <class Real>
  void start(work<Real>& w, token_draft<Real>& draft, const draft_limits& limits) const {
    inner.start(w.inner, draft, limits);
  }
  template <class Real>
  [[nodiscard]] node_span wanted(const work<Real>& w) const {
    return inner.wanted(w.inner);
  }
  template <class Real, class Chance>
  void grow(work<Real>& w, token_draft<Real>& draft, std::uint64_t root_position, Chance& chance) const {
    inner.grow(w.inner, draft, root_position, chance);
    if (inner.wanted(w.inner).empty()) rerank(draft);
  }

 private:
  template <class Real>
  void rerank(token_draft<Real>& draft) const {
    const token_tree full = draft.tree;
    std::vector<Real> score(full.size(), Real(1));
    std::vector<node_id> best;
    for (const node_id n : full.all().subspan(1)) {
      score[index(n)] = score[index(full.parent(n))] * dense(draft.row_of(full.edge(n)))[index(full.token_of(n))];
      best.push_back(n);
    }
    std::stable_sort(best.begin(), best.end(), [&](node_id a, node_id b) { return score[index(b)] < score[index(a)]; });
    best.resize(std::min(keep, best.size()));
    std::sort(best.begin(), best.end());
    std::vector<node_id> place(full.size(), no_node);
    place[0] = 0;
    draft.tree.reset(full.token_of(0));
    for (const node_id n : best) {
      place[index(n)] = draft.tree.append(place[index(full.parent(n))], full.token_of(n), full.edge(n));
    }
  }
};

/// Grows layer by layer, drawing below a node while its value (product of draft probabilities, less what was drawn) is
/// above a threshold. `Drops` throws a child away after drawing it when its own value is not (M10); without it this is
/// the sound rule of DySpec (arXiv 2410.11744).
template <bool Drops>
struct threshold_tree {
  static constexpr tree_class produces = tree_class::sampled;
  static constexpr bool chains_only = false;

  std::int32_t depth = 2;

  template <class Real>
  struct work {
    std::vector<node_id> layer;
    std::vector<Real> value;  // by node
    std::int32_t depth = 0;
  };
  template <class Real>
  void start(work<Real>& w, const token_draft<Real>&, const draft_limits& limits) const {
    w.value.assign(1, Real(1));
    w.depth = std::min(depth, limits.depth);
    w.layer.clear();
    if (w.depth > 0) w.layer.push_back(0);
  }
  template <class Real>
  [[nodiscard]] node_span wanted(const work<Real>& w) const {
    return w.layer;
  }
  template <class Real, class Chance>
  void grow(work<Real>& w, token_draft<Real>& draft, std::uint64_t root_position, Chance& chance) const {
    const std::vector<node_id> layer = std::exchange(w.layer, {});
    for (const node_id n : layer) grow_below(w, draft, root_position, chance, n);
  }

 private:
  template <class Real>
  [[nodiscard]] static bool above(const Real& value) {
    return Real(1) < value * Real(4);  // threshold 0.25
  }

  template <class Real, class Chance>
  void grow_below(work<Real>& w, token_draft<Real>& draft, std::uint64_t root_position, Chance& chance,
                  node_id n) const {
    const std::int32_t row = draft.row_after(n);
    row_of<Real> rest = dense(draft.rows.row(row));
    Real value = w.value[index(n)];
    for (std::uint32_t i = 0; above(value) && sum(rest) > Real(0); ++i) {
      const chance_key key{root_position, chance_purpose::draft, 100 * static_cast<std::uint32_t>(n) + i};
      const token drawn = draw(chance, key, rest);
      const Real share = rest[index(drawn)] / sum(rest);
      const Real child_value = value * share;
      value = value * (Real(1) - share);
      rest[index(drawn)] = Real(0);
      if (Drops && !above(child_value)) continue;
      const node_id child = draft.tree.append(n, drawn, {edge_law::without_replacement, row});
      w.value.push_back(child_value);
      if (above(child_value) && draft.tree.depth(child) < w.depth) w.layer.push_back(child);
    }
  }
};

/// The first child of the race of the draft row under the noise of the position it would take, passed off as a fresh
/// draw: right for a verifier that runs the same race, wrong for one that tests the draw.
struct shares_the_verifiers_noise {
  static constexpr tree_class produces = tree_class::counted;

  template <class Real, class Chance>
  void draw(token_draft<Real>& draft, node_id parent, std::int32_t count, std::uint64_t root_position,
            Chance& chance) const {
    const tree_edge edge{edge_law::independent, draft.row_after(parent)};
    const auto position = root_position + static_cast<std::uint64_t>(draft.tree.depth(parent)) + 1;
    if (count > 0) draft.tree.append(parent, chance.pick(sample_key(position), draft.row_of(edge)), edge);
  }
};

/// The most probable token as it is, and one drawn from the others but recorded as drawn from the whole row.
struct rest_recorded_as_row {
  static constexpr tree_class produces = tree_class::counted;

  template <class Real, class Chance>
  void draw(token_draft<Real>& draft, node_id parent, std::int32_t, std::uint64_t root_position, Chance& chance) const {
    const tree_edge edge{edge_law::independent, draft.row_after(parent)};
    const token top[] = {argmax(draft.row_of(edge))};
    draft.tree.append(parent, top[0]);
    const row_of<Real> rest = without_tokens(dense(draft.row_of(edge)), top);
    if (!(sum(rest) > Real(0))) return;
    draft.tree.append(parent, zoo::draw(chance, draft_key(root_position, parent), rest), edge);
  }
};

/// One drawn child and one filler: a token its row gives no mass, of which there is one on some toys.
struct with_filler {
  static constexpr tree_class produces = tree_class::counted;
  static constexpr bool chains_only = false;

  template <class Real>
  struct work {
    node_id root = 0;
    bool done = false;
  };
  template <class Real>
  void start(work<Real>& w, const token_draft<Real>&, const draft_limits& limits) const {
    w.done = limits.depth < 1;
  }
  template <class Real>
  [[nodiscard]] node_span wanted(const work<Real>& w) const {
    return {&w.root, w.done ? std::size_t{0} : std::size_t{1}};
  }
  template <class Real, class Chance>
  void grow(work<Real>& w, token_draft<Real>& draft, std::uint64_t root_position, Chance& chance) const {
    const std::int32_t row = draft.row_after(0);
    draft.tree.append(0, chance.pick(draft_key(root_position, 1), draft.rows.row(row)), {edge_law::independent, row});
    const row_of<Real> q = dense(draft.rows.row(row));
    for (std::size_t v = 0; v < q.size(); ++v) {
      if (!(q[v] > Real(0))) draft.tree.append(0, static_cast<token>(v), {edge_law::independent, row});
    }
    w.done = true;
  }
};

}  // namespace decant_test::zoo

#endif
