// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/model/law_model.hpp>
#include <decant/model/laws.hpp>
#include <decant/model/simulated_engine.hpp>

#include <vector>

#include "tests/model/model_contract.hpp"

using namespace decant;
using decant_test::near;

namespace {

auto toy_model() { return make_law_model(shifted_law<float>::toy_a_target(0), 128); }

token_tree chain_of(std::size_t size) {
  token_tree tree(0);
  while (tree.size() < size) tree.append(static_cast<node_id>(tree.size()) - 1, 1);
  return tree;
}

}  // namespace

TEST_CASE("passes and prefills of a simulated engine take their time") {
  virtual_clock clock;
  auto inner = toy_model();
  simulated_engine target(inner, cost_curve::cpu_like(), clock);
  simulated_engine draft(toy_model(), cost_curve::flat(), clock, 0.25);
  const std::vector<token> prompt{0, 1, 2, 3};
  REQUIRE(target.prefill(prompt));
  CHECK(near(clock.now, 2.82, 1e-12));
  REQUIRE(target.prefill({}));
  CHECK(near(clock.now, 2.82, 1e-12));
  const token_tree tree = chain_of(8);
  REQUIRE(target.evaluate(tree, tree.all()));
  CHECK(near(clock.now, 6.82, 1e-12));
  const token_tree one(0);
  REQUIRE(draft.evaluate(one, one.all()));
  CHECK(near(clock.now, 7.07, 1e-12));
  CHECK(near(target.busy(), 6.82, 1e-12));
  CHECK(near(draft.busy(), 0.25, 1e-12));
  clock.advance(0.5);
  CHECK(near(clock.now, 7.57, 1e-12));
}

TEST_CASE("what fails in a simulated engine takes no time") {
  virtual_clock clock;
  simulated_engine target(toy_model(), cost_curve::cpu_like(), clock);
  const std::vector<token> bad{9};
  CHECK(target.prefill(bad).code() == error_code::invalid_token);
  const token_tree outside(9);
  CHECK(target.evaluate(outside, outside.all()).code() == error_code::invalid_token);
  CHECK(clock.now == 0);
}

TEST_CASE("a simulated engine hands everything else through") {
  virtual_clock clock;
  auto inner = toy_model();
  simulated_engine target(inner, cost_curve::flat(), clock);
  const token_tree tree = chain_of(3);
  auto rows = target.evaluate(tree, tree.all());
  REQUIRE(rows);
  CHECK(rows->row(2)[0] == 2.0f);  // weight of token 0 after the sum 2: 0.2
  REQUIRE(target.commit(tree.all()));
  CHECK(target.length() == 3);
  CHECK(inner.length() == 3);
  REQUIRE(target.truncate(1));
  CHECK(inner.length() == 1);
  CHECK(target.vocab_size() == 4);
  CHECK(target.context_size() == 128);
  CHECK(clock.now == cost_curve::flat().time(3));
}
