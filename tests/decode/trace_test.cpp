// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/decode/trace.hpp>
#include <decant/tree/static_widths.hpp>

#include "tests/decode/support/scripted_drafter.hpp"
#include "tests/support/decoding.hpp"

#if __has_include(<nlohmann/json.hpp>)
#include <nlohmann/json.hpp>
#define DECANT_TEST_HAS_JSON 1
#else
#define DECANT_TEST_HAS_JSON 0
#endif

namespace {

using namespace decant_test;

/// Where a trace goes.
struct line_sink {
  std::vector<std::string>* lines;
  void operator()(std::span<const char> line) const { lines->push_back(to_string(line)); }
};

template <class D, class V, class S>
auto traced_machine(D drafter, V verifier, S sampler, decant::decode_options options, std::vector<std::string>& lines) {
  return decant::speculation<D, V, S, decant::philox_chance, float, decant::json_trace<line_sink>>(
      std::move(drafter), verifier, std::move(sampler), {}, std::move(options),
      decant::json_trace<line_sink>(line_sink{&lines}));
}

}  // namespace

TEST_CASE("a traced step is one exact line") {
  using namespace decant;
  decode_options options;
  options.vocab_size = 4;
  options.context_size = 10;
  options.limits = {5, 3};
  std::vector<std::string> lines;
  auto machine = traced_machine(scripted_drafter<tree_class::sampled>([](token_draft<float>& draft, const draft_site&) {
                                  distribution<float>& row = draft.add_row_after(0);
                                  row.begin_sparse(4);
                                  row.push(1, 1.0f);
                                  row.push(3, 3.0f);
                                  REQUIRE(row.finish() == error_code::none);
                                  draft.tree.append(0, 3, {edge_law::without_replacement, 0});
                                  const node_id child = draft.tree.append(0, 1, {edge_law::independent, 0});
                                  draft.tree.append(child, 2);
                                  (void)draft.tree.append_probe(child, 2);
                                }),
                                recursive_rejection{}, given_law{}, options, lines);
  REQUIRE(machine.begin(token_list{0, 2}).has_value());
  REQUIRE(machine.plan().has_value());
  const std::vector<std::vector<float>> table{{0, 4, 0, 0}, {1, 1, 1, 1}, {0, 1, 0, 1}, {0, 0, 0, 2}, {1, 0, 0, 0}};
  auto rows = rows_from<float>([&](node_id n) { return std::span<const float>(table[index(n)]); });
  REQUIRE(machine.absorb(rows).has_value());
  REQUIRE(lines.size() == 1);
  const std::string last = machine.context().back() == 1 ? "1" : "3";
  CHECK(lines[0] ==
        "{\"root_position\":1,\"nodes\":["
        "{\"token\":2,\"parent\":-1},"
        "{\"token\":3,\"parent\":0,\"law\":\"without_replacement\",\"row\":0,\"q\":0.75,\"p\":0},"
        "{\"token\":1,\"parent\":0,\"law\":\"independent\",\"row\":0,\"q\":0.25,\"p\":1},"
        "{\"token\":2,\"parent\":2,\"law\":\"deterministic\",\"p\":0},"
        "{\"token\":2,\"parent\":2}"
        "],\"path\":[0,2],\"last\":" +
            last + ",\"kind\":\"correction\",\"emitted\":[1," + last + "],\"kept\":[0,2]}\n");
}

TEST_CASE("a trace changes nothing") {
  std::vector<scene> all = scenes();
  for (scene& here : all) {
    std::vector<std::string> lines;
    const auto drafter =
        decant::make_model_drafter(here.draft, decant::static_widths<decant::independent>{}, penalised());
    auto plain = make_machine(drafter, decant::recursive_rejection{}, penalised(), options_for(here));
    auto traced = traced_machine(drafter, decant::recursive_rejection{}, penalised(), options_for(here), lines);
    const token_list prompt{1, 2, 3};
    CHECK(run(here.target, traced, prompt) == run(here.target, plain, prompt));
    CHECK(traced.statistics() == plain.statistics());
    CHECK(lines.size() == plain.statistics().passes);
  }
}

#if DECANT_TEST_HAS_JSON
TEST_CASE("a trace parses and holds what happened") {
  std::vector<scene> all = scenes();
  for (scene& here : all) {
    std::vector<std::string> lines;
    decant::decode_options options = options_for(here);
    options.end_of_sequence = {3};
    auto machine =
        traced_machine(decant::make_model_drafter(here.draft, decant::static_widths<decant::ranked>{{3, 2, 1}}),
                       decant::match{}, penalised(), options, lines);
    struct recorder : collector {
      std::vector<token_list> kept;
      std::vector<token_list> emitted;
      void on_step(const decant::decode_step& step) {
        collector::on_step(step);
        kept.push_back(to_token_list(step.kept));
        emitted.push_back(to_token_list(step.tokens));
      }
    };
    recorder hooks;
    const token_list prompt{1, 2, 1, 2};
    REQUIRE(decant::generate(here.target, machine, prompt, hooks).has_value());
    REQUIRE(lines.size() == hooks.kept.size());
    std::size_t position = prompt.size() - 1;
    for (std::size_t i = 0; i < lines.size(); ++i) {
      CHECK(lines[i].find('\n') == lines[i].size() - 1);
      const auto step = nlohmann::json::parse(lines[i]);
      CHECK(step["root_position"] == position);
      CHECK(step["kept"].get<token_list>() == hooks.kept[i]);
      CHECK(step["emitted"].get<token_list>() == hooks.emitted[i]);
      const auto path = step["path"].get<token_list>();
      for (std::size_t k = 0; k < path.size(); ++k) {
        const auto& node = step["nodes"][decant::index(path[k])];
        CHECK(node["parent"] == (k == 0 ? decant::no_node : path[k - 1]));
        if (k > 0 && k - 1 < hooks.emitted[i].size()) CHECK(node["token"] == hooks.emitted[i][k - 1]);
        if (k > 0) CHECK(node["p"].get<double>() > 0);
      }
      CHECK((step["kind"] == "bonus" || step["kind"] == "sample"));
      position += hooks.emitted[i].size();
    }
  }
}
#endif
