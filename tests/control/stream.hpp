// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Streams of known acceptance on a simulated engine: the target counts upwards, and a drafter that could count as well
// errs with a probability that the test decides.
#ifndef DECANT_TESTS_CONTROL_STREAM_HPP
#define DECANT_TESTS_CONTROL_STREAM_HPP

#include <decant/control/expected_gain.hpp>
#include <decant/control/paced_drafter.hpp>
#include <decant/control/renewal_rule.hpp>
#include <decant/decode/generate.hpp>
#include <decant/model/law_model.hpp>
#include <decant/model/laws.hpp>
#include <decant/model/simulated_engine.hpp>
#include <decant/verify/greedy.hpp>

#include <functional>

#include "tests/support/random.hpp"
#include "tests/support/test_kit.hpp"

namespace decant_test {

inline constexpr std::size_t counting_vocab = 8;

[[nodiscard]] inline decant::token after(decant::token t) {
  return static_cast<decant::token>((decant::index(t) + 1) % counting_vocab);
}

/// The law that counts.
[[nodiscard]] inline decant::table_law<float> counting_law() {
  decant::table_law<float> law(counting_vocab, 1);
  for (decant::token t = 0; decant::index(t) < counting_vocab; ++t) {
    const auto row = law.row(decant::token_span(&t, 1));
    for (std::size_t v = 0; v < row.size(); ++v) row[v] = v == decant::index(after(t)) ? 1.0f : 0.0f;
  }
  return law;
}

/// Drafts chains whose tokens are right with a probability that depends on the position in the text.
class erring_drafter {
 public:
  static constexpr decant::tree_class produces = decant::tree_class::deterministic;
  static constexpr bool chains_only = true;

  /// `claimed` is the acceptance it estimates for every token, 0 for none.
  erring_drafter(std::function<double(std::size_t)> acceptance, double claimed, std::uint64_t seed)
      : acceptance_(std::move(acceptance)), claimed_(claimed), random_(seed) {}

  [[nodiscard]] std::size_t length() const { return length_; }
  decant::result<void> extend(decant::token_span tokens) {
    length_ += tokens.size();
    return {};
  }
  decant::result<void> truncate(std::size_t length) {
    length_ = std::min(length_, length);
    return {};
  }
  template <class Real, class Chance>
  decant::result<void> start(decant::token_draft<Real>& draft, const decant::draft_site& site, Chance&) {
    decant::node_id end = 0;
    for (std::int32_t i = 0; i < std::min(site.limits.depth, site.limits.nodes); ++i) {
      const bool is_right = random_.coin(acceptance_(site.context.size() + decant::index(i)));
      const decant::token right = after(draft.tree.token_of(end));
      const auto estimate = draft.tree.acceptance(end) * static_cast<float>(claimed_);
      end = draft.tree.append(end, is_right ? right : after(right), {}, {estimate, 0});
    }
    return {};
  }
  template <class Real, class Chance>
  decant::result<void> run(decant::token_draft<Real>&, Chance&) {
    return {};
  }
  [[nodiscard]] decant::node_span wanted() const { return {}; }
  void observe(const decant::token_tree&, decant::node_span) {}

 private:
  std::function<double(std::size_t)> acceptance_;
  double claimed_;
  random_source random_;
  std::size_t length_ = 0;
};

/// Tokens per unit of time of a decoder with this drafter over a text of `tokens` tokens. Plain decoding makes 1.
template <class D>
[[nodiscard]] double simulated_speed(D drafter, const decant::cost_curve& curve, std::size_t tokens,
                                     std::int32_t limit = 32, double draft_cost = 0) {
  decant::virtual_clock clock;
  decant::simulated_engine target(decant::make_law_model<decant::row_content::logits>(counting_law(), tokens + 2),
                                  curve, clock);
  decant::decode_options options;
  options.vocab_size = counting_vocab;
  options.context_size = tokens + 2;
  options.max_tokens = tokens;
  options.limits = {limit, limit};
  decant::speculation<D, decant::greedy> machine(std::move(drafter), {}, {}, {}, options);
  const std::vector<decant::token> prompt{0};
  const auto finished = decant::generate(target, machine, prompt);
  REQUIRE(finished.has_value());
  REQUIRE(machine.statistics().tokens == tokens);
  bool counts = true;
  for (std::size_t i = 0; i < machine.context().size(); ++i) {
    counts &= decant::index(machine.context()[i]) == i % counting_vocab;
  }
  REQUIRE(counts);
  clock.advance(draft_cost * static_cast<double>(machine.statistics().drafted().proposed));
  return static_cast<double>(tokens) / clock.now;
}

}  // namespace decant_test

#endif
