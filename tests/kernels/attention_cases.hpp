// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Worlds of random keys, values and queries for the tests of attention, and attention over them in float64.
#ifndef DECANT_TESTS_KERNELS_ATTENTION_CASES_HPP
#define DECANT_TESTS_KERNELS_ATTENTION_CASES_HPP

#include <decant/kernels/attention.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

#include "support/random.hpp"
#include "support/test_kit.hpp"

namespace decant_test {

inline std::vector<decant::instruction_set> instruction_sets() {
  std::vector<decant::instruction_set> sets;
  for (const decant::instruction_set set : decant::every_instruction_set) {
    if (decant::runs(set)) sets.push_back(set);
  }
  return sets;
}

/// Keys and values of some tokens as [token][head][dimension] with gaps between tokens.
template <class Element>
struct stored_tokens {
  std::size_t heads, key_size, value_size;
  std::size_t scale_block, key_blocks, value_blocks;
  std::vector<Element> keys, values;
  std::vector<float> key_scales, value_scales;

  stored_tokens(const decant::attention_shape& shape, std::size_t count, random_source& random)
      : heads(shape.key_heads),
        key_size(shape.dimension),
        value_size(shape.value_dimension),
        scale_block(shape.scale_block == 0 ? SIZE_MAX : shape.scale_block),
        key_blocks(shape.scales_of(key_size)),
        value_blocks(shape.scales_of(value_size)) {
    for (std::size_t t = 0; t < count; ++t) add(random);
  }

  void add(random_source& random) {
    for (std::size_t h = 0; h < heads; ++h) {
      add_row(random, key_size, keys, key_scales);
      add_row(random, value_size, values, value_scales);
    }
    for (std::size_t gap = 0; gap < 3; ++gap) keys.push_back({}), values.push_back({});
  }
  void append(const stored_tokens& other, std::size_t t) {
    const auto copy = [](auto& to, const auto& from, std::size_t first, std::size_t count) {
      to.insert(to.end(), from.begin() + static_cast<std::ptrdiff_t>(first),
                from.begin() + static_cast<std::ptrdiff_t>(first + count));
    };
    copy(keys, other.keys, t * key_stride(), key_stride());
    copy(values, other.values, t * value_stride(), value_stride());
    if (std::is_same_v<Element, std::int8_t>) {
      copy(key_scales, other.key_scales, t * heads * key_blocks, heads * key_blocks);
      copy(value_scales, other.value_scales, t * heads * value_blocks, heads * value_blocks);
    }
  }

  [[nodiscard]] std::size_t key_stride() const { return heads * key_size + 3; }
  [[nodiscard]] std::size_t value_stride() const { return heads * value_size + 3; }
  [[nodiscard]] std::size_t count() const { return keys.size() / key_stride(); }
  [[nodiscard]] decant::key_value_view<Element> view() const {
    REQUIRE(key_blocks == value_blocks);  // a view has one stride for both
    return {keys.data(),       key_stride(),        key_size,           values.data(), value_stride(), value_size,
            key_scales.data(), value_scales.data(), heads * key_blocks, key_blocks};
  }
  [[nodiscard]] double key(std::size_t t, std::size_t h, std::size_t d) const {
    return value_of(keys[t * key_stride() + h * key_size + d], key_scales,
                    (t * heads + h) * key_blocks + d / scale_block);
  }
  [[nodiscard]] double value(std::size_t t, std::size_t h, std::size_t d) const {
    return value_of(values[t * value_stride() + h * value_size + d], value_scales,
                    (t * heads + h) * value_blocks + d / scale_block);
  }

 private:
  static double value_of(Element x, const std::vector<float>& scales, std::size_t i) {
    if constexpr (std::is_same_v<Element, float>) return static_cast<double>(x);
    if constexpr (std::is_same_v<Element, std::uint16_t>) return static_cast<double>(decant::half_to_float(x));
    if constexpr (std::is_same_v<Element, std::int8_t>) return static_cast<double>(scales[i]) * x;
  }
  void add_row(random_source& random, std::size_t size, std::vector<Element>& to, std::vector<float>& scales) const {
    double scale = 0;
    for (std::size_t d = 0; d < size; ++d) {
      if (d % scale_block == 0) {
        scale = std::exp(random.uniform(-5, -3.5));
        if (std::is_same_v<Element, std::int8_t>) scales.push_back(static_cast<float>(scale));
      }
      const double x = random.normal();
      if constexpr (std::is_same_v<Element, float>) to.push_back(static_cast<float>(x));
      if constexpr (std::is_same_v<Element, std::uint16_t>) to.push_back(decant::float_to_half(static_cast<float>(x)));
      if constexpr (std::is_same_v<Element, std::int8_t>) {
        to.push_back(static_cast<std::int8_t>(std::fmax(-128, std::fmin(127, std::nearbyint(x / scale)))));
      }
    }
  }
};

/// One key that a query sees.
template <class Element>
struct seen_key {
  const stored_tokens<Element>* tokens;
  std::size_t at;
};

/// The values of a row once they are codes of 8 bits with a scale.
inline void round_to_bytes(std::span<double> row) {
  float greatest = 0;
  for (const double x : row) greatest = std::fmax(greatest, std::abs(static_cast<float>(x)));
  if (greatest == 0) return;
  const auto inverse = static_cast<double>(127.0F / greatest);
  for (double& x : row) x = static_cast<double>(greatest / 127.0F) * std::nearbyint(x * inverse);
}

/// The result of a query head in float64, the query's 8-bit codes included where keys have 8 bits.
template <class Element>
std::vector<double> exact_attention(const decant::attention_shape& shape, const float* query, std::size_t query_head,
                                    const std::vector<seen_key<Element>>& seen) {
  const std::size_t head = query_head / shape.group();
  std::vector<double> q;
  for (std::size_t d = 0; d < shape.dimension; ++d) q.push_back(static_cast<double>(query[d] * shape.scale));
  const std::size_t block = shape.scale_block == 0 ? q.size() : shape.scale_block;
  for (std::size_t first = 0; std::is_same_v<Element, std::int8_t> && first < q.size(); first += block) {
    round_to_bytes(std::span(q).subspan(first, std::min(block, q.size() - first)));
  }
  std::vector<double> scores;
  double top = shape.sinks == nullptr ? -HUGE_VAL : static_cast<double>(shape.sinks[query_head]);
  for (const seen_key<Element>& key : seen) {
    double s = 0;
    for (std::size_t d = 0; d < shape.dimension; ++d) s += q[d] * key.tokens->key(key.at, head, d);
    const double c = static_cast<double>(shape.soft_cap);
    scores.push_back(c > 0 ? c * std::tanh(s / c) : s);
    top = std::fmax(top, scores.back());
  }
  double total = shape.sinks == nullptr ? 0 : std::exp(static_cast<double>(shape.sinks[query_head]) - top);
  std::vector<double> out(shape.value_dimension);
  for (std::size_t i = 0; i < seen.size(); ++i) {
    const double w = std::exp(scores[i] - top);
    total += w;
    for (std::size_t d = 0; d < out.size(); ++d) out[d] += w * seen[i].tokens->value(seen[i].at, head, d);
  }
  for (double& x : out) x = total > 0 ? x / total : 0;
  return out;
}

/// Rows below one flat segment with a tail of one key a row.
template <class Element>
struct flat_world {
  decant::attention_shape shape;
  stored_tokens<Element> prefix;
  stored_tokens<Element> tail;
  std::vector<std::uint32_t> parents;  // of the rows: a tree; the row itself where it has none
  std::vector<float> queries;
  std::vector<std::uint64_t> visible;
  std::vector<std::int32_t> positions;

  flat_world(const decant::attention_shape& of, std::size_t count, std::vector<std::uint32_t> tree, std::uint64_t seed)
      : flat_world(of, count, std::move(tree), random_source(seed)) {}

  [[nodiscard]] std::size_t rows() const { return parents.size(); }
  [[nodiscard]] std::size_t words() const { return (rows() + 63) / 64; }
  [[nodiscard]] std::vector<std::uint32_t> path(std::size_t row) const {
    std::vector<std::uint32_t> nodes{static_cast<std::uint32_t>(row)};
    while (parents[nodes.front()] != nodes.front()) nodes.insert(nodes.begin(), parents[nodes.front()]);
    return nodes;
  }
  [[nodiscard]] const float* query(std::size_t row) const {
    return queries.data() + row * shape.query_heads * shape.dimension;
  }
  [[nodiscard]] std::vector<seen_key<Element>> seen_by(std::size_t row) const {
    std::vector<seen_key<Element>> keys;
    const auto is_near = [&](std::int64_t position) {
      return shape.window == 0 || positions[row] - position < static_cast<std::int64_t>(shape.window);
    };
    for (std::size_t t = 0; t < prefix.count(); ++t) {
      if (is_near(static_cast<std::int64_t>(t))) keys.push_back({&prefix, t});
    }
    for (const std::uint32_t node : path(row)) {
      if (is_near(positions[node])) keys.push_back({&tail, node});
    }
    return keys;
  }

  /// [row][query head][value dimension]
  [[nodiscard]] std::vector<float> attend(
      decant::instruction_set set, std::size_t workers = 1,
      decant::attention_schedule schedule = decant::attention_schedule::fixed_chunks) const {
    const std::size_t width = shape.query_heads * shape.value_dimension;
    std::vector<float> out(rows() * width, 7.0F);
    const decant::attention_segment<Element> segment{prefix.view(), prefix.count()};
    const decant::attention_request<Element> request{0,
                                                     rows(),
                                                     tail.view(),
                                                     rows(),
                                                     visible.data(),
                                                     positions.data(),
                                                     positions.data(),
                                                     queries.data(),
                                                     shape.query_heads * shape.dimension,
                                                     out.data(),
                                                     width};
    run(set, {&segment, 1}, {&request, 1}, workers, schedule);
    return out;
  }

  void run(decant::instruction_set set, std::span<const decant::attention_segment<Element>> segments,
           std::span<const decant::attention_request<Element>> requests, std::size_t workers = 1,
           decant::attention_schedule schedule = decant::attention_schedule::fixed_chunks) const {
    decant::attention_plan plan;
    plan.build(shape, segments, requests, schedule, workers);
    decant::attention_runner<Element> runner(set);
    REQUIRE(runner.prepare(shape, plan).has_value());
    runner.attend(shape, plan, segments, requests);
  }

  [[nodiscard]] double error_of(const std::vector<float>& out) const {
    double worst = 0;
    for (std::size_t r = 0; r < rows(); ++r) {
      for (std::size_t h = 0; h < shape.query_heads; ++h) {
        const std::vector<double> exact = exact_attention(shape, query(r) + h * shape.dimension, h, seen_by(r));
        for (std::size_t d = 0; d < exact.size(); ++d) {
          const float got = out[(r * shape.query_heads + h) * shape.value_dimension + d];
          worst = std::fmax(worst, std::abs(static_cast<double>(got) - exact[d]));
          if (std::isnan(got)) worst = HUGE_VAL;
        }
      }
    }
    return worst;
  }

 private:
  flat_world(const decant::attention_shape& of, std::size_t count, std::vector<std::uint32_t> tree,
             random_source random)
      : shape(of), prefix(of, count, random), tail(of, tree.size(), random), parents(std::move(tree)) {
    queries = random.logits<float>(rows() * shape.query_heads * shape.dimension, 1);
    visible.assign(rows() * words(), 0);
    for (std::size_t r = 0; r < rows(); ++r) {
      const std::vector<std::uint32_t> nodes = path(r);
      for (const std::uint32_t node : nodes) visible[r * words() + node / 64] |= std::uint64_t{1} << node % 64;
      positions.push_back(static_cast<std::int32_t>(count + nodes.size() - 1));
    }
  }
};

inline std::vector<std::uint32_t> chain(std::size_t rows) {
  std::vector<std::uint32_t> parents;
  for (std::uint32_t r = 0; r < rows; ++r) parents.push_back(r == 0 ? 0 : r - 1);
  return parents;
}

inline bool same_floats(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// A usual shape: grouped heads, a head size that is no multiple of 16, values of another size.
inline decant::attention_shape small_shape() { return {6, 2, 20, 24, 0.25F}; }

}  // namespace decant_test

#endif
