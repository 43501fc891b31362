// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Drives tree builders as a host would, with draft rows that are a function of the token path, and checks what every
// draft must keep.
#ifndef DECANT_TESTS_SUPPORT_DRAFT_BUILDING_HPP
#define DECANT_TESTS_SUPPORT_DRAFT_BUILDING_HPP

#include <decant/tree/builder.hpp>

#include "tests/support/random.hpp"
#include "tests/support/test_kit.hpp"

#include <algorithm>
#include <vector>

namespace decant_test {

/// Weights that depend on all tokens so far, some of them zero.
struct path_law {
  std::uint64_t seed = 1;
  std::size_t vocab_size = 12;
  double zero_probability = 0.2;

  [[nodiscard]] std::vector<double> operator()(const std::vector<decant::token>& tokens) const {
    std::uint64_t mixed = seed;
    for (const decant::token t : tokens) mixed = mixed * 1000003 + static_cast<std::uint64_t>(t) + 1;
    return random_source(mixed).weights<double>(vocab_size, zero_probability);
  }
};

/// The tokens on the way to a node, root included.
[[nodiscard]] inline std::vector<decant::token> tokens_to(const decant::token_tree& tree, decant::node_id n) {
  std::vector<decant::token> tokens;
  for (; n != decant::no_node; n = tree.parent(n)) tokens.push_back(tree.token_of(n));
  std::reverse(tokens.begin(), tokens.end());
  return tokens;
}

template <class Real>
void write_law(decant::distribution<Real>& out, const std::vector<double>& weights) {
  const std::span<Real> room = out.begin_dense(weights.size());
  for (std::size_t i = 0; i < weights.size(); ++i) room[i] = static_cast<Real>(weights[i]);
  REQUIRE(out.finish() == decant::error_code::none);
}

/// What a draft must keep whoever made it.
template <class Real>
void check_draft(const decant::token_draft<Real>& draft, const decant::draft_limits& limits, std::size_t vocab_size) {
  const decant::token_tree& tree = draft.tree;
  const auto valid = tree.validate(vocab_size, draft.rows.size(), true);
  INFO(valid.error().message().c_str());
  CHECK(valid.has_value());
  CHECK(static_cast<std::int32_t>(tree.size()) - 1 <= limits.nodes);
  for (const decant::node_id n : tree.all()) {
    CHECK(tree.depth(n) <= limits.depth);
    CHECK(tree.parent(n) < n);
    CHECK((tree.acceptance(n) > 0 && tree.acceptance(n) <= 1));
  }
}

/// A finished draft and the nodes that were asked for on the way.
template <class Real>
struct built_draft {
  decant::token_draft<Real> draft;
  std::vector<std::vector<decant::node_id>> wanted;

  [[nodiscard]] std::size_t rows_wanted() const {
    std::size_t count = 0;
    for (const auto& batch : wanted) count += batch.size();
    return count;
  }
};

/// Checks that each wanted node is new, in order, and below a node that was wanted before it.
template <class Real>
void check_wanted(const built_draft<Real>& built, decant::node_span batch) {
  CHECK(std::is_sorted(batch.begin(), batch.end()));
  const auto known = [&](decant::node_id n) {
    return std::any_of(built.wanted.begin(), built.wanted.end(), [n](const auto& earlier) {
      return std::find(earlier.begin(), earlier.end(), n) != earlier.end();
    });
  };
  for (const decant::node_id n : batch) {
    REQUIRE(built.draft.tree.contains(n));
    CHECK_FALSE(known(n));
    CHECK((n == 0 || known(built.draft.tree.parent(n))));
  }
}

/// Grows a draft below root token 0 at position 100 to its end. `law(path tokens)` are the weights after a path.
template <class Real = double, class Builder, class Law, class Chance>
[[nodiscard]] built_draft<Real> build(const Builder& builder, decant::draft_limits limits, const Law& law,
                                      Chance& chance) {
  static_assert(decant::TreeBuilder<Builder, Real>);
  built_draft<Real> built;
  built.draft.reset(0);
  typename Builder::template work<Real> work{};
  builder.start(work, built.draft, limits);
  while (!decant::node_span(builder.wanted(work)).empty()) {
    const decant::node_span batch = builder.wanted(work);
    check_wanted(built, batch);
    built.wanted.emplace_back(batch.begin(), batch.end());
    for (const decant::node_id n : batch) write_law(built.draft.add_row_after(n), law(tokens_to(built.draft.tree, n)));
    builder.grow(work, built.draft, 100, chance);
    REQUIRE(built.wanted.size() < 1000);
  }
  return built;
}

/// Children of a node in draw order.
[[nodiscard]] inline std::vector<decant::token> child_tokens(const decant::token_tree& tree, decant::node_id n) {
  std::vector<decant::token> tokens;
  for (decant::node_id c = tree.first_child(n); c != decant::no_node; c = tree.next_sibling(c)) {
    tokens.push_back(tree.token_of(c));
  }
  return tokens;
}

/// Everything a draft holds, in one comparison.
template <class Real>
[[nodiscard]] bool same_draft(const decant::token_draft<Real>& a, const decant::token_draft<Real>& b) {
  if (!(a.tree == b.tree) || a.rows.size() != b.rows.size()) return false;
  for (std::size_t i = 0; i < a.rows.size(); ++i) {
    const auto x = a.rows.row(static_cast<std::int32_t>(i));
    const auto y = b.rows.row(static_cast<std::int32_t>(i));
    if (x.mass() != y.mass() || !std::equal(x.ids().begin(), x.ids().end(), y.ids().begin(), y.ids().end()) ||
        !std::equal(x.weights().begin(), x.weights().end(), y.weights().begin(), y.weights().end())) {
      return false;
    }
  }
  return std::all_of(a.tree.all().begin(), a.tree.all().end(), [&](decant::node_id n) {
    return a.row_after(n) == b.row_after(n) && a.tree.acceptance(n) == b.tree.acceptance(n);
  });
}

}  // namespace decant_test

#endif
