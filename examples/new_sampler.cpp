// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A sampler step of one's own, with memory along the tree path: a token may not be emitted twice in a row.
#include <decant/decode/generate.hpp>
#include <decant/draft/prompt_lookup.hpp>
#include <decant/model/hashed_law.hpp>
#include <decant/model/law_model.hpp>
#include <decant/sample/temperature.hpp>
#include <decant/verify/match.hpp>

#include <cstdio>

namespace {

// [sampler]
struct no_immediate_repeat {
  using state_type = decant::token;  // the last token on the path
  [[nodiscard]] state_type initial_state() const { return decant::no_token; }
  void advance(state_type& last, decant::token t) const { last = t; }

  template <class Real>
  void apply(decant::candidates<Real>& set, const state_type& last) const {
    set.edit(last, [](Real& logit) { logit = -std::numeric_limits<Real>::infinity(); });
  }
};
// [/sampler]

}  // namespace

int main() {
  using namespace decant;
  auto model = make_law_model<row_content::logits>(hashed_law<float>{.seed = 3, .vocabulary = 6, .context = 2});
  decode_options options{.vocab_size = model.vocab_size(), .context_size = 1024, .max_tokens = 300};
  speculation machine(prompt_lookup{}, match{}, make_sampler(no_immediate_repeat{}, temperature{0.9f}),
                      philox_chance{5}, options);
  const std::vector<token> prompt{1, 2};
  if (!generate(model, machine, prompt)) return 1;

  const token_span text = machine.context();
  for (std::size_t i = prompt.size(); i < text.size(); ++i) {
    if (text[i] == text[i - 1]) return 1;
  }
  std::printf("%zu tokens without an immediate repeat, %.2f tokens per pass\n", text.size() - prompt.size(),
              machine.statistics().tokens_per_pass());
  return 0;
}
