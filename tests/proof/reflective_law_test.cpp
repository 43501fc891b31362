// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reflective verification emits the fused law it documents. What the copies see is rebuilt here from the tokens and
// positions of the text alone; the toy model answers a wrong mask or position with another row.
#include <decant/core/philox.hpp>
#include <decant/draft/any_drafter.hpp>
#include <decant/draft/reflecting_drafter.hpp>
#include <decant/verify/reflective.hpp>
#include <decant/verify/traversal.hpp>

#include "tests/proof/documented_laws.hpp"

namespace decant_test {
namespace {

/// The row that the toy model gives a slot which sees these tokens at these positions.
[[nodiscard]] plain_row row_of_visible(const proof::erased_law<double>& law, std::vector<cached_token> visible) {
  std::stable_sort(visible.begin(), visible.end(), [](cached_token a, cached_token b) {
    return a.position != b.position ? a.position < b.position : a.id < b.id;
  });
  std::vector<token> context;
  for (const cached_token seen : visible) context.push_back(seen.id);
  plain_row row(law.vocab_size());
  law.weights(context, row);
  row = normalise(row);
  if (decant::detail::is_consecutive(visible)) return row;
  std::size_t chosen = decant::detail::mixed_bits(visible) % row.size();
  if (row[chosen] == 1) chosen = (chosen + 1) % row.size();
  return point(chosen, row.size());
}

/// The tokens of a reflecting drafter, in plain words.
struct second_look {
  std::vector<token> prompt;
  std::size_t repeated;

  /// The law of the copy of the node that ends `text`, of which the first `committed` tokens are committed and the
  /// draft reaches `levels` below them. `also` is what it sees of the draft beside its own path.
  [[nodiscard]] plain_row law(const proof::erased_law<double>& target, token_span text, std::size_t committed,
                              std::size_t levels, token_span also = {}) const {
    std::vector<cached_token> visible;
    const auto see = [&](token t, std::size_t position) {
      visible.push_back({t, static_cast<std::int64_t>(position)});
    };
    for (std::size_t i = 0; i < text.size(); ++i) see(text[i], i);
    for (std::size_t i = 0; i < also.size(); ++i) see(also[i], text.size() + i);
    std::size_t position = committed + levels;
    for (const token t : prompt) see(t, position++);
    const std::size_t count = std::min(repeated, committed);
    for (const token t : text.subspan(committed - count, count)) see(t, position++);
    for (const token t : text.subspan(committed)) see(t, position++);
    return row_of_visible(target, visible);
  }
};

[[nodiscard]] plain_row fused(const plain_row& p, const plain_row& r, const reflection& rule) {
  plain_row law(p.size());
  for (std::size_t v = 0; v < p.size(); ++v) {
    law[v] = rule.fusion == reflection_fusion::probability
                 ? (1 - rule.alpha) * p[v] + rule.alpha * r[v]
                 : std::pow(p[v], 1 - rule.alpha) * std::pow(r[v], rule.alpha);
  }
  return has_mass(law) ? normalise(law) : p;
}

[[nodiscard]] reflection_settings settings_of(const second_look& look, reflection_view view) {
  return {look.prompt, static_cast<std::int32_t>(look.repeated), view};
}

[[nodiscard]] proof::outcomes<double> outcomes_of(const proof::toy<double>& world, const proved_builder& builder,
                                                  const second_look& look, reflection_view view,
                                                  const proved_verifier& verifier) {
  return proof::enumerate_outcomes(
      world, reflecting_drafter(proof::drafter_of(world, builder), settings_of(look, view)), verifier);
}

void check_law(const proof::toy<double>& world, const proof::outcomes<double>& found,
               const proof::erased_law<double>& documented) {
  const auto distance = proof::completion<double, proof::erased_law<double>>(documented)
                            .distance(found.law, world.prompt, found.law.longest());
  CHECK(found.failure.empty());
  CHECK(near(found.law.mass(), 1, 1e-12));
  for (const double tv : distance.total_variation) CHECK(tv <= 1e-12);
}

}  // namespace

TEST_CASE("reflective verification emits the fused law on chains and trees") {
  std::size_t proofs = 0;
  double farthest = 0;
  for (const auto& world : proof::standard_toys<double>(3)) {
    for (const tree_form& form :
         {tree_form{made::independent, {1}}, tree_form{made::independent, {1, 1}}, tree_form{made::ranked, {2, 2}},
          tree_form{made::independent, {1, 1, 1}}, tree_form{made::distinct, {2, 1}}}) {
      for (const second_look& look : {second_look{{1, 0}, 2}, second_look{{}, 1}}) {
        for (const auto fusion : {reflection_fusion::probability, reflection_fusion::logit}) {
          const reflection rule{.35, fusion};
          const position_law inside = [&](const plain_row& p, const plain_row&, token_span text) {
            return fused(p, look.law(world.target, text, world.prompt.size(), form.levels()), rule);
          };
          const auto documented = documented_law(world, form.levels(), inside, keeps_target());
          INFO(form.name() << ", toy " << world.name);
          const auto by_rejection =
              outcomes_of(world, form.builder(), look, reflection_view::own_path, reflective_verification<>{rule});
          check_law(world, by_rejection, documented);
          const auto by_traversal = outcomes_of(world, form.builder(), look, reflection_view::own_path,
                                                reflective_verification<traversal>{rule});
          check_law(world, by_traversal, documented);
          proofs += 2;
          const auto to_target = proof::completion<double, proof::erased_law<double>>(world.target)
                                     .distance(by_rejection.law, world.prompt, 1);
          farthest = std::max(farthest, to_target.total_variation.front());
        }
      }
    }
  }
  CHECK(proofs >= 250);
  CHECK(farthest > .1);
  CHECK(farthest <= 1);
}

TEST_CASE("reflective verification of a chain seen as a whole emits the law of a test that knows the draft") {
  // One drafted token x: pi depends on x, so the emitted law is the mean over x ~ q of what its test gives.
  const second_look look{{1, 0}, 2};
  const tree_form form{made::independent, {1}};
  std::size_t proofs = 0;
  for (const auto& world : proof::standard_toys<double>(4)) {
    for (const auto fusion : {reflection_fusion::probability, reflection_fusion::logit}) {
      const reflection rule{.5, fusion};
      const position_law inside = [&](const plain_row& p, const plain_row& q, token_span text) {
        plain_row law(p.size());
        for (std::size_t x = 0; x < p.size(); ++x) {
          if (!(q[x] > 0)) continue;
          const token drafted[] = {static_cast<token>(x)};
          const plain_row pi = fused(p, look.law(world.target, text, world.prompt.size(), 1, drafted), rule);
          const double accepted = std::min(1.0, pi[x] / q[x]);
          const plain_row left = residual_of(pi, q);
          law[x] += q[x] * accepted;
          for (std::size_t v = 0; v < p.size(); ++v) law[v] += q[x] * (1 - accepted) * left[v];
        }
        return law;
      };
      INFO("toy " << world.name);
      const auto found =
          outcomes_of(world, form.builder(), look, reflection_view::whole_draft, reflective_verification<>{rule});
      check_law(world, found, documented_law(world, 1, inside, keeps_target()));
      ++proofs;
    }
  }
  CHECK(proofs >= 24);
}

TEST_CASE("a weight of zero reproduces the base verifier and its text, bit for bit") {
  using machine = speculation<any_drafter<double>, any_verifier<double>, given_law, philox_chance, double>;
  const auto decode = [](const proof::toy<double>& world, any_drafter<double> drafter,
                         const any_verifier<double>& verifier, std::uint64_t seed, std::int32_t nodes) {
    decode_options options;
    options.vocab_size = world.vocab_size();
    options.context_size = 4096;
    options.max_tokens = 40;
    options.limits = {nodes, 16};
    machine decoder(std::move(drafter), verifier, given_law{}, philox_chance{seed}, options);
    proof::toy_model<double, given_law> model(world.target);
    (void)generate(model, decoder, world.prompt).value_or_throw();
    // What the model keeps after the run is the text, at its positions: the probes have left nothing behind.
    for (std::size_t i = 0; i < model.committed().size(); ++i) {
      REQUIRE(model.committed()[i] == cached_token{decoder.context()[i], static_cast<std::int64_t>(i)});
    }
    return std::vector<token>(decoder.context().begin(), decoder.context().end());
  };
  for (const auto& world : proof::standard_toys<double>(5)) {
    for (const std::uint64_t seed : {1u, 2u, 3u}) {
      const any_builder<double> trees = static_widths<without_replacement>{{2, 1}};
      const auto plain = decode(world, proof::drafter_of(world, trees), recursive_rejection{}, seed, 4);
      // Room for the same four nodes, three probes and the copies.
      const auto reflected = decode(world, reflecting_drafter(proof::drafter_of(world, trees), {{1, 0}, 1}),
                                    reflective_verification<>{{0}}, seed, 4 + 3 + 3);
      INFO("toy " << world.name << ", seed " << seed);
      CHECK(reflected == plain);
    }
  }
}

}  // namespace decant_test
