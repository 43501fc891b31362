// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Drafters that mean harm. What keeps the drafter's contract can only cost time; what breaks it is one clear error, and
// the sequence goes on with the next plan.
#include "tests/decode/support/scripted_drafter.hpp"
#include "tests/support/decoding.hpp"

#include <decant/tree/static_widths.hpp>

namespace {

using namespace decant_test;
using decant::draft_site;
using decant::edge_law;
using decant::error_code;
using decant::node_id;
using decant::tree_class;
using draft = decant::token_draft<float>;
using fill = scripted_drafter<>::fill_type;

constexpr token end_token = 3;

struct named_fill {
  const char* name;
  fill write;
};

/// A random tree within the limits, whose tokens come from `choose`.
template <class Choose>
void grow_randomly(draft& out, const draft_site& site, random_source& random, Choose&& choose) {
  for (std::int32_t i = 0; i < site.limits.nodes; ++i) {
    const auto parent = static_cast<node_id>(random.below(out.tree.size()));
    if (out.tree.depth(parent) < site.limits.depth) out.tree.append(parent, choose(parent));
  }
}

/// Hostile, yet within the contract.
std::vector<named_fill> legal_fills(const boxed_model& target) {
  auto random = std::make_shared<random_source>(5);
  return {
      {"random",
       [random](draft& out, const draft_site& site) {
         grow_randomly(out, site, *random, [&](node_id) { return random->token_below(site.vocab_size); });
       }},
      {"constant",
       [random](draft& out, const draft_site& site) {
         grow_randomly(out, site, *random, [](node_id) { return token{2}; });
       }},
      {"the worst token",
       [&target](draft& out, const draft_site& site) {
         token_list text = to_token_list(site.context);
         for (node_id end = 0; out.tree.depth(end) < site.limits.depth;) {
           const std::vector<float> row = row_after(target, text);
           text.push_back(static_cast<token>(std::min_element(row.begin(), row.end()) - row.begin()));
           end = out.tree.append(end, text.back());
         }
       }},
      {"end of sequence in the middle",
       [&target](draft& out, const draft_site& site) {
         token_list text = to_token_list(site.context);
         for (node_id end = 0; out.tree.depth(end) < site.limits.depth;) {
           const bool harm = out.tree.depth(end) % 2 == 1;
           text.push_back(harm ? end_token : greedy_choice(target)(text));
           end = out.tree.append(end, text.back());
         }
       }},
      {"right tokens beside copies of them",
       [&target](draft& out, const draft_site& site) {
         token_list text = to_token_list(site.context);
         node_id end = 0;
         while (out.tree.depth(end) < site.limits.depth && out.tree.size() + 1 < decant::index(site.limits.nodes)) {
           text.push_back(greedy_choice(target)(text));
           const node_id first = out.tree.append(end, text.back());
           out.tree.append(end, text.back());
           end = first;
         }
       }},
      {"probes everywhere",
       [random, &target](draft& out, const draft_site& site) {
         token_list text = to_token_list(site.context);
         node_id end = 0;
         while (out.tree.depth(end) < site.limits.depth && out.tree.size() + 1 < decant::index(site.limits.nodes)) {
           text.push_back(greedy_choice(target)(text));
           const node_id probe = out.tree.append_probe(end, random->token_below(site.vocab_size));
           (void)probe;
           end = out.tree.append(end, text.back());
         }
       }},
      {"draws repeated without end",
       [random](draft& out, const draft_site& site) {
         if (site.limits.nodes == 0) return;
         const node_id child = out.tree.append(0, random->token_below(site.vocab_size));
         for (int i = 0; i < 50; ++i) out.tree.repeat(child, {});
       }},
      {"empty", [](draft&, const draft_site&) {}},
  };
}

/// What breaks the contract, with the error it gives.
struct broken_fill {
  const char* name;
  error_code code;
  fill write;
};

void chain_of(draft& out, std::int32_t length, token t) {
  for (node_id end = 0; out.tree.depth(end) < length;) end = out.tree.append(end, t);
}

std::vector<broken_fill> broken_fills() {
  return {
      {"more nodes than the limit", error_code::invalid_tree,
       [](draft& out, const draft_site& site) {
         for (std::int32_t i = 0; i <= site.limits.nodes; ++i) out.tree.append(0, 1);
       }},
      {"probes beyond the limit", error_code::invalid_tree,
       [](draft& out, const draft_site& site) {
         for (std::int32_t i = 0; i <= site.limits.nodes; ++i) (void)out.tree.append_probe(0, 1);
       }},
      {"deeper than the limit", error_code::invalid_tree,
       [](draft& out, const draft_site& site) { chain_of(out, site.limits.depth + 1, 1); }},
      {"a negative token", error_code::invalid_token, [](draft& out, const draft_site&) { out.tree.append(0, -1); }},
      {"a token at the vocabulary size", error_code::invalid_token,
       [](draft& out, const draft_site& site) { out.tree.append(0, static_cast<token>(site.vocab_size)); }},
      {"the largest token", error_code::invalid_token,
       [](draft& out, const draft_site&) { out.tree.append(0, std::numeric_limits<token>::max()); }},
      {"an edge from a row that is not there", error_code::invalid_tree,
       [](draft& out, const draft_site&) {
         out.tree.append(0, 1, {edge_law::independent, 0});
       }},
      {"an edge from a negative row", error_code::invalid_tree,
       [](draft& out, const draft_site&) {
         out.tree.append(0, 1, {edge_law::without_replacement, -1});
       }},
      {"a repeated draw from a row that is not there", error_code::invalid_tree,
       [](draft& out, const draft_site&) {
         out.tree.repeat(out.tree.append(0, 1), {edge_law::independent, 7});
       }},
      {"a row of another vocabulary", error_code::row_wrong_size,
       [](draft& out, const draft_site& site) {
         out.add_row_after(0).assign_one_hot(1, site.vocab_size + 1);
         out.tree.append(0, 1, {edge_law::independent, 0});
       }},
      {"another root", error_code::invalid_tree,
       [](draft& out, const draft_site& site) { out.reset(site.context.back() == 0 ? 1 : 0); }},
  };
}

}  // namespace

TEST_CASE("legal but hostile drafts never change the text") {
  std::vector<scene> all = scenes();
  random_source random(6);
  for (std::size_t i = 0; i < 12; ++i) {
    scene& here = all[i % all.size()];
    const token_list prompt = random_prompt(random, here.vocab_size());
    decant::decode_options options = options_for(here, 12);
    if (i % 2 == 1) options.end_of_sequence = {end_token};
    const outcome plain = plain_decoding(prompt, options, {}, greedy_choice(here.target));
    const decant::philox_chance chance{7, static_cast<std::uint32_t>(i)};
    const outcome sampled = plain_decoding(prompt, options, {}, sampled_choice(here.target, penalised(), chance));
    for (const named_fill& hostile : legal_fills(here.target)) {
      INFO(here.name << ": " << hostile.name);
      const scripted_drafter<> drafter(hostile.write);
      auto by_greedy = make_machine(drafter, decant::greedy{}, at_zero(), options);
      REQUIRE(run(here.target, by_greedy, prompt) == plain.emitted);
      auto by_rejection = make_machine(drafter, decant::recursive_rejection{}, at_zero(), options);
      REQUIRE(run(here.target, by_rejection, prompt) == plain.emitted);
      auto by_match = make_machine(drafter, decant::match{}, penalised(), options, chance);
      REQUIRE(run(here.target, by_match, prompt) == sampled.emitted);
    }
  }
}

TEST_CASE("a draft that breaks the contract is one clear error and the next plan works again") {
  std::vector<scene> all = scenes();
  scene& here = all[2];
  const token_list prompt{1, 2, 3, 1, 2};
  const token_list plain = plain_decoding(prompt, options_for(here, 10), {}, greedy_choice(here.target)).emitted;
  for (const broken_fill& broken : broken_fills()) {
    for (std::size_t harm_at = 0; harm_at < 4; ++harm_at) {
      INFO(broken.name << " at draft " << harm_at);
      std::size_t drafts = 0;
      auto machine = make_machine(scripted_drafter<>([&](draft& out, const draft_site& site) {
                                    if (drafts++ == harm_at) return broken.write(out, site);
                                    if (site.limits.depth > 0) out.tree.append(0, 1);
                                  }),
                                  decant::greedy{}, at_zero(), options_for(here, 10));
      collector hooks;
      const auto failed = decant::generate(here.target, machine, prompt, hooks);
      REQUIRE(failed.code() == broken.code);
      CHECK(std::string(failed.error().message().c_str()).size() > 10);
      CHECK(drafts == harm_at + 1);
      CHECK(to_token_list(machine.context().subspan(prompt.size())) == hooks.streamed);
      CHECK(here.target.length() == machine.context().size() - 1);
      CHECK(machine.wanted_draft_rows().empty());
      REQUIRE(decant::resume(here.target, machine, hooks).has_value());
      CHECK(hooks.streamed == plain);
    }
  }
}

TEST_CASE("after a refused draft nothing can be absorbed") {
  std::vector<scene> all = scenes();
  scene& here = all[0];
  auto machine = make_machine(scripted_drafter<>([](draft& out, const draft_site&) { out.tree.append(0, -7); }),
                              decant::greedy{}, at_zero(), options_for(here));
  REQUIRE(machine.begin(token_list{1, 2}).has_value());
  const auto refused = machine.plan();
  CHECK(refused.code() == error_code::invalid_token);
  auto rows = decant::rows_from<float>([](node_id) { return std::span<const float>{}; });
  CHECK(machine.absorb(rows).code() == error_code::wrong_call_order);
  CHECK(machine.plan().code() == error_code::invalid_token);
  CHECK(machine.context().size() == 2);
}

TEST_CASE("a drafter that promised chains may not branch") {
  std::vector<scene> all = scenes();
  scene& here = all[0];
  bool harm = true;
  auto machine = make_machine(scripted_drafter<tree_class::sampled, true>([&](draft& out, const draft_site&) {
                                out.tree.append(0, 1);
                                if (harm) out.tree.append(0, 2);
                              }),
                              decant::speculative_sampling{}, at_zero(), options_for(here));
  REQUIRE(machine.begin(token_list{1, 2}).has_value());
  CHECK(machine.plan().code() == error_code::invalid_tree);
  harm = false;
  CHECK(machine.plan().has_value());
}

TEST_CASE("limits of zero or less draft nothing, and limits may change between steps") {
  std::vector<scene> all = scenes();
  scene& here = all[1];
  const token_list prompt{1, 2, 3};
  const token_list plain = plain_decoding(prompt, options_for(here), {}, greedy_choice(here.target)).emitted;
  auto machine = make_machine(decant::make_model_drafter(here.draft, decant::static_widths<decant::ranked>{}),
                              decant::greedy{}, at_zero(), options_for(here));
  REQUIRE(machine.begin(prompt).has_value());
  REQUIRE(here.target.truncate(0).has_value());
  REQUIRE(here.target.prefill(token_span(prompt).first(2)).has_value());
  const std::vector<decant::draft_limits> limits{{0, 5}, {5, 0}, {-1, -1}, {3, 2}, {64, 16}, {1, 16}};
  for (std::size_t step = 0; !machine.finished(); ++step) {
    const decant::draft_limits now = limits[step % limits.size()];
    machine.set_limits(now);
    auto plan = machine.plan();
    REQUIRE(plan.has_value());
    CHECK(plan->tree.size() <= decant::index(std::max(now.nodes, 0)) + 1);
    if (now.nodes <= 0 || now.depth <= 0) CHECK(plan->tree.size() == 1);
    for (const node_id n : plan->tree.all()) {
      CHECK(plan->tree.depth(n) <= std::max(now.depth, 0));
      // The last token of a step comes after the deepest node; nothing is drafted beyond the token limit.
      CHECK(machine.emitted_count() + decant::index(plan->tree.depth(n)) < machine.options().max_tokens);
    }
    auto rows = here.target.evaluate(plan->tree, plan->tree.all());
    REQUIRE(rows.has_value());
    auto done = machine.absorb(*rows);
    REQUIRE(done.has_value());
    REQUIRE(here.target.commit(done->kept).has_value());
  }
  CHECK(to_token_list(machine.context().subspan(prompt.size())) == plain);
}
