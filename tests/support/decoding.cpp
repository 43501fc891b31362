// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tests/support/decoding.hpp"

#include <decant/model/integer_network.hpp>

#include "tests/support/pairings.hpp"

template class decant::speculation<decant::any_drafter<>, decant::any_verifier<>, decant::any_sampler<>>;

namespace decant_test {

chain_sampler penalised() {
  return decant::make_sampler(decant::penalties{1.4f, 0.2f, 0.1f, 12}, decant::top_k{12}, decant::temperature{0.9f});
}
chain_sampler at_zero() {
  return decant::make_sampler(decant::penalties{}, decant::top_k{}, decant::temperature{0.0f});
}

namespace {

template <class Law>
scene law_scene(std::string name, const Law& law, float noise) {
  using namespace decant;
  const hashed_law<float> other{99, law.vocab_size(), 2, 2, 0};
  return {std::move(name), make_law_model<row_content::logits>(law, scene_context),
          make_law_model<row_content::logits>(blend(law, other, noise), scene_context)};
}

}  // namespace

std::vector<scene> scenes() {
  using namespace decant;
  random_source random(11);
  table_law<float> table(6, 2);
  for (std::size_t row = 0; row < table.row_count(); ++row) {
    for (float& weight : table.row(row)) weight = static_cast<float>(1 + random.below(9) * random.below(9));
  }
  token_list text;
  for (int i = 0; i < 300; ++i) text.push_back(random.coin(0.3) ? random.token_below(20) : (i * i / 3) % 20);
  std::vector<scene> out;
  out.push_back(law_scene("table", table, 0.3f));
  out.push_back(law_scene("n-gram", ngram_law<float>(20, 2, text, 0.5f), 0.4f));
  out.push_back(law_scene("hashed", hashed_law<float>{5, 40, 3, 2, 40}, 0.4f));
  out.push_back(
      {"integer network", integer_network<float>(24, scene_context, 7), integer_network<float>(24, scene_context, 7)});
  return out;
}

token_list random_prompt(random_source& random, std::size_t vocab_size, std::size_t longest) {
  token_list prompt(random.between(1, longest));
  for (token& t : prompt) t = random.token_below(std::min<std::size_t>(vocab_size, 8));
  return prompt;
}

std::vector<float> row_after(const boxed_model& model, token_span text) {
  boxed_model fresh = model;
  REQUIRE(fresh.truncate(0).has_value());
  REQUIRE(fresh.prefill(text.first(text.size() - 1)).has_value());
  const decant::token_tree root(text.back());
  auto rows = fresh.evaluate(root, root.all());
  REQUIRE(rows.has_value());
  const std::span<const float> row = rows->row(0);
  return {row.begin(), row.end()};
}

chooser greedy_choice(const boxed_model& model) {
  return [&model](token_span text) {
    const std::vector<float> row = row_after(model, text);
    token best = 0;
    for (std::size_t v = 1; v < row.size(); ++v) {
      if (row[v] > row[static_cast<std::size_t>(best)]) best = static_cast<token>(v);
    }
    return best;
  };
}

chooser sampled_choice(const boxed_model& model, const chain_sampler& sampler, decant::philox_chance chance) {
  return [&model, sampler, chance](token_span text) {
    auto state = sampler.initial_state();
    for (const token t : text) sampler.advance(state, t);
    const std::vector<float> row = row_after(model, text);
    decant::candidates<float> scratch;
    decant::distribution<float> law;
    REQUIRE(sampler.law(std::span<const float>(row), state, scratch, law) == decant::error_code::none);
    return chance.pick(decant::sample_key(text.size()), law.view());
  };
}

bool naive_stops::feed(std::span<const char> bytes) {
  for (const char byte : bytes) {
    text += byte;
    std::size_t longest = 0;
    for (const std::string& stop : strings) {
      if (text.size() >= stop.size() && text.compare(text.size() - stop.size(), stop.size(), stop) == 0) {
        longest = std::max(longest, stop.size());
      }
    }
    if (longest > 0) {
      text.resize(text.size() - longest);
      return true;
    }
  }
  return false;
}

outcome plain_decoding(token_list text, const decant::decode_options& options, const std::vector<std::string>& stops,
                       const chooser& choose) {
  outcome out;
  naive_stops matched{stops, {}};
  while (out.finish == finish_reason::none) {
    const token next = choose(text);
    text.push_back(next);
    out.emitted.push_back(next);
    const auto& ends = options.end_of_sequence;
    const std::span<const char> bytes = options.bytes ? options.bytes(next) : std::span<const char>{};
    if (std::find(ends.begin(), ends.end(), next) != ends.end()) {
      matched.text.append(bytes.begin(), bytes.end());
      out.finish = finish_reason::end_of_sequence;
    } else if (matched.feed(bytes)) {
      out.finish = finish_reason::stop_string;
    } else if (out.emitted.size() == options.max_tokens) {
      out.finish = finish_reason::token_limit;
    } else if (text.size() == options.context_size) {
      out.finish = finish_reason::context_full;
    }
  }
  out.text = matched.text;
  return out;
}

decant::decode_options options_for(const scene& here, std::size_t max_tokens) {
  decant::decode_options options;
  options.vocab_size = here.vocab_size();
  options.context_size = scene_context;
  options.max_tokens = max_tokens;
  options.limits = {9, 5};
  return options;
}

void collector::on_step(const decant::decode_step& step) {
  ++steps;
  sound = sound && !step.tokens.empty() && step.kept.size() == step.tokens.size() && step.kept[0] == 0 &&
          std::is_sorted(step.kept.begin(), step.kept.end());
  streamed.insert(streamed.end(), step.tokens.begin(), step.tokens.end());
}

erased_machine make_machine(decant::any_drafter<> drafter, decant::any_verifier<> verifier,
                            decant::any_sampler<> sampler, decant::decode_options options,
                            decant::philox_chance chance) {
  return {std::move(drafter), std::move(verifier), std::move(sampler), chance, std::move(options)};
}

std::vector<shipped_builder> shipped_builders() {
  std::vector<shipped_builder> out;
  for_each_builder([&](const char* name, auto builder) { out.push_back({name, builder}); });
  return out;
}

const std::vector<shipped_drafter>& shipped_drafters() {
  static const std::vector<shipped_drafter> all = [] {
    std::vector<shipped_drafter> list;
    for_each_drafter([&](const char* name, auto make) {
      using drafter = made_by<decltype(make)>;
      list.push_back({name, drafter::produces, drafter::chains_only, make});
    });
    return list;
  }();
  return all;
}

bool shipped_verifier::fits(const shipped_drafter& drafter) const {
  return decant::check_pairing(drafter.produces, drafter.chains_only, verifier.needs_value(), verifier.shape_value()) ==
         decant::pairing_verdict::fits;
}

const std::vector<shipped_verifier>& exact_verifiers() {
  static const std::vector<shipped_verifier> all{{"greedy", decant::greedy{}},
                                                 {"match", decant::match{}},
                                                 {"speculative sampling", decant::speculative_sampling{}},
                                                 {"recursive rejection", decant::recursive_rejection{}}};
  return all;
}

}  // namespace decant_test
