// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A trace of every step, as an optional policy of the state machine: by default it is empty and compiled out.
#ifndef DECANT_DECODE_TRACE_HPP
#define DECANT_DECODE_TRACE_HPP

#include <decant/core/json_writer.hpp>
#include <decant/core/token_draft.hpp>
#include <decant/verify/verifier.hpp>

namespace decant::inline DECANT_ABI {

/// What a trace is shown just before a step is committed. References are valid during the call.
template <class Real, class Laws>
struct step_trace {
  std::uint64_t root_position;
  const token_draft<Real>& draft;
  const verdict& outcome;
  token_span emitted;
  node_span kept;
  Laws& laws;  ///< asking for a law that was not visited processes it
};

/// No trace: costs nothing.
struct no_trace {
  static constexpr bool enabled = false;
  template <class Real, class Laws>
  void step(const step_trace<Real, Laws>&) const noexcept {}
};

/// One JSON line per step: root position, tree (token, parent, law, row), draft and target probability of every drafted
/// token below a visited node, accepted path, last token and its kind, emitted tokens. `Sink` is called with each line,
/// `sink(std::span<const char>)`. Coins need no entry: they are a function of the seed and their keys; wrap the chance
/// source in `recording_chance` to see them.
template <class Sink>
class json_trace {
 public:
  static constexpr bool enabled = true;

  explicit json_trace(Sink sink) : sink_(std::move(sink)) {}

  template <class Real, class Laws>
  void step(const step_trace<Real, Laws>& shown) {
    out_.clear();
    out_.begin_object().field("root_position", shown.root_position);
    write_tree(shown);
    out_.array_field("path", shown.outcome.path).field("last", shown.outcome.last);
    out_.field("kind", kind_name(shown.outcome.kind));
    out_.array_field("emitted", shown.emitted).array_field("kept", shown.kept);
    out_.end_object().end_line();
    sink_(out_.text());
  }

 private:
  template <class Real, class Laws>
  void write_tree(const step_trace<Real, Laws>& shown) {
    const token_tree& tree = shown.draft.tree;
    out_.key("nodes").begin_array();
    for (const node_id n : tree.all()) {
      out_.begin_object().field("token", tree.token_of(n)).field("parent", tree.parent(n));
      if (n != 0 && tree.kind(n) == node_kind::drafted) write_edge(shown, n);
      out_.end_object();
    }
    out_.end_array();
  }

  template <class Real, class Laws>
  void write_edge(const step_trace<Real, Laws>& shown, node_id n) {
    const token_tree& tree = shown.draft.tree;
    const tree_edge edge = tree.edge(n);
    out_.field("law", edge_name(edge.law));
    if (edge.law != edge_law::deterministic) {
      out_.field("row", edge.row).field("q", shown.draft.row_of(edge).probability(tree.token_of(n)));
    }
    const auto& path = shown.outcome.path;
    if (std::find(path.begin(), path.end(), tree.parent(n)) == path.end()) return;
    if (const auto* law = shown.laws.law(tree.parent(n))) out_.field("p", law->view().probability(tree.token_of(n)));
  }

  [[nodiscard]] static const char* edge_name(edge_law law) noexcept {
    switch (law) {
      case edge_law::deterministic: return "deterministic";
      case edge_law::independent: return "independent";
      case edge_law::without_replacement: return "without_replacement";
    }
    return "unknown";
  }
  [[nodiscard]] static const char* kind_name(last_token_kind kind) noexcept {
    switch (kind) {
      case last_token_kind::bonus: return "bonus";
      case last_token_kind::correction: return "correction";
      case last_token_kind::sample: return "sample";
    }
    return "unknown";
  }

  Sink sink_;
  json_writer out_;
};

}  // namespace decant::inline DECANT_ABI

#endif
