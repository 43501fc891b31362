// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the reference model shows of itself, for policies that need more than logits: inside_the_model MODEL.gguf
#include <decant/reference/reference_model.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <vector>

namespace {

using decant::node_id;
using decant::reference_model;
using decant::token;
using decant::token_tree;

token best(std::span<const float> row) {
  return static_cast<token>(std::max_element(row.begin(), row.end()) - row.begin());
}

/// Two continuations of one prompt, evaluated in one pass.
// [fork]
void fork_a_prefix(reference_model& model) {
  model.prefill(std::vector<token>{5, 6, 7, 8}).value_or_throw();
  reference_model other = model.fork().value_or_throw();  // shares the keys and values of the prefix
  const token_tree left(9);
  const token_tree right(10);
  const reference_model::joint_part parts[] = {{&model, &left, left.all()}, {&other, &right, right.all()}};
  reference_model::evaluate_together(parts).value_or_throw();
  std::printf("fork: %d after 9, %d after 10\n", best(model.rows().row(0)), best(other.rows().row(0)));
}
// [/fork]

/// The first half of the layers drafts a token, the other half checks it.
// [layers]
void exit_early(reference_model& model) {
  const std::size_t all = model.layer_count();
  const std::size_t half = (all + 1) / 2;
  const token_tree tree(11);
  model.truncate(4).value_or_throw();
  model.evaluate_layers(tree, tree.all(), 0, half).value_or_throw();
  const token guess = best(model.project(tree.all()).value_or_throw().row(0));
  if (half < all) model.evaluate_layers(tree, tree.all(), half, all).value_or_throw();
  const token answer = best(model.project(tree.all()).value_or_throw().row(0));
  std::printf("layers: %zu of them say %d, all %zu say %d\n", half, guess, all, answer);
}
// [/layers]

/// The residual stream before the output norm, and what one head attends to.
// [look]
void look_inside(reference_model& model) {
  const std::size_t levels[] = {model.layer_count()};
  const decant::attention_head heads[] = {{0, 0}};
  model.truncate(4).value_or_throw();
  model.capture_hidden(levels).value_or_throw();
  model.probe_attention(heads).value_or_throw();
  const token_tree tree(12);
  static_cast<void>(model.evaluate(tree, tree.all()).value_or_throw());
  std::printf("hidden: %zu values, the first is %.3f\n", model.hidden(levels[0], 0).size(),
              static_cast<double>(model.hidden(levels[0], 0)[0]));
  for (const float share : model.attention(0, 0, 0)) std::printf("attention: %.3f\n", static_cast<double>(share));
}
// [/look]

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: inside_the_model MODEL.gguf\n");
    return 2;
  }
  try {
    auto model = reference_model::load(argv[1]).value_or_throw();
    fork_a_prefix(model);
    exit_early(model);
    look_inside(model);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "inside_the_model: %s\n", failure.what());
    return 2;
  }
}
