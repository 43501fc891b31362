// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What speculation did: how many tokens per pass, and what of the drafts was accepted at which depth, as which sibling,
// and from which drafter. Counters only, in place: recording allocates nothing.
#ifndef DECANT_CORE_STATISTICS_HPP
#define DECANT_CORE_STATISTICS_HPP

#include <decant/core/json_writer.hpp>
#include <decant/core/relaxed_loss.hpp>
#include <decant/core/token_tree.hpp>

#include <array>

namespace decant::inline DECANT_ABI {

/// Counts of drafted nodes of one kind.
struct draft_counts {
  std::uint64_t proposed = 0;  ///< drafted
  std::uint64_t reached = 0;   ///< drafted below a node of the accepted path, so that acceptance was decided for them
  std::uint64_t accepted = 0;  ///< on the accepted path

  draft_counts& operator+=(const draft_counts& other) noexcept {
    proposed += other.proposed;
    reached += other.reached;
    accepted += other.accepted;
    return *this;
  }
  friend bool operator==(const draft_counts&, const draft_counts&) = default;
};

/// Time spent, in seconds. Filled by drivers that own a clock; zero otherwise.
struct phase_seconds {
  double prefill = 0;  ///< processing prompts
  double draft = 0;    ///< plan: drafting, draft model passes included
  double target = 0;   ///< target passes
  double verify = 0;   ///< absorb: processing rows, verification, bookkeeping
  double commit = 0;   ///< keeping and dropping KV entries

  [[nodiscard]] double decoding() const noexcept { return draft + target + verify + commit; }
  phase_seconds& operator+=(const phase_seconds& other) noexcept {
    prefill += other.prefill;
    draft += other.draft;
    target += other.target;
    verify += other.verify;
    commit += other.commit;
    return *this;
  }
  friend bool operator==(const phase_seconds&, const phase_seconds&) = default;
};

/// Statistics of one or more sequences; sums with `+=`.
struct decode_statistics {
  static constexpr std::size_t depth_bins = 32;    ///< the last bin holds everything deeper
  static constexpr std::size_t sibling_bins = 16;  ///< the last bin holds everything later
  static constexpr std::size_t source_bins = 8;    ///< the last bin holds all higher source tags

  std::uint64_t passes = 0;                             ///< target passes
  std::uint64_t tokens = 0;                             ///< emitted tokens
  std::uint64_t rows_processed = 0;                     ///< rows turned into distributions
  std::uint64_t full_acceptances = 0;                   ///< steps with a draft whose path reached a leaf
  std::array<draft_counts, depth_bins> by_depth{};      ///< bin i: depth i + 1
  std::array<draft_counts, sibling_bins> by_sibling{};  ///< bin i: i-th child in draw order
  std::array<draft_counts, source_bins> by_source{};    ///< bin i: source tag i
  relaxed_loss loss{};                                  ///< what a relaxed verifier that measures it gave away
  phase_seconds seconds{};

  /// Records one step: the tree, the accepted path (root included) as far as its tokens were emitted, the number of
  /// emitted tokens and of processed rows. O(nodes).
  void record(const token_tree& tree, node_span path, std::size_t emitted, std::size_t processed_rows) noexcept {
    ++passes;
    tokens += emitted;
    rows_processed += processed_rows;
    if (tree.size() > 1 && !path.empty() && tree.first_child(path.back()) == no_node) ++full_acceptances;
    for (const node_id parent : tree.all()) {
      const std::size_t level = index(tree.depth(parent));
      const bool reached = level < path.size() && path[level] == parent;
      const node_id accepted = reached && level + 1 < path.size() ? path[level + 1] : no_node;
      std::size_t rank = 0;
      for (node_id n = tree.first_child(parent); n != no_node; n = tree.next_sibling(n)) {
        const draft_counts one{1, reached, n == accepted};
        by_depth[std::min(level, depth_bins - 1)] += one;
        by_sibling[std::min(rank++, sibling_bins - 1)] += one;
        by_source[std::min<std::size_t>(tree.source(n), source_bins - 1)] += one;
      }
    }
  }

  [[nodiscard]] draft_counts drafted() const noexcept {
    draft_counts sum;
    for (const draft_counts& bin : by_depth) sum += bin;
    return sum;
  }
  /// Block efficiency: emitted tokens per target pass. 0 before the first pass.
  [[nodiscard]] double tokens_per_pass() const noexcept { return ratio(tokens, passes); }
  /// Share of drafted nodes that were accepted.
  [[nodiscard]] double acceptance_rate() const noexcept { return ratio(drafted().accepted, drafted().proposed); }
  /// Emitted tokens per second of decoding, 0 without a clock.
  [[nodiscard]] double tokens_per_second() const noexcept {
    return seconds.decoding() > 0 ? static_cast<double>(tokens) / seconds.decoding() : 0;
  }

  decode_statistics& operator+=(const decode_statistics& other) noexcept {
    passes += other.passes;
    tokens += other.tokens;
    rows_processed += other.rows_processed;
    full_acceptances += other.full_acceptances;
    for (std::size_t i = 0; i < depth_bins; ++i) by_depth[i] += other.by_depth[i];
    for (std::size_t i = 0; i < sibling_bins; ++i) by_sibling[i] += other.by_sibling[i];
    for (std::size_t i = 0; i < source_bins; ++i) by_source[i] += other.by_source[i];
    if (other.loss.passes > 0) loss.merge(other.loss);
    seconds += other.seconds;
    return *this;
  }

  /// One JSON object; bins are arrays of [proposed, reached, accepted], cut after the last that is not empty. The loss
  /// is there when something was measured.
  void write_json(json_writer& out) const {
    out.begin_object();
    out.field("passes", passes).field("tokens", tokens).field("tokens_per_pass", tokens_per_pass());
    out.field("rows_processed", rows_processed).field("full_acceptances", full_acceptances);
    out.field("acceptance_rate", acceptance_rate());
    write_bins(out, "by_depth", by_depth);
    write_bins(out, "by_sibling", by_sibling);
    write_bins(out, "by_source", by_source);
    if (loss.passes > 0) write_loss(out, loss);
    out.key("seconds").begin_object();
    out.field("prefill", seconds.prefill).field("draft", seconds.draft).field("target", seconds.target);
    out.field("verify", seconds.verify).field("commit", seconds.commit);
    out.end_object();
    out.end_object();
  }

  friend bool operator==(const decode_statistics&, const decode_statistics&) = default;

 private:
  [[nodiscard]] static double ratio(std::uint64_t a, std::uint64_t b) noexcept {
    return b == 0 ? 0 : static_cast<double>(a) / static_cast<double>(b);
  }
  static void write_loss(json_writer& out, const relaxed_loss& loss) {
    out.key("loss").begin_object();
    out.field("tokens", loss.tokens).field("relaxed", loss.relaxed).field("positions", loss.positions);
    out.field("mean_total_variation", loss.mean_total_variation()).field("mean_divergence", loss.mean_divergence());
    out.field("unbounded", loss.unbounded).field("mean_regret", loss.mean_regret());
    out.field("regret_99", loss.regret_percentile(0.99)).field("impossible", loss.impossible);
    out.field("greedy_run", loss.greedy_run);
    out.end_object();
  }
  template <class Bins>
  static void write_bins(json_writer& out, const char* name, const Bins& bins) {
    std::size_t used = bins.size();
    while (used > 0 && bins[used - 1].proposed == 0) --used;
    out.key(name).begin_array();
    for (std::size_t i = 0; i < used; ++i) {
      out.begin_array().value(bins[i].proposed).value(bins[i].reached).value(bins[i].accepted).end_array();
    }
    out.end_array();
  }
};

}  // namespace decant::inline DECANT_ABI

#endif
