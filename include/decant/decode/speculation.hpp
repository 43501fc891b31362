// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The speculation state machine: one sequence, driven by two calls. `plan()` gives the tree to evaluate, `absorb(rows)`
// gives the tokens to emit and the path to keep. It never calls the target model, so it fits into anybody's main loop;
// plain decoding is the same machine with an empty tree.
//
// Contract with the host:
//  (a) the host has prefilled all committed tokens but the last; the last one is node 0 (the root) of every plan;
//  (b) row i is the row after node i, asked for lazily, valid until the host's next pass;
//  (c) after absorb the host keeps exactly the KV entries of `step.kept` (root included), in order, and drops the rest;
//  (d) several sequences share a pass by concatenating their plans; each gets its rows at its offset (`matrix_rows`);
//  (e) a drafter that wants rows is driven by the host between `begin_plan()` and `plan()`;
//  (f) a plan may be dropped at any time: calling plan() again starts over. An error in any call leaves the sequence as
//  it
//      was before the call.
#ifndef DECANT_DECODE_SPECULATION_HPP
#define DECANT_DECODE_SPECULATION_HPP

#include <decant/core/philox.hpp>
#include <decant/core/statistics.hpp>
#include <decant/decode/stop_rules.hpp>
#include <decant/decode/trace.hpp>
#include <decant/draft/drafter.hpp>
#include <decant/sample/log_probabilities.hpp>
#include <decant/sample/node_laws.hpp>
#include <decant/tree/layout.hpp>

namespace decant::inline DECANT_ABI {

/// Parameters of a sequence.
struct decode_options {
  std::size_t vocab_size = 0;
  std::size_t context_size = 0;                           ///< most tokens the target's context holds
  std::size_t max_tokens = static_cast<std::size_t>(-1);  ///< most tokens to emit after a prompt
  draft_limits limits{8, 8};                              ///< most nodes, and longest path, of a draft
  bool log_probabilities = false;                         ///< report log-probabilities of emitted tokens
  std::size_t alternatives = 0;                           ///< report so many best tokens beside each emitted one
  bool raw_log_probabilities = false;                     ///< both of the soft-max of the row, before any sampler step
  std::vector<token> end_of_sequence{};                   ///< any of these ends the sequence
  stop_strings stops{};                                   ///< needs `bytes`
  token_bytes bytes{};                                    ///< the detokeniser, for stop strings

  /// What is out of range, in one sentence.
  [[nodiscard]] result<void> check() const {
    if (vocab_size == 0) return error{error_code::invalid_argument, "vocab_size is 0"};
    if (context_size == 0) return error{error_code::invalid_argument, "context_size is 0"};
    if (max_tokens == 0) return error{error_code::invalid_argument, "max_tokens is 0"};
    if (limits.nodes < 0 || limits.depth < 0) return error{error_code::invalid_argument, "a draft limit is negative"};
    if (!stops.empty() && !bytes) return error{error_code::invalid_argument, "stop strings need the bytes of tokens"};
    return {};
  }
};

/// The tree to evaluate. Valid until the next call of the machine.
struct draft_plan {
  const token_tree& tree;
  std::size_t root_position;  ///< position of the root = number of tokens the host has in its KV cache
  const tree_layout& layout;  ///< ancestor bit rows, orders and sequence ids of the tree

  /// Absolute position of a node.
  [[nodiscard]] std::size_t position(node_id n) const noexcept {
    return root_position + index(tree.position_offset(n));
  }
};

/// What a step did. Spans are valid until the next call of the machine.
struct decode_step {
  token_span tokens;                                   ///< emitted tokens, at least one
  node_span kept;                                      ///< kept path, root included: the KV entries to keep, in order
  finish_reason finish = finish_reason::none;          ///< set when the sequence ends with this step
  std::span<const double> log_probabilities{};         ///< of each emitted token under the target law, if asked for
  last_token_kind last_kind = last_token_kind::bonus;  ///< of the verifier's last token, which a stop may have cut off
  node_span relaxed{};                                 ///< accepted nodes that an exact verifier might have refused
  std::size_t dropped_bytes = 0;    ///< bytes at the end of the text that belong to a stop string or follow it
  std::size_t held_back_bytes = 0;  ///< bytes at the end of the text that may still become part of a stop string
  std::span<const token_log_probability> alternatives{};  ///< as many places for each emitted token as were asked for

  /// The best tokens in the place of emitted token `i`, best first, ties by lower id: as many as were asked for, or all
  /// that had a chance. Whether the emitted one is among them is up to chance.
  [[nodiscard]] std::span<const token_log_probability> alternatives_of(std::size_t i) const noexcept {
    const std::size_t places = alternatives.size() / tokens.size();
    const auto all = alternatives.subspan(i * places, places);
    std::size_t count = 0;
    while (count < places && all[count].id != no_token) ++count;
    return all.first(count);
  }
};

/// The machine. `Rows` of absorb must have scalar `Real`, the scalar of the draft rows.
/// Complexity of a step: the verifier's, plus O(nodes). After warm-up a step allocates nothing (the token history grows
/// amortised; `reserve` avoids even that).
template <class D, class V, class S = sampler_chain<>, class Chance = philox_chance, class Real = float,
          class Trace = no_trace>
class speculation {
 public:
  static_assert(Drafter<D, Real>, "speculation: the first parameter must be a drafter for this scalar");
  static_assert(Verifier<V>, "speculation: the second parameter must be a verifier");
  static_assert(Sampler<S, Real>, "speculation: the third parameter must be a sampler for this scalar");
  static_assert(ChanceSource<Chance>, "speculation: the fourth parameter must be a chance source");
  static_assert(pairing<D, V>::ok, "speculation: this drafter and this verifier do not fit");

  using real = Real;
  using sampler_type = S;
  static constexpr bool drafts_chains_only = D::chains_only;
  /// The decoder's guarantee at compile time: the weakest of its parts. Drafters and builders cannot lower it, only
  /// fail to fit.
  static constexpr guarantee promises = V::promises;
  /// The guarantee as a value; the same unless the verifier is type-erased, which promises nothing at compile time.
  [[nodiscard]] guarantee promise() const { return promise_of(verifier_); }

  speculation(D drafter, V verifier, S sampler, Chance chance, decode_options options, Trace trace = {})
      : drafter_(std::move(drafter)),
        verifier_(std::move(verifier)),
        sampler_(std::move(sampler)),
        chance_(std::move(chance)),
        options_(std::move(options)),
        trace_(std::move(trace)),
        state_(sampler_.initial_state()),
        next_state_(state_) {}

  /// Makes room for a whole context, so that no later step allocates for the token history.
  void reserve() {
    context_.reserve(options_.context_size + 1);
    if (learns<Real>(sampler_)) observed_.reserve(options_.context_size + 1);
    emitted_.reserve(std::min(options_.context_size, index(std::max(options_.limits.depth, 0))) + 1);
  }

  /// Starts a sequence. The host prefills `prompt` without its last token. Errors: bad options, empty prompt, a token
  /// outside the vocabulary, a prompt longer than the context.
  result<void> begin(token_span prompt) {
    if (auto checked = options_.check(); !checked) return checked;
    if (prompt.empty()) return error{error_code::invalid_argument, "the prompt is empty"};
    if (auto checked = check_tokens(prompt, 0); !checked) return checked;
    if (auto fits = check_parts(); !fits) return fits;
    unobserved_ = 0;
    if (auto forgotten = drafter_.truncate(0); !forgotten) return forgotten;
    next_state_ = sampler_.initial_state();
    open_turn(0, prompt);
    still_valid_ = whole_text;
    statistics_ = {};
    return {};
  }

  /// Adds tokens that were not decoded (the next turn of a conversation). The host prefills them together with the last
  /// token it has not evaluated yet: all committed tokens but the new last one. The token limit counts anew, and to the
  /// sampler all text so far is a prompt.
  result<void> append(token_span tokens) {
    if (phase_ == phase::idle) return error{error_code::wrong_call_order, "append before begin"};
    if (tokens.empty()) return {};
    if (auto checked = check_tokens(tokens, context_.size()); !checked) return checked;
    settle();
    next_state_ = state_;
    open_turn(context_.size(), tokens);
    return {};
  }

  /// Goes back to a shorter text of at least one token; the host truncates its KV to `length - 1`. Everything is as if
  /// the text had never been longer: draws of positions decoded again, penalties, stop strings, the token limit. A
  /// sequence that had ended goes on, unless the token limit or the context's edge still forbids it. O(length) when the
  /// sampler has a state.
  result<void> rewind(std::size_t length) {
    if (phase_ == phase::idle) return error{error_code::wrong_call_order, "rewind before begin"};
    if (length == 0 || length > context_.size()) {
      return error{error_code::invalid_argument, "rewind to a length outside the text"};
    }
    settle();
    const std::size_t still_emitted = emitted_count_ - std::min(emitted_count_, context_.size() - length);
    next_state_ = sampler_.initial_state();
    const auto advance_over = [this](std::size_t first, std::size_t last) {
      for (std::size_t i = first; i < last; ++i) {
        advance_observed<Real>(sampler_, next_state_, context_[i],
                               i < observed_.size() ? observed_[i] : nothing_observed);
      }
    };
    advance_over(0, length - still_emitted);
    begin_output(sampler_, next_state_);
    advance_over(length - still_emitted, length);
    match_stops_again(context().subspan(length - still_emitted, still_emitted));
    if (auto taken_back = drafter_.truncate(std::min(length, drafter_.length())); !taken_back) return taken_back;
    context_.resize(length);
    observed_.resize(std::min(observed_.size(), length));
    still_valid_ = std::min(still_valid_, length - 1);
    open(still_emitted);
    return {};
  }

  // --- Planning ---

  /// Starts a draft. Afterwards `wanted_draft_rows()` says what it is waiting for. Errors: no sequence, sequence ended,
  /// the drafter's own.
  result<void> begin_plan() {
    if (phase_ == phase::idle) return error{error_code::wrong_call_order, "plan before begin"};
    if (phase_ == phase::finished) return error{error_code::wrong_call_order, "plan after the sequence has ended"};
    settle();
    phase_ = phase::ready;
    if (auto caught_up = catch_up(); !caught_up) return caught_up;
    draft_.reset(context_.back());
    const draft_site here = site();
    if (auto started = drafter_.start(draft_, here, chance_); !started) return started;
    drafted_within_ = here.limits;
    phase_ = phase::drafting;
    return {};
  }

  /// Nodes of `draft_tree()` whose draft rows the drafter is waiting for; empty when plan() will succeed at once.
  [[nodiscard]] node_span wanted_draft_rows() const {
    return phase_ == phase::drafting ? drafter_.wanted() : node_span{};
  }
  /// The tree so far, for the draft passes.
  [[nodiscard]] const token_tree& draft_tree() const noexcept { return draft_.tree; }

  /// Hands the wanted draft rows over. After an error (a missing or bad row) they are wanted still.
  template <RowSource Rows>
  result<void> supply_draft_rows(Rows& rows) {
    static_assert(HostDrivenDrafter<D, Real>, "supply_draft_rows: this drafter takes no rows from its host");
    if (phase_ != phase::drafting) return error{error_code::wrong_call_order, "draft rows before begin_plan"};
    if (drafter_.wanted().empty()) return error{error_code::wrong_call_order, "draft rows that are not wanted"};
    phase_ = phase::ready;  // where an exception leaves it: a draft that grew by half is dropped
    auto supplied = drafter_.supply(draft_, rows, chance_);
    phase_ = phase::drafting;
    return supplied;
  }

  /// The tree to evaluate. Begins a draft unless one is under way, and finishes it with the drafter's own model if it
  /// has one. Errors: `wrong_call_order` when the drafter still waits for rows from the host; `invalid_tree`,
  /// `invalid_token` or `row_wrong_size` when it broke its contract, and the draft is dropped; the drafter's own.
  result<draft_plan> plan() {
    if (phase_ != phase::drafting) {
      if (auto begun = begin_plan(); !begun) return begun.error();
    }
    phase_ = phase::ready;  // where a failure leaves it, exceptions included
    if constexpr (SelfDrivenDrafter<D, Real>) {
      if (auto finished = drafter_.run(draft_, chance_); !finished) return finished.error();
    }
    if (!drafter_.wanted().empty()) {
      phase_ = phase::drafting;
      return error{error_code::wrong_call_order, "plan before the wanted draft rows"};
    }
    if (auto valid = check_draft(); !valid) return valid.error();
    layout_.bind(draft_.tree);
    phase_ = phase::planned;
    still_valid_ = whole_text;
    return draft_plan{draft_.tree, context_.size() - 1, layout_};
  }

  // --- Absorbing ---

  /// Verifies the planned tree against the target's rows and commits the outcome. On error (a missing or bad row)
  /// nothing has changed: absorb may be called again with other rows, or plan() to start over.
  template <RowSource Rows>
  result<decode_step> absorb(Rows& rows) {
    if (phase_ != phase::planned) return error{error_code::wrong_call_order, "absorb before plan"};
    node_laws<Real, S, Rows> laws(sampler_, state_, draft_.tree, rows, law_work_, options_.vocab_size);
    const std::uint64_t root_position = context_.size() - 1;
    const error_code status = verifier_.verify(draft_, laws, chance_, root_position, verify_work_, verdict_);
    if (status != error_code::none) return status;
    collect_emitted();
    if (const error_code code = collect_log_probabilities(laws, rows); code != error_code::none) return code;
    if (const error_code code = collect_observed(laws); code != error_code::none) return code;
    next_state_ = laws.state(verdict_.path[emitted_.size() - 1]);
    advance_observed<Real>(sampler_, next_state_, emitted_.back(),
                           newly_observed_.empty() ? nothing_observed : newly_observed_.back());
    make_room(emitted_.size());
    const node_span path = verdict_.path;
    const node_span kept = path.first(emitted_.size());
    if constexpr (Trace::enabled) {
      trace_.step(step_trace<Real, decltype(laws)>{root_position, draft_, verdict_, emitted_, kept, laws});
    }

    // Nothing below fails.
    if (!newly_observed_.empty()) observed_.resize(context_.size(), nothing_observed);
    observed_.insert(observed_.end(), newly_observed_.begin(), newly_observed_.end());
    context_.insert(context_.end(), emitted_.begin(), emitted_.end());
    std::swap(state_, next_state_);
    std::swap(matched_, next_matched_);
    emitted_count_ += emitted_.size();
    finish_ = stop_.reason;
    phase_ = finish_ == finish_reason::none ? phase::absorbed : phase::finished;
    unobserved_ = kept.size();
    statistics_.record(draft_.tree, path.first(std::min(path.size(), emitted_.size() + 1)), emitted_.size(),
                       laws.processed());
    if (verdict_.loss.passes > 0) statistics_.loss.merge(verdict_.loss);
    return decode_step{emitted_,
                       kept,
                       finish_,
                       log_probabilities_,
                       verdict_.kind,
                       emitted_part(verdict_.relaxed),
                       stop_.dropped_bytes,
                       stop_.held_back_bytes,
                       alternatives_};
  }

  /// Ends the sequence from outside; what was emitted stays. A pending plan is dropped.
  void cancel() noexcept {
    if (phase_ == phase::idle || phase_ == phase::finished) return;
    phase_ = phase::finished;
    finish_ = finish_reason::cancelled;
  }

  // --- Looking ---

  /// All committed tokens, the prompt included.
  [[nodiscard]] token_span context() const noexcept { return context_; }
  /// Number of leading tokens of the text that no `rewind` has replaced since the last plan: a host that has not
  /// followed the rewinds keeps no more of its KV than this.
  [[nodiscard]] std::size_t still_valid() const noexcept { return std::min(still_valid_, context_.size()); }
  /// Tokens emitted since the last prompt.
  [[nodiscard]] std::size_t emitted_count() const noexcept { return emitted_count_; }
  [[nodiscard]] finish_reason finish() const noexcept { return finish_; }
  [[nodiscard]] bool finished() const noexcept { return phase_ == phase::finished; }
  [[nodiscard]] const decode_statistics& statistics() const noexcept { return statistics_; }
  /// For drivers that own a clock.
  [[nodiscard]] phase_seconds& seconds() noexcept { return statistics_.seconds; }
  [[nodiscard]] const decode_options& options() const noexcept { return options_; }
  /// The budget of later plans; may change between steps (it never looks at tokens yet to be drawn).
  void set_limits(draft_limits limits) noexcept { options_.limits = limits; }
  [[nodiscard]] D& drafter() noexcept { return drafter_; }
  [[nodiscard]] Trace& trace() noexcept { return trace_; }
  [[nodiscard]] Chance& chance() noexcept { return chance_; }

 private:
  enum class phase : std::uint8_t {
    idle,      // no sequence
    ready,     // plan() may be called
    drafting,  // a draft is under way
    planned,   // absorb() may be called
    absorbed,  // as ready; the drafter has not been told yet how the step ended
    finished   // ended; append() or rewind() opens it again
  };

  static constexpr auto whole_text = static_cast<std::size_t>(-1);
  static constexpr double nothing_observed = std::numeric_limits<double>::quiet_NaN();

  struct stop_verdict {
    finish_reason reason = finish_reason::none;
    std::size_t dropped_bytes = 0;
    std::size_t held_back_bytes = 0;
  };

  [[nodiscard]] result<void> check_tokens(token_span tokens, std::size_t before) const {
    if (before + tokens.size() > options_.context_size) return error_code::context_full;
    for (const token t : tokens) {
      if (t < 0 || index(t) >= options_.vocab_size) {
        return error{error_code::invalid_token, fixed_text<118>("token ").append_number(t)};
      }
    }
    return {};
  }

  /// Typed parts were checked at compile time; erased ones say only now what they are. Parts with parameters that can
  /// be out of range have `check()`.
  [[nodiscard]] result<void> check_parts() const {
    if (auto valid = check_of(sampler_); !valid) return valid;
    if (auto valid = check_of(verifier_); !valid) return valid;
    if (auto valid = check_of(drafter_); !valid) return valid;
    const pairing_verdict found = pairing_of(drafter_, verifier_);
    if (found != pairing_verdict::fits) return error{error_code::refused_pairing, sentence(found)};
    return {};
  }

  /// The text becomes its first `length` tokens, after which the sampler's state is `next_state_`, and these.
  void open_turn(std::size_t length, token_span tokens) {
    const std::vector<token> added(tokens.begin(), tokens.end());  // they may be a part of the text itself
    for (const token t : added) sampler_.advance(next_state_, t);
    begin_output(sampler_, next_state_);
    options_.stops.reset(next_matched_);
    make_room(added.size());
    // Nothing below fails.
    context_.resize(length);
    observed_.resize(std::min(observed_.size(), length));
    context_.insert(context_.end(), added.begin(), added.end());
    open(0);
  }

  /// Goes on from the text as it is now, with the states made for it. Never fails.
  void open(std::size_t already_emitted) noexcept {
    std::swap(state_, next_state_);
    std::swap(matched_, next_matched_);
    emitted_count_ = already_emitted;
    finish_ = emitted_count_ >= options_.max_tokens      ? finish_reason::token_limit
              : context_.size() >= options_.context_size ? finish_reason::context_full
                                                         : finish_reason::none;
    phase_ = finish_ == finish_reason::none ? phase::ready : phase::finished;
  }

  /// Room for `count` more tokens in the text, doubled each time so that it grows amortised.
  void make_room(std::size_t count) {
    const std::size_t size = context_.size() + count;
    if (size > context_.capacity()) context_.reserve(std::max(size, 2 * context_.capacity()));
    if (learns<Real>(sampler_)) observed_.reserve(context_.capacity());
  }

  /// What these emitted tokens end with. A stop string that is complete among them was passed on purpose.
  void match_stops_again(token_span emitted) {
    options_.stops.reset(next_matched_);
    if (options_.stops.empty()) return;
    for (const token t : emitted) {
      if (options_.stops.feed(next_matched_, options_.bytes(t)) > 0) options_.stops.reset(next_matched_);
    }
  }

  /// Tells the drafter how the last step ended. Deferred from absorb to the next call, so that a drafter's failure can
  /// never cost tokens that were already verified.
  void settle() {
    const std::size_t kept = std::exchange(unobserved_, 0);
    if (kept > 0) drafter_.observe(draft_.tree, node_span(verdict_.path).first(kept));
  }

  /// The drafter learns the committed tokens it does not know yet. A drafter that failed on the way is caught up next
  /// time.
  [[nodiscard]] result<void> catch_up() {
    const std::size_t known = drafter_.length();
    return known < context_.size() ? drafter_.extend(token_span(context_).subspan(known)) : result<void>{};
  }

  /// A draft never runs past the context's edge or the token limit: the last emitted token must fit as well.
  [[nodiscard]] draft_site site() const {
    const std::size_t room = options_.context_size - context_.size() - 1;
    const std::size_t left = options_.max_tokens - emitted_count_ - 1;
    const auto cap = [](std::int32_t limit, std::size_t most) {
      return static_cast<std::int32_t>(std::min<std::size_t>(index(std::max(limit, 0)), most));
    };
    draft_limits limits{cap(options_.limits.nodes, room), cap(options_.limits.depth, std::min(room, left))};
    if (limits.depth == 0) limits.nodes = 0;
    return {context_, limits, options_.vocab_size, context_.size() - emitted_count_};
  }

  /// Whether the drafter has kept its contract. O(nodes).
  [[nodiscard]] result<void> check_draft() const {
    const token_tree& tree = draft_.tree;
    if (auto valid = tree.validate(options_.vocab_size, draft_.rows.size()); !valid) return valid;
    if (tree.token_of(0) != context_.back()) {
      return error{error_code::invalid_tree, "its root is not the last committed token"};
    }
    if (tree.size() - 1 > index(drafted_within_.nodes)) {
      return error{error_code::invalid_tree, "it has more nodes than the limit allows"};
    }
    if (makes_chains_only(drafter_) && !tree.is_chain()) {
      return error{error_code::invalid_tree, "its drafter promised a chain"};
    }
    for (const node_id n : tree.all()) {
      if (tree.kind(n) == node_kind::drafted && tree.depth(n) > drafted_within_.depth) {
        return error{error_code::invalid_tree, "it is deeper than the limit allows"};
      }
      if (lacks_tokens(tree.edge(n))) return error{error_code::row_wrong_size, "a draft row"};
    }
    for (const repeated_draw& again : tree.repeats()) {
      if (lacks_tokens(again.edge)) return error{error_code::row_wrong_size, "a draft row"};
    }
    return {};
  }

  /// Whether the row of a sampled edge is one over another vocabulary.
  [[nodiscard]] bool lacks_tokens(tree_edge edge) const noexcept {
    return edge.law != edge_law::deterministic && draft_.row_of(edge).vocab_size() != options_.vocab_size;
  }

  /// The nodes among these, which lie on the accepted path, whose tokens were emitted.
  [[nodiscard]] node_span emitted_part(node_span nodes) const noexcept {
    const std::size_t last = std::min(emitted_.size(), verdict_.path.size() - 1);
    const auto end = std::upper_bound(nodes.begin(), nodes.end(), verdict_.path[last]);
    return nodes.first(static_cast<std::size_t>(end - nodes.begin()));
  }

  /// The accepted tokens and the last one, cut behind the first that ends the sequence.
  void collect_emitted() {
    emitted_.clear();
    stop_ = {};
    next_matched_ = matched_;
    for (std::size_t i = 1; i <= verdict_.path.size() && stop_.reason == finish_reason::none; ++i) {
      const token t = i < verdict_.path.size() ? draft_.tree.token_of(verdict_.path[i]) : verdict_.last;
      emitted_.push_back(t);
      stop_.reason = reason_to_stop(t);
    }
    if (stop_.reason == finish_reason::none) stop_.held_back_bytes = stop_strings::held_back(next_matched_);
  }

  [[nodiscard]] finish_reason reason_to_stop(token t) {
    const auto& ends = options_.end_of_sequence;
    if (std::find(ends.begin(), ends.end(), t) != ends.end()) return finish_reason::end_of_sequence;
    if (!options_.stops.empty()) {
      stop_.dropped_bytes = options_.stops.feed(next_matched_, options_.bytes(t));
      if (stop_.dropped_bytes > 0) return finish_reason::stop_string;
    }
    if (emitted_count_ + emitted_.size() >= options_.max_tokens) return finish_reason::token_limit;
    if (context_.size() + emitted_.size() >= options_.context_size) return finish_reason::context_full;
    return finish_reason::none;
  }

  /// What the sampler learns from each emitted token.
  template <class Laws>
  [[nodiscard]] error_code collect_observed(Laws& laws) {
    newly_observed_.clear();
    if (!learns<Real>(sampler_)) return error_code::none;
    for (std::size_t i = 0; i < emitted_.size(); ++i) {
      newly_observed_.push_back(laws.observe(verdict_.path[i], emitted_[i]));
    }
    return laws.learning_status();
  }

  /// Log-probabilities of the emitted tokens and of the best in their places, as far as they are asked for.
  template <class Laws, class Rows>
  [[nodiscard]] error_code collect_log_probabilities(Laws& laws, Rows& rows) {
    const std::size_t places = options_.alternatives;
    log_probabilities_.clear();
    alternatives_.assign(places * emitted_.size(), {});
    if (!options_.log_probabilities && places == 0) return error_code::none;
    for (std::size_t i = 0; i < emitted_.size(); ++i) {
      const auto best = std::span(alternatives_).subspan(i * places, places);
      const error_code code = options_.raw_log_probabilities ? report_of(rows.row(verdict_.path[i]), emitted_[i], best)
                                                             : report_of(laws, verdict_.path[i], emitted_[i], best);
      if (code != error_code::none) return code;
    }
    return error_code::none;
  }
  template <class Laws>
  [[nodiscard]] error_code report_of(Laws& laws, node_id n, token t, std::span<token_log_probability> best) {
    const distribution<Real>* law = laws.law(n);
    if (law == nullptr) return laws.status();
    if (options_.log_probabilities) log_probabilities_.push_back(std::log(law->view().probability(t)));
    (void)best_log_probabilities(law->view(), best);
    return error_code::none;
  }
  [[nodiscard]] error_code report_of(std::span<const Real> row, token t, std::span<token_log_probability> best) {
    if (row.size() != options_.vocab_size) {
      return row.empty() ? error_code::row_unavailable : error_code::row_wrong_size;
    }
    if (options_.log_probabilities) log_probabilities_.push_back(raw_log_probability(row, t));
    (void)best_raw_log_probabilities(row, best);
    return error_code::none;
  }

  D drafter_;
  V verifier_;
  S sampler_;
  Chance chance_;
  decode_options options_;
  Trace trace_;

  phase phase_ = phase::idle;
  finish_reason finish_ = finish_reason::none;
  std::vector<token> context_;
  std::vector<double> observed_;  ///< of a sampler that learns: of each token; may be shorter
  std::vector<double> newly_observed_;
  std::size_t emitted_count_ = 0;
  std::size_t still_valid_ = whole_text;
  typename S::state_type state_;       // after all committed tokens
  typename S::state_type next_state_;  // being made by absorb
  stop_strings::state matched_;
  stop_strings::state next_matched_;

  token_draft<Real> draft_;
  draft_limits drafted_within_{};
  tree_layout layout_;
  law_workspace<Real, S> law_work_;
  typename V::template work<Real> verify_work_;
  verdict verdict_;
  std::size_t unobserved_ = 0;
  std::vector<token> emitted_;
  std::vector<double> log_probabilities_;
  std::vector<token_log_probability> alternatives_;
  stop_verdict stop_;
  decode_statistics statistics_;
};

}  // namespace decant::inline DECANT_ABI

#endif
