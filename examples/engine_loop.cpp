// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Speculative decoding inside somebody else's engine: the engine owns the main loop, the batch and the KV cache; Decant
// is two calls. The engine here is a few lines of table lookup, so that the program runs anywhere.
#include <decant/decode/speculation.hpp>
#include <decant/draft/prompt_lookup.hpp>
#include <decant/verify/greedy.hpp>

#include <cstdio>
#include <vector>

namespace {

constexpr std::size_t vocab_size = 16;

/// What an engine has: a KV cache, and a forward pass over new tokens that each see their own path.
class my_engine {
 public:
  std::vector<decant::token> kv;

  /// Logits after each of the given paths on top of the cache, one row per path.
  std::vector<float> forward(const std::vector<std::vector<decant::token>>& paths) {
    ++passes;
    std::vector<float> logits;
    for (const auto& path : paths) {
      const decant::token last = path.back();
      const decant::token before = path.size() > 1 ? path[path.size() - 2] : kv.empty() ? 0 : kv.back();
      for (std::size_t v = 0; v < vocab_size; ++v)
        logits.push_back(v == (3u * index(last) + index(before)) % 13 ? 5.0f : 0.0f);
    }
    return logits;
  }

  int passes = 0;

 private:
  static unsigned index(decant::token t) { return static_cast<unsigned>(t); }
};

/// The path of tokens to every node: what a real engine expresses as a mask.
std::vector<std::vector<decant::token>> paths_of(const decant::token_tree& tree) {
  std::vector<std::vector<decant::token>> paths;
  for (const decant::node_id n : tree.all()) {
    std::vector<decant::token> path = n == 0 ? std::vector<decant::token>{} : paths[decant::index(tree.parent(n))];
    path.push_back(tree.token_of(n));
    paths.push_back(path);
  }
  return paths;
}

// [loop]
std::vector<decant::token> decode(my_engine& engine, const std::vector<decant::token>& prompt) {
  decant::decode_options options{.vocab_size = vocab_size, .context_size = 4096, .max_tokens = 60};
  decant::speculation machine(decant::prompt_lookup{}, decant::greedy{}, decant::sampler_chain<>{},
                              decant::philox_chance{}, options);
  if (!machine.begin(prompt)) return {};
  engine.kv.assign(prompt.begin(), prompt.end() - 1);  // all committed tokens but the last
  while (!machine.finished()) {
    const auto plan = machine.plan();
    if (!plan) break;
    const std::vector<float> logits = engine.forward(paths_of(plan->tree));
    decant::matrix_rows<float> rows{logits, vocab_size};
    const auto step = machine.absorb(rows);
    if (!step) break;
    for (const decant::node_id n : step->kept)
      engine.kv.push_back(plan->tree.token_of(n));  // keep these, drop the rest
  }
  return {machine.context().begin() + static_cast<std::ptrdiff_t>(prompt.size()), machine.context().end()};
}
// [/loop]

}  // namespace

int main() {
  my_engine engine;
  const auto tokens = decode(engine, {1, 2, 3});
  std::printf("%zu tokens in %d passes:", tokens.size(), engine.passes);
  for (const decant::token t : tokens) std::printf(" %d", t);
  std::printf("\n");
  return tokens.size() == 60 && engine.passes < 60 ? 0 : 1;
}
