// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/tree/acceptance_by_rank.hpp>
#include <decant/tree/sequoia.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/recursive_rejection.hpp>

#include "tests/support/allocation_counter.hpp"
#include "tests/support/draft_building.hpp"

using namespace decant;
using namespace decant_test;

namespace {

/// Target laws of a tree's nodes, from a law of paths.
struct laws_of_paths {
  using value_type = double;
  const token_tree& tree;
  path_law source;
  distribution<double> kept{};

  const distribution<double>* law(node_id n) {
    write_law(kept, source(tokens_to(tree, n)));
    return &kept;
  }
  [[nodiscard]] error_code status() const { return error_code::none; }
};

}  // namespace

TEST_CASE("children are counted where their parent was accepted") {
  token_tree tree(0);
  const node_id a = tree.append(0, 1);
  const node_id b = tree.append(0, 2);
  tree.append(a, 3);
  tree.append(b, 4);
  const node_id below = tree.append(b, 5);
  tree.append_probe(b, 9000);
  acceptance_by_rank seen;
  CHECK(seen.by_rank().empty());
  seen.record(tree, std::vector<node_id>{0, b, below});
  CHECK(seen.by_depth() == rank_acceptance{{0, 1}, {0, 1}});
  seen.record(tree, std::vector<node_id>{0, a});
  CHECK(seen.by_depth() == rank_acceptance{{0.5, 0.5}, {0, 1}});
  CHECK(seen.by_rank() == std::vector<double>{1.0 / 4, 2.0 / 3});
  seen.record(tree, std::vector<node_id>{0});
  CHECK(seen.acceptance(0, 0) == 1.0 / 3);
  CHECK(seen.acceptance(0, 7) == 0);
  CHECK(seen.acceptance(7, 0) == 0);
  CHECK(seen.by_depth()[1] == std::vector<double>{0, 1});
  seen.clear();
  CHECK(seen == acceptance_by_rank());
}

TEST_CASE("recording allocates nothing for trees no larger than before") {
  token_tree tree(0);
  for (token t = 0; t < 5; ++t) tree.append(0, t);
  const std::vector<node_id> path{0, 3};
  acceptance_by_rank seen;
  seen.record(tree, path);
  CHECK(allocations_of([&] { seen.record(tree, path); }) == 0);
}

TEST_CASE("a calibration of wide levels says what trees built from it will accept") {
  // Laws whose acceptance by rank hardly depends on the path, as the positional assumption has it.
  philox_chance chance{5};
  const auto run = [&](const auto& builder, std::uint64_t steps, acceptance_by_rank& seen) {
    double tokens = 0;
    for (std::uint64_t step = 0; step < steps; ++step) {
      const path_law draft_law{2 * step, 8, 0};
      auto built = build(builder, {64, 8}, draft_law, chance);
      laws_of_paths laws{built.draft.tree, {2 * step + 1, 8, 0}};
      recursive_rejection::work<double> work{};
      verdict out;
      philox_chance coins{step + 1000};
      REQUIRE(recursive_rejection{}.verify(built.draft, laws, coins, 100, work, out) == error_code::none);
      seen.record(built.draft.tree, out.path);
      tokens += static_cast<double>(out.path.size());
    }
    return tokens / static_cast<double>(steps);
  };
  acceptance_by_rank calibration;
  run(static_widths<without_replacement>{{4}}, 4000, calibration);
  const std::vector<double> acceptance = calibration.by_rank();
  REQUIRE(acceptance.size() == 4);
  for (const double a : acceptance) CHECK((a > 0.01 && a < 1));
  const sequoia_trees trees(acceptance, 12, 4);
  acceptance_by_rank unused;
  const double found = run(trees.tree(12, 4), 2000, unused);
  CHECK(found == Approx(trees.expected_tokens(12, 4)).epsilon(0.06));
}
