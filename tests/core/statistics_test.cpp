// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/statistics.hpp>

#include "tests/support/random.hpp"
#include "tests/support/test_kit.hpp"

#include <string>

namespace {

using decant::decode_statistics;
using decant::draft_counts;
using decant::node_id;
using decant::token_tree;
using nodes = std::vector<node_id>;

std::string json_of(const decode_statistics& statistics) {
  decant::json_writer out;
  statistics.write_json(out);
  return {out.text().begin(), out.text().end()};
}

/// 0 -> {1, 2, 3}, 2 -> {4, 5}, 5 -> 6, with source tags 0, 1, 2 in turn and a probe below 2.
token_tree example() {
  token_tree tree(9);
  for (int i = 0; i < 3; ++i) tree.append(0, i, {}, {0.5f, static_cast<std::uint8_t>(i)});
  tree.append(2, 3, {}, {0.5f, 0});
  tree.append(2, 4, {}, {0.5f, 1});
  tree.append(5, 5, {}, {0.5f, 200});
  (void)tree.append_probe(2, 1);
  return tree;
}

}  // namespace

TEST_CASE("a step is counted by depth, by sibling and by source") {
  decode_statistics counts;
  counts.record(example(), nodes{0, 2, 5}, 3, 4);
  CHECK(counts.passes == 1);
  CHECK(counts.tokens == 3);
  CHECK(counts.rows_processed == 4);
  CHECK(counts.full_acceptances == 0);
  CHECK(counts.by_depth[0] == draft_counts{3, 3, 1});
  CHECK(counts.by_depth[1] == draft_counts{2, 2, 1});
  CHECK(counts.by_depth[2] == draft_counts{1, 1, 0});
  CHECK(counts.by_depth[3] == draft_counts{});
  CHECK(counts.by_sibling[0] == draft_counts{3, 3, 0});
  CHECK(counts.by_sibling[1] == draft_counts{2, 2, 2});
  CHECK(counts.by_sibling[2] == draft_counts{1, 1, 0});
  CHECK(counts.by_source[0] == draft_counts{2, 2, 0});
  CHECK(counts.by_source[1] == draft_counts{2, 2, 2});
  CHECK(counts.by_source[2] == draft_counts{1, 1, 0});
  CHECK(counts.by_source[decode_statistics::source_bins - 1] == draft_counts{1, 1, 0});
  CHECK(counts.drafted() == draft_counts{6, 6, 2});

  counts.record(example(), nodes{0, 2, 5, 6}, 4, 4);
  CHECK(counts.full_acceptances == 1);
  counts.record(example(), nodes{0}, 1, 1);
  CHECK(counts.by_depth[1] == draft_counts{6, 4, 2});
  CHECK(counts.passes == 3);
  CHECK(counts.tokens_per_pass() == 8.0 / 3);
  CHECK(counts.acceptance_rate() == 5.0 / 18);
}

TEST_CASE("a step without a draft is a pass and no full acceptance") {
  decode_statistics counts;
  CHECK(counts.tokens_per_pass() == 0);
  CHECK(counts.acceptance_rate() == 0);
  CHECK(counts.tokens_per_second() == 0);
  counts.record(token_tree(1), nodes{0}, 1, 1);
  CHECK(counts.full_acceptances == 0);
  CHECK(counts.drafted() == draft_counts{});
  CHECK(counts.tokens_per_pass() == 1);
}

TEST_CASE("the last bins hold everything beyond them") {
  token_tree deep(0);
  nodes path{0};
  for (int i = 0; i < 50; ++i) path.push_back(deep.append(path.back(), 1));
  decode_statistics counts;
  counts.record(deep, path, 51, 51);
  CHECK(counts.by_depth[30] == draft_counts{1, 1, 1});
  CHECK(counts.by_depth[31] == draft_counts{19, 19, 19});
  CHECK(counts.full_acceptances == 1);

  token_tree wide(0);
  for (int i = 0; i < 40; ++i) wide.append(0, i);
  counts = {};
  counts.record(wide, nodes{0, 36}, 2, 2);
  CHECK(counts.by_sibling[14] == draft_counts{1, 1, 0});
  CHECK(counts.by_sibling[15] == draft_counts{25, 25, 1});
}

TEST_CASE("counts agree with a count by hand on random trees") {
  decant_test::random_source random(2);
  for (int round = 0; round < 200; ++round) {
    token_tree tree(0);
    for (std::size_t i = random.below(30); i > 0; --i) {
      const auto parent = static_cast<node_id>(random.below(tree.size()));
      if (tree.kind(parent) != decant::node_kind::drafted) continue;
      if (random.coin(0.2)) {
        (void)tree.append_probe(parent, 1);
      } else {
        tree.append(parent, 1, {}, {0.0f, static_cast<std::uint8_t>(random.below(3))});
      }
    }
    nodes path{0};
    while (tree.first_child(path.back()) != decant::no_node && random.coin(0.8)) {
      node_id next = tree.first_child(path.back());
      while (tree.next_sibling(next) != decant::no_node && random.coin()) next = tree.next_sibling(next);
      path.push_back(next);
    }
    const auto on_path = [&](node_id n) { return std::find(path.begin(), path.end(), n) != path.end(); };
    decode_statistics expected;
    expected.passes = 1;
    expected.tokens = path.size();
    expected.rows_processed = 7;
    expected.full_acceptances = tree.size() > 1 && tree.first_child(path.back()) == decant::no_node;
    for (const node_id n : tree.all()) {
      if (n == 0 || tree.kind(n) != decant::node_kind::drafted) continue;
      std::size_t rank = 0;
      for (node_id m = 1; m < n; ++m) {
        rank += tree.kind(m) == decant::node_kind::drafted && tree.parent(m) == tree.parent(n);
      }
      const draft_counts one{1, on_path(tree.parent(n)), on_path(n)};
      expected.by_depth[std::min<std::size_t>(decant::index(tree.depth(n)) - 1, 31)] += one;
      expected.by_sibling[std::min<std::size_t>(rank, 15)] += one;
      expected.by_source[tree.source(n)] += one;
    }
    decode_statistics found;
    found.record(tree, path, path.size(), 7);
    CHECK(found == expected);
  }
}

TEST_CASE("statistics add up") {
  decode_statistics a;
  a.record(example(), nodes{0, 2, 5}, 3, 4);
  a.seconds = {1, 2, 3, 4, 5};
  decode_statistics b;
  b.record(example(), nodes{0}, 1, 1);
  b.seconds = {10, 20, 30, 40, 50};
  decode_statistics sum = a;
  sum += b;
  CHECK(sum.passes == 2);
  CHECK(sum.tokens == 4);
  CHECK(sum.rows_processed == 5);
  CHECK(sum.by_depth[1] == draft_counts{4, 2, 1});
  CHECK(sum.by_sibling[1] == draft_counts{4, 3, 2});
  CHECK(sum.by_source[7] == draft_counts{2, 1, 0});
  CHECK(sum.seconds == decant::phase_seconds{11, 22, 33, 44, 55});
  CHECK(sum.seconds.decoding() == 154);
  CHECK(sum.tokens_per_second() == 4.0 / 154);
}

TEST_CASE("statistics are written as one exact JSON object") {
  decode_statistics counts;
  CHECK(json_of(counts) ==
        "{\"passes\":0,\"tokens\":0,\"tokens_per_pass\":0,\"rows_processed\":0,\"full_acceptances\":0,"
        "\"acceptance_rate\":0,\"by_depth\":[],\"by_sibling\":[],\"by_source\":[],"
        "\"seconds\":{\"prefill\":0,\"draft\":0,\"target\":0,\"verify\":0,\"commit\":0}}");
  counts.record(example(), nodes{0, 2, 5}, 3, 4);
  counts.seconds = {0.5, 0, 1, 0, 0.25};
  CHECK(json_of(counts) ==
        "{\"passes\":1,\"tokens\":3,\"tokens_per_pass\":3,\"rows_processed\":4,\"full_acceptances\":0,"
        "\"acceptance_rate\":0.3333333333333333,\"by_depth\":[[3,3,1],[2,2,1],[1,1,0]],"
        "\"by_sibling\":[[3,3,0],[2,2,2],[1,1,0]],"
        "\"by_source\":[[2,2,0],[2,2,2],[1,1,0],[0,0,0],[0,0,0],[0,0,0],[0,0,0],[1,1,0]],"
        "\"seconds\":{\"prefill\":0.5,\"draft\":0,\"target\":1,\"verify\":0,\"commit\":0.25}}");
}

TEST_CASE("what a relaxed verifier gave away is summed and written when there is any") {
  decode_statistics exact;
  exact.record(example(), nodes{0, 2, 5}, 3, 4);
  decode_statistics relaxed = exact;
  relaxed.loss.passes = 1;
  relaxed.loss.tokens = 4;
  relaxed.loss.relaxed = 1;
  relaxed.loss.add_law(0.25, 0.5);
  relaxed.loss.add_regret(1.5);
  relaxed.loss.add_choice(true);
  relaxed.loss.add_choice(false);
  decode_statistics sum = exact;
  sum += relaxed;
  sum += exact;
  sum += relaxed;
  CHECK(sum.loss.passes == 2);
  CHECK(sum.loss.tokens == 8);
  CHECK(sum.loss.greedy_run == 1);
  CHECK(json_of(exact).find("\"loss\"") == std::string::npos);
  CHECK(json_of(sum).find("\"loss\":{\"tokens\":8,\"relaxed\":2,\"positions\":2,\"mean_total_variation\":0.25,"
                          "\"mean_divergence\":0.5,\"unbounded\":0,\"mean_regret\":1.5,\"regret_99\":1.75,"
                          "\"impossible\":0,\"greedy_run\":1},\"seconds\":{") != std::string::npos);
}
