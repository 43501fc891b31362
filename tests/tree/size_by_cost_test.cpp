// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/expand_and_rerank.hpp>
#include <decant/tree/size_by_cost.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/match.hpp>
#include <decant/verify/recursive_rejection.hpp>

#include "tests/support/draft_building.hpp"
#include "tests/tree/support/warm_builds.hpp"

using namespace decant;
using namespace decant_test;

namespace {

const cost_curve quarter{{{1, 1.0}, {5, 2.0}}};

/// Expected tokens per time of the best `count` nodes, for every count.
std::vector<double> rates(const token_tree& tree, const cost_curve& curve, double spent) {
  std::vector<double> acceptances;
  for (const node_id n : tree.all().subspan(1)) acceptances.push_back(static_cast<double>(tree.acceptance(n)));
  std::sort(acceptances.rbegin(), acceptances.rend());
  std::vector<double> found{1 / (curve.time(1) + spent)};
  double tokens = 1;
  for (std::size_t i = 0; i < acceptances.size(); ++i) {
    tokens += acceptances[i];
    found.push_back(tokens / (curve.time(i + 2) + spent));
  }
  return found;
}

double sum_of_acceptances(const token_tree& tree) {
  double sum = 0;
  for (const node_id n : tree.all()) sum += static_cast<double>(tree.acceptance(n));
  return sum;
}

}  // namespace

TEST_CASE("the best size maximises tokens per time") {
  const std::vector<double> tokens{1, 1.8, 2.3, 2.5};
  const auto by_size = [&](std::size_t n) { return tokens[n]; };
  const auto free_draft = [](std::size_t) { return 0.0; };
  CHECK(best_size(3, by_size, free_draft, quarter) == 2);
  CHECK(best_size(1, by_size, free_draft, quarter) == 1);
  CHECK(best_size(0, by_size, free_draft, quarter) == 0);
  // A draft that costs as much as plain passes is not worth beginning; one that is paid for anyway is used more.
  CHECK(best_size(
            3, by_size, [](std::size_t n) { return static_cast<double>(n); }, quarter) == 0);
  CHECK(best_size(
            3, by_size, [](std::size_t) { return 3.0; }, quarter) == 3);
  CHECK(best_size(3, by_size, free_draft, cost_curve{{{1, 1.0}, {2, 3.0}}}) == 0);
}

TEST_CASE("a cut tree has the best rate of all its beginnings in order of acceptance") {
  philox_chance chance{1};
  std::size_t shortened = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const path_law law{seed, 9, 0.3};
    const expand_and_rerank inner{30, 4, 4};
    const auto whole = build(inner, {64, 8}, law, chance);
    for (const cost_curve& curve : {cost_curve::cpu_like(), cost_curve::flat(), quarter, cost_curve{}}) {
      for (const double draft_cost : {0.0, 0.2}) {
        const auto cut = build(cut_to_cost<expand_and_rerank>{inner, curve, draft_cost}, {64, 8}, law, chance);
        const double spent = draft_cost * static_cast<double>(whole.wanted.size());
        const std::vector<double> all = rates(whole.draft.tree, curve, spent);
        const std::size_t kept = cut.draft.tree.size() - 1;
        CHECK(all[kept] == Approx(*std::max_element(all.begin(), all.end())).epsilon(1e-12));
        // It holds the likeliest nodes, and whole paths of them.
        CHECK(sum_of_acceptances(cut.draft.tree) / (curve.time(kept + 1) + spent) == Approx(all[kept]).epsilon(1e-6));
        CHECK(cut.wanted == whole.wanted);
        check_draft(cut.draft, {64, 8}, law.vocab_size);
        shortened += kept + 1 < whole.draft.tree.size();
      }
    }
  }
  CHECK(shortened > 40);
}

TEST_CASE("only trees whose edges nobody relies on may be cut, and a budget chosen beforehand keeps every class") {
  CHECK(cut_to_cost<static_widths<ranked>>::produces == tree_class::deterministic);
  CHECK(cut_to_cost<reranked<static_widths<independent>>>::produces == tree_class::arbitrary);
  CHECK(budget_by_cost<static_widths<independent>>::produces == tree_class::counted);
  static_assert(TreeBuilder<cut_to_cost<expand_and_rerank>> && TreeBuilder<budget_by_cost<static_widths<independent>>>);
  static_assert(pairing<guided_drafter<budget_by_cost<static_widths<independent>>>, recursive_rejection>::ok);
}

TEST_CASE("a budget is the best of those offered and within the limits") {
  using widths = static_widths<without_replacement>;
  budget_by_cost<widths> builder{widths{{4, 3, 2}}, {{1, 1.5, 1}, {4, 2.0, 1}, {12, 2.6, 2}, {40, 3.5, 3}}, quarter, 0};
  CHECK(builder.choose(100) == 1);  // 1.2 against 1, 0.65, 0.32
  builder.curve = cost_curve::offload();
  CHECK(builder.choose(100) == 40);
  CHECK(builder.choose(39) == 12);
  CHECK(builder.choose(0) == 0);
  builder.draft_cost = 0.9;
  CHECK(builder.choose(100) == 4);
  builder.draft_cost = 5;
  CHECK(builder.choose(100) == 0);
  builder.draft_cost = 0;
  const path_law law{3, 9, 0};
  for (std::int32_t nodes = 0; nodes < 50; ++nodes) {
    philox_chance chance{1};
    const std::int32_t budget = builder.choose(nodes);
    const auto built = build(builder, {nodes, 8}, law, chance);
    CHECK(same_draft(built.draft, build(builder.builder, {budget, 8}, law, chance).draft));
  }
  CHECK(budget_by_cost<widths>{}.choose(100) == 0);
}

TEST_CASE("cutting allocates nothing once warm") {
  const cut_to_cost<static_widths<ranked>> builder{{{4, 4, 4}}, cost_curve::cpu_like(), 0.1};
  const warm_build made = build_twice(builder, {60, 3}, path_law{2, 12, 0}({1}));
  CHECK(made.nodes < 61);
  CHECK(made.allocations == 0);
}
