// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/tree/likeliest_nodes.hpp>

#include "tests/support/draft_building.hpp"

using namespace decant;
using namespace decant_test;

namespace {

/// A draft whose root row has these weights, and the candidates below it proposed.
token_draft<double> proposed(detail::likeliest_nodes& best, std::size_t places, const std::vector<double>& weights) {
  token_draft<double> draft;
  draft.reset(0);
  best.start(places);
  write_law(draft.add_row_after(0), weights);
  best.propose(draft, 0, 8);
  best.admit(draft);
  return draft;
}

}  // namespace

TEST_CASE("only candidates that get a place enter the tree, likeliest first") {
  detail::likeliest_nodes best;
  const token_draft<double> draft = proposed(best, 3, {1, 4, 0, 2, 3});
  CHECK(child_tokens(draft.tree, 0) == std::vector<token>{1, 4, 3});
  CHECK(std::vector<node_id>(best.newest().begin(), best.newest().end()) == std::vector<node_id>{1, 2, 3});
  CHECK(best.sum() == Approx(0.9));
}

TEST_CASE("a likelier newcomer takes the last place, an equally likely one does not") {
  detail::likeliest_nodes best;
  token_draft<double> draft = proposed(best, 2, {4, 2, 2});
  CHECK(child_tokens(draft.tree, 0) == std::vector<token>{0, 1});
  write_law(draft.add_row_after(1), {1, 1});  // 1/4 each: as likely as node 2
  best.propose(draft, 1, 2);
  best.admit(draft);
  CHECK(draft.tree.size() == 3);
  CHECK(best.newest().empty());
  write_law(draft.add_row_after(1), {1});
  best.propose(draft, 1, 1);  // 1/2
  best.admit(draft);
  CHECK(draft.tree.size() == 4);
  CHECK(best.sum() == Approx(1.0));
  best.finish(draft);
  CHECK(draft.tree.size() == 3);
  CHECK(draft.tree.is_chain());
  CHECK(draft.drafted_as(2) == 3);
}

TEST_CASE("nothing enters without a place, and a new start forgets") {
  detail::likeliest_nodes best;
  CHECK(proposed(best, 0, {1, 2}).tree.size() == 1);
  CHECK(best.sum() == 0);
  CHECK(proposed(best, 9, {1, 2}).tree.size() == 3);
  best.start(1);
  CHECK(best.newest().empty());
  CHECK(best.sum() == 0);
}

TEST_CASE("paths too improbable for a float are no candidates") {
  detail::likeliest_nodes best;
  token_draft<double> draft = proposed(best, 9, {1e-30, 1});
  write_law(draft.add_row_after(2), {1e-30, 1});
  best.propose(draft, 2, 2);
  best.admit(draft);
  CHECK(best.newest().size() == 1);
}

TEST_CASE("children that cannot get a place are passed over, others are not, in long rows as in short ones") {
  constexpr std::size_t places = 20;
  random_source random(3);
  for (const std::size_t vocab_size : {5u, 70u, 600u}) {
    for (int round = 0; round < 20; ++round) {
      token_draft<float> draft;
      draft.reset(0);
      detail::likeliest_nodes best;
      best.start(places);
      std::vector<float> all;  // path probabilities of every node of the layers, in order of proposal
      std::vector<node_id> layer{0};
      for (int depth = 0; depth < 4; ++depth) {
        for (const node_id n : layer) {
          std::vector<double> weights(vocab_size);
          for (double& w : weights) w = std::floor(4 / (random.uniform() + 1e-3));
          distribution<float>& row = draft.add_row_after(n);
          write_law(row, weights);
          for (const double w : weights) {
            all.push_back(draft.tree.acceptance(n) * static_cast<float>(w / as_double(row.view().mass())));
          }
          best.propose(draft, n, 256);
        }
        best.admit(draft);
        layer.assign(best.newest().begin(), best.newest().end());
      }
      best.finish(draft);
      std::sort(all.begin(), all.end(), std::greater<>());
      std::vector<float> kept;
      for (const node_id n : draft.tree.all().subspan(1)) kept.push_back(draft.tree.acceptance(n));
      std::sort(kept.begin(), kept.end(), std::greater<>());
      all.resize(std::min(all.size(), kept.size()));
      CHECK(kept.size() == places);
      CHECK(kept == all);
    }
  }
}
