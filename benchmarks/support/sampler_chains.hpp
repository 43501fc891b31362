// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The rows and histories that samplers are measured on, and llama.cpp's chains, through its public header, on the same
// rows. Without llama.cpp the chains are empty functions.
#ifndef DECANT_BENCHMARKS_SUPPORT_SAMPLER_CHAINS_HPP
#define DECANT_BENCHMARKS_SUPPORT_SAMPLER_CHAINS_HPP

#include <decant/core/types.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <span>
#include <vector>

#if defined(DECANT_BENCH_HAS_LLAMA)
#include <llama.h>
#endif

namespace bench {

/// Logits like a language model's: normal with deviation 3, and ten likely next tokens.
inline std::vector<std::vector<float>> peaked_rows(std::size_t vocab_size, std::size_t count) {
  constexpr float peaks[] = {19.f, 17.5f, 17.f, 16.f, 15.5f, 15.f, 14.5f, 14.f, 13.8f, 13.5f};
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0.f, 3.f);
  std::vector<std::vector<float>> rows(count, std::vector<float>(vocab_size));
  for (std::vector<float>& row : rows) {
    for (float& logit : row) logit = normal(random);
    for (const float peak : peaks) row[random() % vocab_size] = peak;
  }
  return rows;
}

/// What was generated before: 64 tokens.
inline std::vector<decant::token> last_tokens(std::size_t vocab_size) {
  std::mt19937 random(3);
  std::vector<decant::token> tokens(64);
  for (decant::token& t : tokens) t = static_cast<decant::token>(random() % vocab_size);
  return tokens;
}

namespace peer {

using row_sampler = std::function<decant::token(std::span<const float>)>;

#if defined(DECANT_BENCH_HAS_LLAMA)

/// A chain of llama.cpp; filling the array of candidates is part of the cost, as in its `llama_sampler_sample`.
class llama_chain {
 public:
  explicit llama_chain(std::initializer_list<llama_sampler*> samplers) {
    llama_sampler_chain_params settings = llama_sampler_chain_default_params();
    settings.no_perf = true;
    chain_ = {llama_sampler_chain_init(settings), &llama_sampler_free};
    for (llama_sampler* sampler : samplers) llama_sampler_chain_add(chain_.get(), sampler);
  }
  void remember(decant::token t) { llama_sampler_accept(chain_.get(), t); }
  decant::token operator()(std::span<const float> row) {
    candidates_.resize(row.size());
    for (std::size_t i = 0; i < row.size(); ++i) candidates_[i] = {static_cast<llama_token>(i), row[i], 0.f};
    llama_token_data_array all{candidates_.data(), candidates_.size(), -1, false};
    llama_sampler_apply(chain_.get(), &all);
    const decant::token chosen = all.data[all.selected < 0 ? 0 : all.selected].id;
    remember(chosen);
    return chosen;
  }

 private:
  std::shared_ptr<llama_sampler> chain_;
  std::vector<llama_token_data> candidates_;
};

inline llama_sampler* draw() { return llama_sampler_init_dist(1234); }

inline row_sampler default_chain() {
  return llama_chain({llama_sampler_init_top_k(40), llama_sampler_init_top_p(.95f, 0),
                      llama_sampler_init_min_p(.05f, 0), llama_sampler_init_temp_ext(.8f, 0.f, 1.f), draw()});
}
inline row_sampler default_and_penalties(std::size_t vocab_size) {
  llama_chain chain({llama_sampler_init_penalties(static_cast<std::int32_t>(vocab_size), 64, 1.1f, 0.f, 0.f),
                     llama_sampler_init_top_k(40), llama_sampler_init_top_p(.95f, 0), llama_sampler_init_min_p(.05f, 0),
                     llama_sampler_init_temp_ext(.8f, 0.f, 1.f), draw()});
  for (const decant::token t : last_tokens(vocab_size)) chain.remember(t);
  return chain;
}
inline row_sampler temperature_and_top_p(float temperature) {
  return llama_chain({llama_sampler_init_temp(temperature), llama_sampler_init_top_p(.95f, 0), draw()});
}
inline row_sampler temperature_only() { return llama_chain({llama_sampler_init_temp(.8f), draw()}); }
inline row_sampler min_p_only() { return llama_chain({llama_sampler_init_min_p(.05f, 0), draw()}); }
inline row_sampler typical_only() { return llama_chain({llama_sampler_init_typical(.95f, 0), draw()}); }
inline row_sampler mirostat() { return llama_chain({llama_sampler_init_mirostat_v2(1, 5.f, .1f)}); }
inline row_sampler top_k_only() { return llama_chain({llama_sampler_init_top_k(1000), draw()}); }

#else

inline row_sampler default_chain() { return {}; }
inline row_sampler default_and_penalties(std::size_t) { return {}; }
inline row_sampler temperature_and_top_p(float) { return {}; }
inline row_sampler temperature_only() { return {}; }
inline row_sampler min_p_only() { return {}; }
inline row_sampler typical_only() { return {}; }
inline row_sampler mirostat() { return {}; }
inline row_sampler top_k_only() { return {}; }

#endif

}  // namespace peer

}  // namespace bench

#endif
