// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/control/budgeted_drafter.hpp>
#include <decant/draft/guided_drafter.hpp>
#include <decant/draft/prompt_lookup.hpp>
#include <decant/proof/prove.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/recursive_rejection.hpp>
#include <decant/verify/traversal.hpp>

#include "tests/support/allocation_counter.hpp"
#include "tests/support/test_kit.hpp"

using namespace decant;

namespace {

/// A chain of `length` nodes with these estimates, and the path that ends after `accepted` of them.
struct step_seen {
  token_tree tree{0};
  std::vector<node_id> kept{0};

  step_seen(std::int32_t length, float estimate, std::int32_t accepted) {
    float reach = 1;
    for (std::int32_t i = 0; i < length; ++i) {
      reach *= estimate;
      const node_id n = tree.append(i, 1, {}, {reach, 0});
      if (i < accepted) kept.push_back(n);
    }
  }
};

/// Steps in which the first `good` nodes of every draft are accepted; returns the last budget.
std::int32_t settle(node_budget& budget, std::int32_t most, std::int32_t good, float estimate, int steps = 300) {
  for (int i = 0; i < steps; ++i) {
    const std::int32_t nodes = budget.choose(most);
    const step_seen seen(nodes, estimate, std::min(good, nodes));
    budget.learn(seen.tree, seen.kept);
  }
  return budget.choose(most);
}

const cost_curve linear{{{1, 1.0}, {11, 2.0}}};

}  // namespace

TEST_CASE("a budget follows what is accepted, not what the drafter hopes for") {
  node_budget hopeful(linear, 0.05);
  CHECK(hopeful.choose(10) == 10);
  CHECK(settle(hopeful, 10, 10, 0.95f) >= 8);
  node_budget useless(linear, 0.05);
  const std::int32_t small = settle(useless, 10, 0, 0.95f);
  CHECK(small <= 1);
  // The draft becomes good: it is tried again, and found out.
  CHECK(settle(useless, 10, 10, 0.95f, 800) >= 8);
}

TEST_CASE("without estimates the budget is what was accepted") {
  node_budget budget(linear, 0.0);
  const std::int32_t found = settle(budget, 10, 3, 0.0f, 400);
  CHECK(found >= 3);
  CHECK(found <= 4);
}

TEST_CASE("dear passes and dear nodes make small budgets") {
  std::int32_t last = 20;
  for (const double pass_cost : {0.0, 0.1, 0.3, 0.6, 2.0}) {
    node_budget budget(linear, pass_cost);
    for (int i = 0; i < 100; ++i) {
      const step_seen seen(20, 0.7f, i % 4);
      budget.learn(seen.tree, seen.kept);
    }
    const std::int32_t chosen = budget.choose(20);
    CHECK(chosen <= last);
    last = chosen;
  }
  CHECK(last == 0);
}

TEST_CASE("a budget keeps to the limit, whatever the tree") {
  node_budget budget(cost_curve::offload());
  CHECK(budget.choose(-3) == 0);
  CHECK(budget.choose(0) == 0);
  CHECK(budget.choose(100000) == 1024);
  token_tree large(0);
  for (int i = 0; i < 1500; ++i) large.append(0, i, {}, {0.5f, 0});
  budget.learn(large, std::vector<node_id>{0});
  CHECK(budget.choose(100000) <= 1024);
  CHECK(decant_test::allocations_of([&] {
          budget.learn(large, std::vector<node_id>());
          (void)budget.choose(64);
        }) == 0);
}

TEST_CASE("a budgeted drafter keeps the class of its trees and the target's law, also while it learns") {
  using drawn = static_widths<without_replacement>;
  static_assert(budgeted_drafter<guided_drafter<drawn>>::produces == tree_class::counted);
  static_assert(SelfDrivenDrafter<budgeted_drafter<prompt_lookup<>>>);
  static_assert(HostDrivenDrafter<budgeted_drafter<guided_drafter<drawn>>>);
  // The budget of the second step does depend on how the first one ended.
  node_budget after_success({{{1, 1.0}, {4, 1.6}}}, 0.2);
  node_budget after_failure = after_success;
  after_success.learn(step_seen(3, 0.5f, 3).tree, step_seen(3, 0.5f, 3).kept);
  after_failure.learn(step_seen(3, 0.5f, 0).tree, step_seen(3, 0.5f, 0).kept);
  CHECK(after_success.choose(3) > after_failure.choose(3));
  for (const auto& world : proof::standard_toys<double>(3)) {
    INFO(world.name);
    for (const double pass_cost : {0.0, 0.2}) {
      const auto make = [&] {
        return budgeted_drafter(proof::drafter_of(world, drawn{{2, 1}}),
                                node_budget({{{1, 1.0}, {4, 1.6}}}, pass_cost));
      };
      const auto two_steps = proof::prove_drafter(world, make(), recursive_rejection{}, {2, 0, {3, 4}});
      CHECK(two_steps.exact());
      const auto three_tokens = proof::prove_drafter(world, make(), traversal{}, {1, 3, {3, 4}});
      CHECK(three_tokens.exact());
    }
  }
}
