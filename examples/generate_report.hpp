// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `generate`: the figures of a run, for people and for programs.
#ifndef DECANT_EXAMPLES_GENERATE_REPORT_HPP
#define DECANT_EXAMPLES_GENERATE_REPORT_HPP

#include "generate_decoder.hpp"

#include <decant/core/json_writer.hpp>
#include <decant/core/statistics.hpp>

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace generate_program {

/// How a run ended.
struct outcome {
  std::vector<decant::token> tokens;  ///< generated, without the prompt
  decant::finish_reason finish = decant::finish_reason::none;
  decant::decode_statistics figures{};
  decant::guarantee promise = decant::guarantee::lossy;
};

/// Two runs of one prompt.
struct comparison {
  outcome drafted;
  outcome plain;
  bool same_for_every_draft = false;  ///< whether the verifier promises one text for a seed, drafted or not

  [[nodiscard]] double ratio() const {
    const double speed = plain.figures.tokens_per_second();
    return speed > 0 ? drafted.figures.tokens_per_second() / speed : 0;
  }
  [[nodiscard]] bool identical() const { return drafted.tokens == plain.tokens; }
  /// Whether a difference between the texts would be a fault.
  [[nodiscard]] bool must_be_identical() const {
    return same_for_every_draft || drafted.promise >= decant::guarantee::greedy_identical;
  }
  /// Number of the first token that differs, from 1.
  [[nodiscard]] std::size_t first_difference() const {
    const auto differing =
        std::mismatch(plain.tokens.begin(), plain.tokens.end(), drafted.tokens.begin(), drafted.tokens.end());
    return static_cast<std::size_t>(differing.first - plain.tokens.begin()) + 1;
  }
};

inline double rate(std::uint64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

/// "lookup" or "model".
inline std::string source_name(const options& chosen) { return chosen.draft.substr(0, chosen.draft.find(':')); }

/// What a lossy verifier gave away, as far as it measures that. Its law is compared with the model's where the run
/// samples; at temperature 0 there is no law to keep.
inline void print_loss(const options& chosen, const decant::relaxed_loss& loss) {
  if (loss.passes == 0) {
    fmt::print(stderr, "loss       this verifier does not measure it\n");
    return;
  }
  fmt::print(stderr, "loss       {} of {} tokens accepted where an exact verifier might have refused", loss.relaxed,
             loss.tokens);
  if (loss.regrets > loss.impossible) {
    fmt::print(stderr, ", {:.2f} nats below the model's best on average", loss.mean_regret());
  }
  if (loss.impossible > 0) fmt::print(stderr, ", {} of them impossible for the model", loss.impossible);
  fmt::print(stderr, "\n");
  if (loss.positions == 0 || !(chosen.temperature > 0)) return;
  fmt::print(stderr, "loss       from the model's law, mean of {} tokens: total variation {:.4f}, divergence ",
             loss.positions, loss.mean_total_variation());
  if (loss.unbounded < loss.positions) fmt::print(stderr, "{:.4f} nats", loss.mean_divergence());
  if (loss.unbounded > 0) {
    const bool always = loss.unbounded == loss.positions;
    fmt::print(stderr, "{}", always ? "infinite" : fmt::format(", infinite at {} more", loss.unbounded));
  }
  fmt::print(stderr, "\n");
}

inline void print_summary(const options& chosen, const outcome& ended, std::size_t prompt_tokens) {
  const decant::decode_statistics& figures = ended.figures;
  const decant::draft_counts drafted = figures.drafted();
  fmt::print(stderr, "prompt     {} tokens in {:.2f} s ({:.1f} tokens/s)\n", prompt_tokens, figures.seconds.prefill,
             rate(prompt_tokens, figures.seconds.prefill));
  fmt::print(stderr, "generated  {} tokens in {:.2f} s ({:.1f} tokens/s); ended by: {}\n", figures.tokens,
             figures.seconds.decoding(), figures.tokens_per_second(), decant::name(ended.finish));
  fmt::print(stderr, "drafting   {}: {:.2f} tokens per pass; {} of {} drafted tokens accepted ({:.1f} %); {}\n",
             source_name(chosen), figures.tokens_per_pass(), drafted.accepted, drafted.proposed,
             100 * figures.acceptance_rate(), decant::name(ended.promise));
  if (ended.promise == decant::guarantee::lossy) print_loss(chosen, figures.loss);
}

inline void print_counts(std::string_view what, const decant::draft_counts& counts) {
  if (counts.proposed == 0) return;
  fmt::print(stderr, "{:<10} {} drafted, {} reached, {} accepted\n", what, counts.proposed, counts.reached,
             counts.accepted);
}

inline void print_details(const options& chosen, const decant::decode_statistics& figures) {
  const decant::phase_seconds& time = figures.seconds;
  fmt::print(stderr, "time       prompt {:.3f} s, draft {:.3f} s, model {:.3f} s, verify {:.3f} s, commit {:.3f} s\n",
             time.prefill, time.draft, time.target, time.verify, time.commit);
  fmt::print(stderr, "passes     {}; rows processed {}; drafts accepted whole {}\n", figures.passes,
             figures.rows_processed, figures.full_acceptances);
  for (std::size_t i = 0; i < figures.by_source.size(); ++i) {
    print_counts(i == 0 ? source_name(chosen) : fmt::format("source {}", i), figures.by_source[i]);
  }
  for (std::size_t i = 0; i < figures.by_depth.size(); ++i) {
    print_counts(fmt::format("depth {}", i + 1), figures.by_depth[i]);
  }
}

inline void print_costs(const decoder_parts& parts) {
  if (!parts.target_costs) return;
  const decant::pass_costs& costs = *parts.target_costs;
  fmt::print(stderr, "costs      a pass over 1 token {:.2f} ms; over 2, 4, 8, 16 tokens {:.2f}, {:.2f}, {:.2f}, {:.2f}",
             1e3 * costs.plain_seconds, costs.curve.time(2), costs.curve.time(4), costs.curve.time(8),
             costs.curve.time(16));
  if (parts.draft_costs) fmt::print(stderr, "; a draft pass {:.2f}", parts.draft_pass());
  fmt::print(stderr, " times that\n");
}

inline void print_comparison(const options& chosen, const comparison& both) {
  fmt::print(stderr, "compare    plain decoding {:.1f} tokens/s, {} drafting {:.1f} tokens/s: {:.2f} times as fast\n",
             both.plain.figures.tokens_per_second(), source_name(chosen), both.drafted.figures.tokens_per_second(),
             both.ratio());
  if (both.identical()) {
    fmt::print(stderr, "compare    the texts are identical\n");
  } else if (both.must_be_identical()) {
    fmt::print(stderr, "compare    the texts DIFFER from token {} on\n", both.first_difference());
  } else {
    fmt::print(stderr, "compare    the texts differ from token {} on, as they may: this verifier is {}\n",
               both.first_difference(), decant::name(both.drafted.promise));
  }
}

// --- Scores ---

struct scored_token {
  decant::token id;
  double log_probability;
  std::vector<decant::token_log_probability> alternatives{};  ///< best first
};

/// Printable ASCII as it is, other bytes as \xNN.
inline std::string escaped(std::string_view text) {
  std::string shown;
  for (const char c : text) {
    const bool plain = c >= ' ' && c <= '~' && c != '\\';
    shown += plain ? std::string(1, c) : fmt::format("\\x{:02X}", static_cast<unsigned char>(c));
  }
  return shown;
}

inline void print_score(const char* name, double value, decant::token id, const decant::tokenizer& words) {
  const std::string_view bytes = words.words().bytes(id);
  const std::string_view text = bytes.empty() ? words.words().text(id) : bytes;
  fmt::print(stderr, "{:10} {:9.4f} {:6} {}\n", name, value, id, escaped(text));
}

inline void print_scores(std::span<const scored_token> scores, const decant::tokenizer& words) {
  for (const scored_token& score : scores) {
    print_score("logprob", score.log_probability, score.id, words);
    for (const auto& [id, value] : score.alternatives) print_score("    best", value, id, words);
  }
}

// --- JSON ---

inline void write_outcome(decant::json_writer& out, const char* key, const outcome& ended) {
  out.key(key).begin_object();
  out.field("finish", decant::name(ended.finish)).field("guarantee", decant::name(ended.promise));
  out.field("tokens_per_second", ended.figures.tokens_per_second());
  out.key("statistics");
  ended.figures.write_json(out);
  out.end_object();
}

/// One object: what ran, how it went, and how it compares with plain decoding (null unless that ran too).
inline std::string figures_as_json(const options& chosen, std::size_t prompt_tokens, const comparison& both,
                                   bool compared) {
  decant::json_writer out;
  out.begin_object();
  out.field("model", chosen.model.c_str()).field("draft", chosen.draft.c_str());
  out.field("verifier", verifier_name(chosen).c_str()).field("prompt_tokens", prompt_tokens);
  write_outcome(out, "decoded", both.drafted);
  if (compared) {
    write_outcome(out, "plain", both.plain);
    out.field("ratio", both.ratio()).field("identical", both.identical());
  } else {
    out.key("plain").null().key("ratio").null().key("identical").null();
  }
  out.end_object().end_line();
  return {out.text().begin(), out.text().end()};
}

}  // namespace generate_program

#endif
