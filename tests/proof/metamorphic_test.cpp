// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Properties that need no golden value: changes of the input that must not change the output, or must change it in a
// known way.
#include <decant/draft/no_drafter.hpp>
#include <decant/sample/sampler.hpp>

#include <map>

#include "tests/proof/configurations.hpp"
#include "tests/proof/decoding.hpp"
#include "tests/support/test_kit.hpp"

namespace decant_test {
namespace {

using toy = proof::toy<double>;
using distinct_tree = static_widths<without_replacement>;
using drawn_tree = static_widths<independent>;
using ranked_tree = static_widths<ranked>;

/// Calls `check(name, builder, verifier)` for one pairing of each kind.
template <class Check>
void for_each_pairing(const Check& check) {
  check("match, ranked tree", ranked_tree{{2, 2}}, match{});
  check("match, drawn tree", distinct_tree{{2, 1}}, match{});
  check("speculative sampling", chain<independent>{3}, speculative_sampling{});
  check("recursive rejection, drawn", drawn_tree{{2, 2}}, recursive_rejection{});
  check("recursive rejection, distinct", distinct_tree{{3, 1}}, recursive_rejection{});
  check("recursive rejection, mixed", scripted_builder<>{"", {{draw_kind::chosen, draw_kind::drawn}}},
        recursive_rejection{});
  check("greedy", ranked_tree{{2, 1}}, greedy{});
}

[[nodiscard]] proof::erased_law<double> relabelled(const proof::erased_law<double>& law,
                                                   const std::vector<token>& new_name) {
  std::vector<token> old_name(new_name.size());
  for (std::size_t v = 0; v < new_name.size(); ++v) old_name[index(new_name[v])] = static_cast<token>(v);
  return {law.vocab_size(), [law, new_name, old_name](token_span context, std::span<double> out) {
            std::vector<token> before;
            for (const token t : context) before.push_back(old_name[index(t)]);
            std::vector<double> row(out.size());
            law.weights(before, row);
            for (std::size_t v = 0; v < row.size(); ++v) out[index(new_name[v])] = row[v];
          }};
}

[[nodiscard]] proof::erased_law<double> padded(const proof::erased_law<double>& law, std::size_t vocab_size) {
  return {vocab_size, [law](token_span context, std::span<double> out) {
            std::fill(out.begin(), out.end(), 0.0);
            law.weights(context, out.first(law.vocab_size()));
          }};
}

[[nodiscard]] toy with_laws(const toy& world, const proof::erased_law<double>& target,
                            const proof::erased_law<double>& draft) {
  toy changed = world;
  changed.target = target;
  changed.draft = draft;
  return changed;
}

}  // namespace

TEST_CASE("tokens of weight zero added to the vocabulary change nothing") {
  for (const toy& world : proof::standard_toys<double>(5)) {
    const toy wider =
        with_laws(world, padded(world.target, world.vocab_size() + 3), padded(world.draft, world.vocab_size() + 3));
    for_each_pairing([&](const char* name, const auto& builder, const auto& verifier) {
      for (std::uint64_t seed = 0; seed < 5; ++seed) {
        INFO(name << ", toy " << world.name << ", seed " << seed);
        CHECK(decode_text(world, builder, verifier, {{seed}}) == decode_text(wider, builder, verifier, {{seed}}));
      }
    });
  }
}

TEST_CASE("relabelling the vocabulary relabels the law of the output") {
  const std::vector<token> new_name{2, 0, 3, 1};
  auto world = proof::toy_b<double>();
  auto renamed = with_laws(world, relabelled(world.target, new_name), relabelled(world.draft, new_name));
  renamed.prompt = {new_name[index(world.prompt[0])]};
  for_each_pairing([&](const char* name, const auto& builder, const auto& verifier) {
    INFO(name);
    const auto before = proof::enumerate_outcomes(world, proof::drafter_of(world, builder), verifier);
    const auto after = proof::enumerate_outcomes(renamed, proof::drafter_of(renamed, builder), verifier);
    proof::sequence_law<double> expected;
    before.law.for_each([&](token_span emitted, double probability) {
      std::vector<token> names;
      for (const token t : emitted) names.push_back(new_name[index(t)]);
      expected.add(names, probability);
    });
    if (std::string(name) == "recursive rejection, mixed") {
      // The most probable tokens of some rows tie, and ties go to the lowest id: only the completed law is the same.
      CHECK(proof::prove_steps(renamed, builder, verifier).exact());
    } else {
      CHECK(total_variation(expected, after.law) <= 1e-12);
    }
  });
}

TEST_CASE("scaling all weights changes nothing") {
  const auto scaled = [](const proof::erased_law<double>& law) {
    return proof::erased_law<double>(law.vocab_size(), [law](token_span context, std::span<double> out) {
      law.weights(context, out);
      for (double& w : out) w *= 8;
    });
  };
  for (const toy& world : proof::standard_toys<double>(5)) {
    const toy larger = with_laws(world, scaled(world.target), scaled(world.draft));
    for_each_pairing([&](const char* name, const auto& builder, const auto& verifier) {
      INFO(name << ", toy " << world.name);
      CHECK(decode_text(world, builder, verifier, {{1}}) == decode_text(larger, builder, verifier, {{1}}));
    });
  }
}

TEST_CASE("a constant added to all logits changes nothing") {
  const hashed_law<float> weights{5, 50, 3, 1, 0};
  // Logits that are multiples of 1/16, so that adding the constant is exact.
  const auto logits = [&](float constant) {
    return proof::erased_law<float>(50, [=](token_span context, std::span<float> out) {
      weights.weights(context, out);
      for (float& w : out) w = std::floor(16 * std::log2(w)) / 16 + constant;
    });
  };
  const auto decode = [&](float constant) {
    law_model<proof::erased_law<float>> model(logits(constant));
    auto drafter = make_model_drafter(law_model<proof::erased_law<float>>(logits(constant)), chain<independent>{4});
    decode_options options;
    options.vocab_size = 50;
    options.context_size = 1000;
    options.max_tokens = 100;
    speculation<decltype(drafter), speculative_sampling> machine(drafter, {}, {}, philox_chance{3}, options);
    const std::vector<token> prompt{1};
    (void)generate(model, machine, prompt).value_or_throw();
    return std::vector<token>(machine.context().begin(), machine.context().end());
  };
  CHECK(decode(0) == decode(8));
  CHECK(decode(0) == decode(-64));
}

TEST_CASE("the draft law does not reach the law of the output") {
  const auto a = proof::toy_a<double>();
  for (const toy& world : proof::standard_toys<double>(4)) {
    if (world.vocab_size() != 4) continue;
    INFO(world.name);
    const toy other = with_laws(a, a.target, world.draft);
    CHECK(proof::prove_steps(other, chain<independent>{2}, speculative_sampling{}).exact());
    CHECK(proof::prove_steps(other, distinct_tree{{3}}, recursive_rejection{}).exact());
    CHECK(proof::prove_steps(other, ranked_tree{{2, 2}}, match{}).exact());
  }
}

TEST_CASE("a draft that has the target's law is accepted whole") {
  for (const toy& world : proof::standard_toys<double>(5)) {
    INFO(world.name);
    const toy equal = with_laws(world, world.target, world.target);
    const auto chained = proof::prove_steps(equal, chain<independent>{3}, speculative_sampling{});
    CHECK(chained.exact());
    CHECK(near(chained.expected_emitted(), 4, 1e-12));
    CHECK(near(proof::prove_steps(equal, distinct_tree{{2}}, recursive_rejection{}).expected_emitted(), 2, 1e-12));
  }
}

TEST_CASE("a draft of disjoint support is rejected whole and the output is still right") {
  for (const toy& world : proof::standard_toys<double>(5)) {
    INFO(world.name);
    const toy disjoint = with_laws(world, proof::only_parity(world.target, 0), proof::only_parity(world.draft, 1));
    for (const auto& report : {proof::prove_steps(disjoint, chain<independent>{2}, speculative_sampling{}),
                               proof::prove_steps(disjoint, drawn_tree{{2, 1}}, recursive_rejection{})}) {
      CHECK(report.exact());
      CHECK(near(report.expected_emitted(), 1, 1e-12));
    }
  }
}

TEST_CASE("at temperature 0 every exact verifier writes the greedy text") {
  for (toy world : proof::standard_toys<double>(5)) {
    world.target = proof::one_hot(world.target);
    const auto expected = decode_with(world, no_drafter{}, greedy{}, {});
    for_each_pairing([&](const char* name, const auto& builder, const auto& verifier) {
      for (std::uint64_t seed = 0; seed < 3; ++seed) {
        INFO(name << ", toy " << world.name << ", seed " << seed);
        CHECK(decode_text(world, builder, verifier, {{seed}}) == expected);
      }
    });
  }
}

TEST_CASE("match writes the text of plain sampling with the same seed") {
  for (const toy& world : proof::standard_toys<double>(5)) {
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      INFO("toy " << world.name << ", seed " << seed);
      const auto expected = decode_with(world, no_drafter{}, match{}, {{seed}});
      CHECK(decode_text(world, ranked_tree{{2, 2}}, match{}, {{seed}}) == expected);
      CHECK(decode_text(world, distinct_tree{{2, 1}}, match{}, {{seed}}) == expected);
      CHECK(decode_text(world, zoo::sampled_then_reranked{}, match{}, {{seed}}) == expected);
      CHECK(decode_text(world, chain<independent>{3}, match{}, {{seed}, 24, {2, 1}}) == expected);
    }
  }
}

TEST_CASE("a tree that is a chain decodes like a chain, draw by draw") {
  for (const toy& world : proof::standard_toys<double>(5)) {
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      INFO("toy " << world.name << ", seed " << seed);
      const auto expected = decode_text(world, chain<independent>{3}, speculative_sampling{}, {{seed}});
      CHECK(decode_text(world, chain<independent>{3}, recursive_rejection{}, {{seed}}) == expected);
      CHECK(decode_text(world, drawn_tree{{1, 1, 1}}, recursive_rejection{}, {{seed}}) == expected);
      CHECK(decode_text(world, scripted_chain(3), recursive_rejection{}, {{seed}}) == expected);
      CHECK(decode_text(world, scripted_chain(3), zoo::rejection<zoo::sound>{}, {{seed}}) == expected);
    }
  }
}

TEST_CASE("sequences decoded side by side are those decoded alone") {
  const auto worlds = proof::standard_toys<double>(5);
  for_each_pairing([&](const char* name, const auto& builder, const auto& verifier) {
    using drafter_type = decltype(proof::drafter_of(worlds[0], builder));
    using machine_type = decltype(machine_for(worlds[0], std::declval<drafter_type>(), verifier, {}));
    std::vector<machine_type> machines;
    std::vector<law_model<proof::erased_law<double>>> models;
    for (std::uint32_t i = 0; i < 8; ++i) {
      const decode_setup setup{{9, i}};
      machines.push_back(machine_for(worlds[i], proof::drafter_of(worlds[i], builder), verifier, setup));
      models.push_back(target_of(worlds[i]));
    }
    // One step of each in turn, in an order that changes from round to round.
    for (std::size_t round = 0; round < 64; ++round) {
      for (std::size_t k = 0; k < machines.size(); ++k) {
        const std::size_t i = (k * 3 + round) % machines.size();
        if (machines[i].finished()) continue;
        auto plan = machines[i].plan();
        REQUIRE(plan.has_value());
        auto rows = models[i].evaluate(plan->tree, plan->tree.all());
        REQUIRE(rows.has_value());
        auto step = machines[i].absorb(*rows);
        REQUIRE(step.has_value());
        REQUIRE(models[i].commit(step->kept).has_value());
      }
    }
    for (std::uint32_t i = 0; i < machines.size(); ++i) {
      INFO(name << ", sequence " << i);
      CHECK(machines[i].finished());
      CHECK(text_of(machines[i], worlds[i]) == decode_text(worlds[i], builder, verifier, {{9, i}}));
    }
  });
}

TEST_CASE("stopping and resuming after any step gives the uninterrupted text") {
  struct stop_after : generate_hooks {
    std::size_t steps;
    explicit stop_after(std::size_t count) : steps(count) {}
    void on_step(const decode_step&) { --steps; }
    [[nodiscard]] bool cancelled() const { return steps == 0; }
  };
  const auto worlds = proof::standard_toys<double>(4);
  for_each_pairing([&](const char* name, const auto& builder, const auto& verifier) {
    for (const toy& world : worlds) {
      const decode_setup setup{{4}};
      const auto expected = decode_text(world, builder, verifier, setup);
      for (std::size_t steps = 1; steps < 6; ++steps) {
        INFO(name << ", toy " << world.name << ", stopped after " << steps << " steps");
        auto machine = machine_for(world, proof::drafter_of(world, builder), verifier, setup);
        auto model = target_of(world);
        (void)resume(model, machine, stop_after(steps)).value_or_throw();
        machine.rewind(machine.context().size()).value_or_throw();
        (void)resume(model, machine).value_or_throw();
        CHECK(text_of(machine, world) == expected);
      }
    }
  });
}

TEST_CASE("after going back, match writes the same text again") {
  for (const toy& world : proof::standard_toys<double>(4)) {
    const decode_setup setup{{6}};
    auto machine = machine_for(world, proof::drafter_of(world, ranked_tree{{2, 2}}), match{}, setup);
    auto model = target_of(world);
    (void)resume(model, machine).value_or_throw();
    const auto expected = text_of(machine, world);
    for (std::size_t length = 1; length < 10; ++length) {
      INFO("toy " << world.name << ", back to " << length);
      machine.rewind(length).value_or_throw();
      (void)resume(model, machine).value_or_throw();
      CHECK(text_of(machine, world) == expected);
    }
  }
}

TEST_CASE("a plan that is dropped and made again is the same plan") {
  for_each_pairing([&](const char* name, const auto& builder, const auto& verifier) {
    const auto world = proof::toy_b<double>();
    auto machine = machine_for(world, proof::drafter_of(world, builder), verifier, {{8}});
    auto first = machine.plan();
    REQUIRE(first.has_value());
    const token_tree tree = first->tree;
    auto second = machine.plan();
    REQUIRE(second.has_value());
    INFO(name);
    CHECK(second->tree == tree);
  });
}

TEST_CASE("production draws agree with the enumerated law") {
  // The enumerator takes an ordered sample as successive picks; the production source runs an exponential race. Both
  // must have one law: chi-square of 40,000 production trees against the enumerated frequencies, significance 1e-6.
  const auto a = proof::toy_a<double>();
  distribution<double> row;
  REQUIRE(law_after(a.draft, a.prompt, row) == error_code::none);
  std::map<int, double> expected;
  proof::enumerating_chance<double> enumerator;
  const auto draw = [&](auto& chance, std::uint64_t position) {
    token out[2] = {};
    (void)chance.ordered_sample(draft_key(position, 0), row.view(), out);
    return 4 * out[0] + out[1];
  };
  proof::enumerate(enumerator, [&] {
    const int outcome = draw(enumerator, 0);
    expected[outcome] += enumerator.probability();
  });
  CHECK(expected.size() == 12);
  std::map<int, double> seen;
  const philox_chance chance{17};
  constexpr int runs = 40'000;
  for (std::uint64_t i = 0; i < runs; ++i) ++seen[draw(chance, i)];
  double chi_square = 0;
  for (const auto& [outcome, probability] : expected) {
    const double mean = runs * probability;
    chi_square += (seen[outcome] - mean) * (seen[outcome] - mean) / mean;
  }
  CHECK(seen.size() == 12);
  CHECK(chi_square < 48.9);  // the 1 - 1e-6 quantile with 11 degrees of freedom
}

}  // namespace decant_test
