// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A drafter of one's own: it guesses that the text goes on as it did after the last occurrence of the present token.
#include <decant/decode/generate.hpp>
#include <decant/model/hashed_law.hpp>
#include <decant/model/law_model.hpp>
#include <decant/verify/match.hpp>

#include <cstdio>

namespace {

// [drafter]
class repeat_last {
 public:
  static constexpr decant::tree_class produces = decant::tree_class::deterministic;  // nothing is drawn
  static constexpr bool chains_only = true;

  [[nodiscard]] std::size_t length() const { return length_; }
  decant::result<void> extend(decant::token_span tokens) { return length_ += tokens.size(), decant::result<void>{}; }
  decant::result<void> truncate(std::size_t length) { return length_ = length, decant::result<void>{}; }

  template <class Real, class Chance>
  decant::result<void> start(decant::token_draft<Real>& draft, const decant::draft_site& site, Chance&) {
    const auto text = site.context;
    std::size_t from = text.size() - 1;
    while (from > 0 && text[from - 1] != text.back()) --from;  // text[from] followed the last occurrence
    const auto most = static_cast<std::size_t>(std::min(site.limits.nodes, site.limits.depth));
    decant::node_id end = 0;
    for (std::size_t i = 0; from > 0 && i < most && from + i < text.size(); ++i)
      end = draft.tree.append(end, text[from + i]);
    return {};
  }
  template <class Real, class Chance>
  decant::result<void> run(decant::token_draft<Real>&, Chance&) {
    return {};
  }  // the draft is ready at once
  [[nodiscard]] decant::node_span wanted() const { return {}; }
  void observe(const decant::token_tree&, decant::node_span) {}

 private:
  std::size_t length_ = 0;
};
static_assert(decant::SelfDrivenDrafter<repeat_last>);
// [/drafter]

template <class Drafter>
double tokens_per_pass(Drafter drafter) {
  using namespace decant;
  auto model = make_law_model<row_content::logits>(hashed_law<float>{.seed = 7, .vocabulary = 12, .context = 1});
  decode_options options{.vocab_size = model.vocab_size(), .context_size = 1024, .max_tokens = 400};
  speculation machine(std::move(drafter), match{}, sampler_chain<>{}, philox_chance{1}, options);
  const std::vector<token> prompt{1, 2, 3};
  if (const auto done = generate(model, machine, prompt); !done) return 0;
  return machine.statistics().tokens_per_pass();
}

}  // namespace

int main() {
  const double drafted = tokens_per_pass(repeat_last{});
  std::printf("tokens per pass: %.2f\n", drafted);
  return drafted > 1.05 ? 0 : 1;
}
