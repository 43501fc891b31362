// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rules of two models in the machine: trees over combined rows give the texts of plain decoding over them.
#include <decant/sample/combined_rows.hpp>

#include <decant/sample/contrastive_decoding.hpp>
#include <decant/sample/dola.hpp>
#include <decant/tree/static_widths.hpp>

#include "tests/support/allocation_counter.hpp"
#include "tests/support/decoding.hpp"

namespace {

using namespace decant_test;
using decant::combined_row_store;
using decant::combined_rows;

/// The second row of every node, from another model; `copies` of it, each turned by one token.
struct repeated_rows {
  using value_type = float;
  boxed_model::rows_type& rows;
  std::size_t copies;
  std::vector<std::vector<float>> made{};

  std::span<const float> row(decant::node_id n) {
    const std::span<const float> one = rows.row(n);
    std::vector<float> all;
    for (std::size_t i = 0; i < copies; ++i) {
      for (std::size_t t = 0; t < one.size(); ++t) all.push_back(one[(t + i) % one.size()]);
    }
    made.push_back(std::move(all));
    return made.back();
  }
};

/// Decodes with two models side by side, the second one's rows combined into the first one's.
template <class Machine, class Rule>
token_list decode(boxed_model target, boxed_model second, Machine& machine, const Rule& rule, token_span prompt,
                  std::size_t copies = 1) {
  combined_row_store<float> store;
  REQUIRE(machine.begin(prompt).has_value());
  for (boxed_model* model : {&target, &second}) {
    REQUIRE(model->prefill(prompt.first(prompt.size() - 1)).has_value());
  }
  while (!machine.finished()) {
    REQUIRE(machine.plan().has_value());
    auto rows = target.evaluate(machine.draft_tree(), machine.draft_tree().all());
    auto second_rows = second.evaluate(machine.draft_tree(), machine.draft_tree().all());
    REQUIRE((rows.has_value() && second_rows.has_value()));
    repeated_rows repeated{*second_rows, copies};
    combined_rows both(*rows, repeated, rule, store);
    const auto step = machine.absorb(both);
    REQUIRE(step.has_value());
    REQUIRE(target.commit(step->kept).has_value());
    REQUIRE(second.commit(step->kept).has_value());
  }
  return to_token_list(machine.context().subspan(prompt.size()));
}

template <class Rule>
void check_in_machine(const Rule& rule, std::size_t copies = 1) {
  std::vector<scene> all = scenes();
  scene& here = all[1];
  const token_list prompt{1, 2, 3};
  for (const chain_sampler& sampler : {at_zero(), penalised()}) {
    auto plain = make_machine(decant::no_drafter{}, decant::match{}, sampler, options_for(here));
    const token_list expected = decode(here.target, here.draft, plain, rule, prompt, copies);
    auto drafted =
        make_machine(decant::make_model_drafter(here.draft, decant::static_widths<decant::ranked>{{3, 2, 1}}, sampler),
                     decant::match{}, sampler, options_for(here));
    CHECK(decode(here.target, here.draft, drafted, rule, prompt, copies) == expected);
    CHECK(drafted.statistics().passes <= plain.statistics().passes);
    auto unguided = make_machine(decant::no_drafter{}, decant::match{}, sampler, options_for(here));
    CHECK(run(here.target, unguided, prompt) != expected);  // the second row does matter
  }
}

}  // namespace

TEST_CASE("guidance on every node of a tree gives the text of plain guided decoding") {
  check_in_machine(decant::guidance{2.5f});
}

TEST_CASE("contrastive decoding on every node of a tree gives the text of plain contrastive decoding") {
  check_in_machine(decant::contrastive_decoding{0.02f, 1.0f});
  check_in_machine(decant::contrastive_logits{0.02f, 1.5f});
}

TEST_CASE("layers contrasted on every node of a tree give the text of plain decoding") {
  check_in_machine(decant::dola{0.02f}, 3);
}

TEST_CASE("guided greedy decoding is the argmax of the guided rows") {
  std::vector<scene> all = scenes();
  scene& here = all[0];
  const token_list prompt{1, 2, 3};
  auto machine = make_machine(decant::no_drafter{}, decant::greedy{}, at_zero(), options_for(here));
  const token_list found = decode(here.target, here.draft, machine, decant::guidance{2.0f}, prompt);
  token_list text = prompt;
  for (const token t : found) {
    const auto c = row_after(here.target, text);
    const auto u = row_after(here.draft, text);
    std::size_t best = 0;
    const auto score = [&](std::size_t i) { return 2.0 * static_cast<double>(c[i]) - static_cast<double>(u[i]); };
    for (std::size_t i = 1; i < c.size(); ++i) {
      if (score(i) > score(best) + 1e-5) best = i;
    }
    CHECK(decant_test::near(score(best), score(decant::index(t)), 1e-4));
    text.push_back(t);
  }
}

TEST_CASE("a combined row is made once, and not at all when either row is missing or the rule refuses") {
  const std::vector<float> values{0, 1, 2, 3, 4, 5};
  decant::matrix_rows<float> rows{values, 3};
  int asked = 0;
  auto second = decant::rows_from<float>([&](decant::node_id n) {
    ++asked;
    return n == 1 ? std::span<const float>{} : std::span<const float>(values).first(n == 0 ? 3 : 2);
  });
  combined_row_store<float> store;
  combined_rows both(rows, second, decant::guidance{1.5f}, store);
  const auto first = both.row(0);
  CHECK(first.size() == 3);
  CHECK(both.row(0).data() == first.data());
  CHECK(asked == 1);
  CHECK(both.row(1).empty());
  CHECK(both.row(9).empty());  // the first source lacks it: the second is not asked
  CHECK(asked == 2);
  const std::vector<float> wide{0, 1, 2, 3};
  decant::matrix_rows<float> wider{wide, 4};
  combined_rows misfit(rows, wider, decant::guidance{1.5f}, store);
  CHECK(misfit.row(0).empty());
}

TEST_CASE("combining rows allocates nothing once warm") {
  const std::vector<float> values(400, 0.5f);
  decant::matrix_rows<float> rows{values, 40};
  combined_row_store<float> store;
  const auto pass = [&] {
    combined_rows both(rows, rows, decant::guidance{1.5f}, store);
    for (decant::node_id n = 0; n < 10; ++n) CHECK(both.row(9 - n).size() == 40);
  };
  pass();
  std::size_t sum = 0;
  CHECK(allocations_of([&] {
          combined_rows both(rows, rows, decant::guidance{1.5f}, store);
          for (decant::node_id n = 0; n < 10; ++n) sum += both.row(n).size();
        }) == 0);
  CHECK(sum == 400);
}
