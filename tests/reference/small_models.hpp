// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Small random models and what tests of the reference model do with them.
#ifndef DECANT_TESTS_REFERENCE_SMALL_MODELS_HPP
#define DECANT_TESTS_REFERENCE_SMALL_MODELS_HPP

#include <decant/reference/reference_model.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "reference/tiny_llama.hpp"
#include "support/random.hpp"
#include "support/test_kit.hpp"

namespace decant_test {

using decant::instruction_set;
using decant::node_id;
using decant::reference_model;
using decant::reference_options;
using decant::token;
using decant::token_tree;
using row_type = std::vector<float>;

inline constexpr decant::kv_type every_kv_type[] = {decant::kv_type::f16, decant::kv_type::f32, decant::kv_type::i8};

inline reference_options small(std::size_t threads = 1, std::size_t context = 200) {
  reference_options options;
  options.threads = threads;
  options.context = context;
  return options;
}

inline reference_model load(const tiny_llama& shape, const reference_options& options = small()) {
  const std::vector<std::byte> bytes = shape.bytes();
  const auto file = decant::gguf_file::parse(bytes);
  REQUIRE(file.has_value());
  auto model = reference_model::load(*file, options);
  if (!model) FAIL(model.error().message().c_str());
  return std::move(*model);
}

inline std::vector<token> random_tokens(std::size_t count, std::uint64_t seed, std::size_t vocabulary = 71) {
  random_source random(seed);
  std::vector<token> tokens(count);
  for (token& id : tokens) id = random.token_below(vocabulary);
  return tokens;
}

inline row_type copy(std::span<const float> row) { return {row.begin(), row.end()}; }

inline bool same_bits(const row_type& a, const row_type& b) {
  return !a.empty() && a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// The rows of all nodes.
inline std::vector<row_type> evaluate(reference_model& model, const token_tree& tree) {
  const auto rows = model.evaluate(tree, tree.all());
  if (!rows) FAIL(rows.error().message().c_str());
  std::vector<row_type> copies;
  for (const node_id n : tree.all()) copies.push_back(copy(rows->row(n)));
  return copies;
}

/// The row after `tokens`, computed token by token from an empty cache: the row "alone".
inline row_type row_alone(reference_model& model, const std::vector<token>& tokens) {
  REQUIRE(model.truncate(0).has_value());
  const node_id root[] = {0};
  row_type row;
  for (const token id : tokens) {
    const token_tree tree(id);
    const auto rows = model.evaluate(tree, root);
    REQUIRE(rows.has_value());
    row = copy(rows->row(0));
    REQUIRE(model.commit(root).has_value());
  }
  return row;
}

inline token_tree chain(const std::vector<token>& tokens) {
  token_tree tree(tokens.front());
  for (std::size_t i = 1; i < tokens.size(); ++i) tree.append(static_cast<node_id>(i) - 1, tokens[i]);
  return tree;
}

inline token_tree random_tree(std::size_t size, std::uint64_t seed, std::size_t vocabulary = 71) {
  random_source random(seed);
  token_tree tree(random.token_below(vocabulary));
  while (tree.size() < size) {
    tree.append(static_cast<node_id>(random.below(tree.size())), random.token_below(vocabulary));
  }
  return tree;
}

inline std::vector<node_id> path_to(const token_tree& tree, node_id n) {
  std::vector<node_id> path;
  for (; n != decant::no_node; n = tree.parent(n)) path.insert(path.begin(), n);
  return path;
}

inline std::vector<token> tokens_of(const token_tree& tree, const std::vector<node_id>& path) {
  std::vector<token> tokens;
  for (const node_id n : path) tokens.push_back(tree.token_of(n));
  return tokens;
}

inline std::vector<instruction_set> instruction_sets() {
  std::vector<instruction_set> sets;
  for (const instruction_set set : decant::every_instruction_set) {
    if (decant::runs(set)) sets.push_back(set);
  }
  return sets;
}

}  // namespace decant_test

#endif
