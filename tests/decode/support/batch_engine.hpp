// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An engine as servers have it: its own loop, one KV cache per sequence, one pass for the nodes of many sequences. What
// a cache holds are (token, position) pairs; the row after a node is the law of the pairs it sees by the plan's own bit
// rows, so that a wrong position, mask, kept path or offset changes the text.
#ifndef DECANT_TESTS_DECODE_BATCH_ENGINE_HPP
#define DECANT_TESTS_DECODE_BATCH_ENGINE_HPP

#include <decant/decode/speculation.hpp>

#include <cmath>
#include <utility>
#include <vector>

namespace decant_test {

template <class Law>
class batch_engine {
 public:
  batch_engine(Law law, std::size_t sequences) : law_(std::move(law)), caches_(sequences) {}

  [[nodiscard]] std::size_t length(std::size_t sequence) const { return caches_[sequence].size(); }

  void prefill(std::size_t sequence, decant::token_span tokens) {
    for (const decant::token t : tokens) caches_[sequence].push_back({t, caches_[sequence].size()});
  }
  void truncate(std::size_t sequence, std::size_t length) {
    if (length < caches_[sequence].size()) caches_[sequence].resize(length);
  }

  /// Adds a plan to the next pass; returns the number of its first row.
  std::size_t add(std::size_t sequence, const decant::draft_plan& plan) {
    const std::size_t first_row = pending_.size();
    const decant::layout_arrays& layout = plan.layout.in_creation_order();
    for (std::size_t slot = 0; slot < layout.size(); ++slot) {
      const decant::node_id n = layout.node_at(slot);
      node added{sequence, {plan.tree.token_of(n), plan.position(n)}, {}};
      for (std::size_t other = 0; other < layout.size(); ++other) {
        if (layout.sees(slot, other)) added.visible.push_back(first_row + other);
      }
      pending_.push_back(std::move(added));
    }
    return first_row;
  }

  /// Runs the pass: one row after another.
  [[nodiscard]] std::vector<float> run() {
    std::vector<float> rows(pending_.size() * law_.vocab_size());
    for (std::size_t i = 0; i < pending_.size(); ++i) {
      write_row(pending_[i], std::span<float>(rows).subspan(i * law_.vocab_size(), law_.vocab_size()));
    }
    return rows;
  }

  /// Keeps a path of the last pass whose plan began at `first_row`.
  void keep(std::size_t sequence, std::size_t first_row, decant::node_span path) {
    for (const decant::node_id n : path) caches_[sequence].push_back(pending_[first_row + decant::index(n)].entry);
  }
  void drop_pass() { pending_.clear(); }

  [[nodiscard]] std::size_t vocab_size() const { return law_.vocab_size(); }

 private:
  struct entry_type {
    decant::token id;
    std::size_t position;
  };
  struct node {
    std::size_t sequence;
    entry_type entry;
    std::vector<std::size_t> visible;
  };

  void write_row(const node& asked, std::span<float> out) const {
    std::vector<entry_type> seen = caches_[asked.sequence];
    for (const std::size_t other : asked.visible) seen.push_back(pending_[other].entry);
    std::vector<decant::token> context(seen.size(), decant::no_token);
    for (const entry_type& entry : seen) {
      if (entry.position < context.size()) context[entry.position] = entry.id;
    }
    for (decant::token& t : context) t = std::max(t, 0);  // a gap: some other law
    law_.weights(context, out);
    for (float& weight : out) weight = std::log(weight);
  }

  Law law_;
  std::vector<std::vector<entry_type>> caches_;
  std::vector<node> pending_;
};

}  // namespace decant_test

#endif
