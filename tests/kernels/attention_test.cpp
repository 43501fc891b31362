// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attention for engines: against float64, the same bits for every number of rows and workers, every instruction set and
// every tree a path is in.
#include <decant/kernels/attention.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#if defined(__linux__)
#include "support/guarded_row.hpp"
#endif

#include "kernels/attention_cases.hpp"
#include "support/allocation_counter.hpp"

namespace {

using decant::attention_plan;
using decant::attention_schedule;
using decant::attention_shape;
using decant_test::chain;
using decant_test::flat_world;
using decant_test::instruction_sets;
using decant_test::same_floats;
using decant_test::small_shape;

// Siblings below 0, 1, 2 and 8, and two roots, 0 and 8.
const std::vector<std::uint32_t> tree12 = {0, 0, 0, 1, 1, 2, 2, 3, 8, 8, 7, 10};

/// A scale for each 16 elements of a head, the last block a part of one.
attention_shape blocks_shape() {
  attention_shape shape = small_shape();
  shape.scale_block = 16;
  return shape;
}

template <class Element>
void check_against_float64(double limit, const attention_shape& shape = small_shape()) {
  struct size {
    std::size_t count, rows;
  };
  for (const size s : {size{0, 1}, size{1, 1}, size{15, 2}, size{16, 3}, size{63, 1}, size{64, 9}, size{65, 1},
                       size{255, 2}, size{256, 1}, size{257, 5}, size{511, 1}, size{513, 17}}) {
    const flat_world<Element> world(shape, s.count, chain(s.rows), s.count + s.rows);
    const std::vector<float> first = world.attend(decant::instruction_set::scalar);
    CAPTURE(s.count, s.rows);
    CHECK(world.error_of(first) < limit);
    for (const decant::instruction_set set : instruction_sets()) CHECK(same_floats(world.attend(set), first));
  }
}

template <class Element>
void check_paths_alone(const attention_shape& shape = small_shape()) {
  for (const std::size_t count : {std::size_t{0}, std::size_t{5}, std::size_t{250}, std::size_t{300}}) {
    const flat_world<Element> world(shape, count, tree12, 3);
    const std::vector<float> in_tree = world.attend(decant::best_instruction_set());
    const std::size_t width = world.shape.query_heads * world.shape.value_dimension;
    for (std::size_t r = 0; r < world.rows(); ++r) {
      // The path committed, the row alone: its key is the last dense one.
      decant_test::stored_tokens<Element> tokens = world.prefix;
      for (const std::uint32_t node : world.path(r)) tokens.append(world.tail, node);
      std::vector<float> alone(width);
      const decant::attention_segment<Element> segment{tokens.view(), tokens.count()};
      decant::attention_request<Element> request;
      request.rows = 1;
      request.queries = world.query(r);
      request.out = alone.data();
      world.run(decant::best_instruction_set(), {&segment, 1}, {&request, 1});
      CAPTURE(count, r);
      CHECK(std::equal(alone.begin(), alone.end(), in_tree.begin() + static_cast<std::ptrdiff_t>(r * width)));
    }
  }
}

}  // namespace

TEST_CASE("attention equals float64 and has the same bits on every instruction set, for every kind of element") {
  check_against_float64<float>(2e-6);
  check_against_float64<std::uint16_t>(2e-6);
  check_against_float64<std::int8_t>(4e-6);
  check_against_float64<std::int8_t>(4e-6, blocks_shape());
}

TEST_CASE("attention takes any head size and any number of heads") {
  for (const attention_shape shape : {attention_shape{3, 3, 1, 1, 1.0F}, attention_shape{4, 1, 32, 32, 0.2F},
                                      attention_shape{64, 1, 8, 5, 0.3F}, attention_shape{9, 3, 64, 64, 0.125F},
                                      attention_shape{2, 2, 80, 96, 0.1F}, attention_shape{1, 1, 256, 128, 0.06F}}) {
    CAPTURE(shape.query_heads, shape.dimension);
    const flat_world<std::uint16_t> halves(shape, 70, chain(3), 5);
    CHECK(halves.error_of(halves.attend(decant::best_instruction_set())) < 2e-6);
    const flat_world<std::int8_t> bytes(shape, 70, chain(3), 5);
    CHECK(bytes.error_of(bytes.attend(decant::best_instruction_set())) < 5e-6);
  }
}

TEST_CASE("a node of a tree has the bits of its path run token by token") {
  check_paths_alone<float>();
  check_paths_alone<std::uint16_t>();
  check_paths_alone<std::int8_t>();
  check_paths_alone<std::int8_t>(blocks_shape());
}

TEST_CASE("8-bit keys and values may have a scale for each block of a head") {
  for (const std::size_t size : {std::size_t{32}, std::size_t{64}, std::size_t{80}, std::size_t{128}}) {
    attention_shape shape{4, 2, size, size, 0.1F};
    shape.scale_block = 32;
    for (const std::size_t rows : {std::size_t{1}, std::size_t{2}, std::size_t{5}}) {
      CAPTURE(size, rows);
      const flat_world<std::int8_t> world(shape, 90, chain(rows), size);
      const std::vector<float> out = world.attend(decant::instruction_set::scalar, 3);
      CHECK(world.error_of(out) < 5e-6);
      for (const decant::instruction_set set : instruction_sets()) CHECK(same_floats(world.attend(set), out));
    }
  }
}

namespace {

template <class Element>
void check_rows_beside(const attention_shape& shape) {
  const flat_world<Element> all(shape, 270, chain(64), 8);
  const std::vector<float> whole = all.attend(decant::best_instruction_set());
  for (const std::size_t rows : {1U, 2U, 3U, 7U, 16U, 33U}) {
    flat_world<Element> part(shape, 270, chain(rows), 8);
    part.prefix = all.prefix;
    part.tail = all.tail;
    part.queries = all.queries;
    const std::vector<float> out = part.attend(decant::best_instruction_set());
    CHECK(std::equal(out.begin(), out.end(), whole.begin()));
  }
}

}  // namespace

TEST_CASE("a row does not depend on the rows beside it") {
  check_rows_beside<std::uint16_t>(small_shape());
  check_rows_beside<std::int8_t>(small_shape());
  check_rows_beside<std::int8_t>(blocks_shape());
}

TEST_CASE("fixed chunks give the same bits for any number of workers, other schedules the same values") {
  const flat_world<float> world(small_shape(), 2100, tree12, 6);
  const std::vector<float> one = world.attend(decant::best_instruction_set());
  CHECK(world.error_of(one) < 2e-6);
  for (const std::size_t workers : {2U, 3U, 7U, 40U}) {
    CHECK(same_floats(world.attend(decant::best_instruction_set(), workers), one));
    for (const attention_schedule schedule :
         {attention_schedule::stream_k, attention_schedule::fixed_split, attention_schedule::one_head}) {
      CHECK(world.error_of(world.attend(decant::best_instruction_set(), workers, schedule)) < 2e-6);
    }
  }
  // Whoever takes a whole head merges in the same order.
  CHECK(same_floats(world.attend(decant::best_instruction_set(), 3, attention_schedule::one_head), one));
}

TEST_CASE("sliding windows count positions") {
  for (const std::size_t window : {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{40}, std::size_t{300}}) {
    attention_shape shape = small_shape();
    shape.window = window;
    for (const std::size_t count : {std::size_t{0}, std::size_t{30}, std::size_t{600}}) {
      CAPTURE(window, count);
      const flat_world<float> world(shape, count, tree12, window);
      CHECK(world.error_of(world.attend(decant::best_instruction_set())) < 2e-6);
      CHECK(
          same_floats(world.attend(decant::instruction_set::scalar, 5), world.attend(decant::best_instruction_set())));
    }
  }
}

TEST_CASE("positions of an evicted cache decide what a window holds") {
  attention_shape shape = small_shape();
  shape.window = 10;
  flat_world<float> world(shape, 8, {0}, 2);
  const std::int32_t positions[] = {0, 1, 2, 30, 31, 35, 40, 41};
  world.positions[0] = 42;
  std::vector<float> out(shape.query_heads * shape.value_dimension);
  decant::attention_segment<float> segment{world.prefix.view(), 8};
  segment.positions = positions;
  decant::attention_request<float> request;
  request.rows = 1;
  request.positions = world.positions.data();
  request.queries = world.queries.data();
  request.out = out.data();
  world.run(decant::best_instruction_set(), {&segment, 1}, {&request, 1});
  for (std::size_t h = 0; h < shape.query_heads; ++h) {
    const std::vector<double> exact = decant_test::exact_attention<float>(
        shape, world.query(0) + h * shape.dimension, h, {{&world.prefix, 5}, {&world.prefix, 6}, {&world.prefix, 7}});
    for (std::size_t d = 0; d < exact.size(); ++d) {
      CHECK(std::abs(static_cast<double>(out[h * shape.value_dimension + d]) - exact[d]) < 1e-6);
    }
  }
}

TEST_CASE("soft caps and sinks follow their definitions") {
  const std::vector<float> sinks = {0.5F, -1.0F, 3.0F, -HUGE_VALF, 20.0F, 0.0F};
  attention_shape shape = small_shape();
  shape.soft_cap = 2.0F;
  shape.sinks = sinks.data();
  for (const std::size_t count : {std::size_t{1}, std::size_t{90}, std::size_t{520}}) {
    const flat_world<float> world(shape, count, tree12, count);
    CHECK(world.error_of(world.attend(decant::best_instruction_set())) < 4e-6);
    CHECK(same_floats(world.attend(decant::instruction_set::scalar), world.attend(decant::best_instruction_set())));
  }
}

TEST_CASE("sequences that share a prefix read it once and get the results of sequences of their own") {
  const attention_shape shape = small_shape();
  const std::size_t width = shape.query_heads * shape.value_dimension;
  for (const std::size_t shared : {std::size_t{512}, std::size_t{100}}) {
    decant_test::random_source random(4);
    const flat_world<std::uint16_t> a(shape, shared, tree12, 21);
    const decant_test::stored_tokens<std::uint16_t> more(shape, 300, random);
    const std::vector<decant::attention_segment<std::uint16_t>> segments = {
        {a.prefix.view(), shared}, {more.view(), 300, 0}, {more.view(), 0, 0}};
    std::vector<std::vector<float>> outs(3, std::vector<float>(12 * width));
    std::vector<decant::attention_request<std::uint16_t>> requests;
    for (const std::uint32_t leaf : {1U, 2U, 1U}) {
      requests.push_back({leaf, 12, a.tail.view(), 12, a.visible.data(), nullptr, nullptr, a.queries.data(),
                          shape.query_heads * shape.dimension, outs[requests.size()].data(), width});
    }
    for (const std::size_t workers : {1U, 4U}) {
      a.run(decant::best_instruction_set(), segments, requests, workers);
      flat_world<std::uint16_t> flat = a;  // the third segment is empty
      const std::vector<float> short_one = flat.attend(decant::best_instruction_set());
      for (std::size_t t = 0; t < 300; ++t) flat.prefix.append(more, t);
      const std::vector<float> long_one = flat.attend(decant::best_instruction_set());
      CHECK(flat.error_of(outs[0]) < 2e-6);
      CHECK(same_floats(outs[0], outs[2]));
      CHECK(same_floats(outs[0], long_one) == (shared == 512));
      CHECK(same_floats(outs[1], short_one) == (shared == 512));
    }
    attention_plan plan;
    plan.build<std::uint16_t>(shape, segments, requests, attention_schedule::fixed_chunks, 1);
    CHECK(plan.members(0).size() == 36);
    CHECK(plan.members(1).size() == 24);
    CHECK(plan.spans_of(0, 1, 2).size() == (shared + 255) / 256);
  }
}

TEST_CASE("plans give every chunk to one worker, in shares of equal work") {
  const attention_shape shape{6, 2, 16, 16, 1.0F};
  std::vector<decant::attention_segment<float>> segments;
  std::vector<decant::attention_request<float>> requests;
  for (const std::size_t count : {std::size_t{70}, std::size_t{65536}, std::size_t{0}, std::size_t{3000}}) {
    segments.push_back({{}, count});
    decant::attention_request<float> request;
    request.segment = static_cast<std::uint32_t>(requests.size());
    request.rows = 1;
    requests.push_back(request);
  }
  for (const attention_schedule schedule : {attention_schedule::fixed_chunks, attention_schedule::stream_k,
                                            attention_schedule::fixed_split, attention_schedule::one_head}) {
    for (const std::size_t workers : {1U, 2U, 3U, 16U}) {
      attention_plan plan;
      plan.build<float>(shape, segments, requests, schedule, workers);
      std::vector<int> taken(plan.spans().size());
      std::vector<std::size_t> work;
      for (std::size_t w = 0; w < workers; ++w) {
        work.push_back(0);
        for (const std::uint32_t i : plan.share(w)) {
          ++taken[i];
          work.back() += plan.spans()[i].last - plan.spans()[i].first;
        }
      }
      CHECK(std::count(taken.begin(), taken.end(), 1) == static_cast<std::ptrdiff_t>(taken.size()));
      const std::size_t all = 2 * (1 + 256 + 12);
      CHECK(std::accumulate(work.begin(), work.end(), std::size_t{0}) == all);
      if (schedule == attention_schedule::fixed_chunks || schedule == attention_schedule::stream_k) {
        CHECK(*std::max_element(work.begin(), work.end()) <= all / workers + 2);
      }
      if (schedule == attention_schedule::stream_k) CHECK(plan.spans().size() <= 6 + workers);
    }
  }
}

TEST_CASE("the split count is the one of FlashAttention 2") {
  CHECK(decant::flash_splits(80, 100, 64) == 1);  // busy enough
  CHECK(decant::flash_splits(1, 108, 64) == 64);
  CHECK(decant::flash_splits(24, 216, 32) == 7);  // 7 of 9 in one wave; 8 of 9 would be the best
  CHECK(decant::flash_splits(3, 2, 256) == 1);
  CHECK(decant::flash_splits(1, 2, 256) == 2);
  CHECK(decant::flash_splits(1, 2, 1) == 1);
}

TEST_CASE("rows without keys get zeros, a NaN poisons its row only") {
  flat_world<float> world(small_shape(), 40, chain(2), 9);
  std::fill(world.visible.begin(), world.visible.end(), 0);
  flat_world<float> empty(small_shape(), 0, chain(2), 9);
  std::fill(empty.visible.begin(), empty.visible.end(), 0);
  for (const float x : empty.attend(decant::best_instruction_set())) CHECK(x == 0.0F);
  world.queries[3] = std::nanf("");
  const std::vector<float> out = world.attend(decant::best_instruction_set());
  const std::size_t width = world.shape.query_heads * world.shape.value_dimension;
  CHECK(std::all_of(out.begin(), out.begin() + 24, [](float x) { return std::isnan(x); }));
  CHECK(std::none_of(out.begin() + 24, out.begin() + static_cast<std::ptrdiff_t>(2 * width),
                     [](float x) { return std::isnan(x); }));
}

TEST_CASE("bytes of a row are half a step away at most, and the same on every instruction set") {
  decant_test::random_source random(12);
  for (std::size_t count = 1; count < 70; ++count) {
    std::vector<float> row = random.logits<float>(count, 3);
    row[count / 2] = 0;
    std::vector<std::int8_t> expected(count);
    const auto first = decant::cpu::scalar::attention_kernels().to_bytes(row.data(), count, expected.data());
    std::int32_t sum = 0;
    for (std::size_t d = 0; d < count; ++d) {
      CHECK(std::abs(row[d] - first.scale * static_cast<float>(expected[d])) <= 0.50001F * first.scale);
      CHECK(expected[d] >= -127);
      sum += expected[d];
    }
    CHECK(first.code_sum == sum);
    for (const decant::instruction_set set : instruction_sets()) {
      std::vector<std::int8_t> codes(count, 55);
      const auto bytes = decant::cpu::attention_kernels_of(set).to_bytes(row.data(), count, codes.data());
      CHECK(codes == expected);
      CHECK(bytes.scale == first.scale);
      CHECK(bytes.code_sum == first.code_sum);
    }
  }
}

TEST_CASE("bytes round ties to even, and a row that is not finite does not pass for one that is") {
  for (const decant::instruction_set set : instruction_sets()) {
    const auto to_bytes = decant::cpu::attention_kernels_of(set).to_bytes;
    std::int8_t codes[5];
    const float ties[] = {-127, 0.5F, 1.5F, -2.5F, -0.0F};
    CHECK(to_bytes(ties, 5, codes).scale == 1);
    CHECK(std::vector<int>(codes, codes + 5) == std::vector<int>{-127, 0, 2, -2, 0});
    for (const float bad : {std::nanf(""), HUGE_VALF, -HUGE_VALF}) {
      const float row[] = {1, bad, 3, 4, 5};
      const auto bytes = to_bytes(row, 5, codes);
      CHECK(std::isnan(bytes.scale));
      CHECK(bytes.code_sum == 0);
      CHECK(std::count(codes, codes + 5, 0) == 5);
    }
    const float nothing[] = {0, -0.0F, 1e-31F, -1e-31F, 0};
    CHECK(to_bytes(nothing, 5, codes).scale == 0);
    CHECK(std::count(codes, codes + 5, 0) == 5);
    const float greatest[] = {3.4e38F, -3.4e38F, 0, 0, 0};
    CHECK(to_bytes(greatest, 5, codes).code_sum == 0);
    CHECK(codes[0] == 127);
  }
}

TEST_CASE("shares of upcoming rows cover each row once") {
  const std::vector<std::byte> memory(40 * 256);
  for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{16}, std::size_t{250}}) {
    const decant::cpu::upcoming_rows all{memory.data(), 40, 24, count};
    std::size_t next = 0;
    for (const std::size_t first : {std::size_t{0}, std::size_t{6}, std::size_t{12}, std::size_t{18}}) {
      const auto share = all.share(first, std::min(first + 6, std::size_t{21}), 21);
      CHECK(share.first == memory.data() + 40 * next);
      CHECK(share.stride == 40);
      CHECK(share.bytes == 24);
      next += share.count;
    }
    CHECK(next == count);
  }
}

TEST_CASE("a warm plan and a warm run allocate nothing") {
  const flat_world<std::int8_t> world(small_shape(), 600, tree12, 1);
  std::vector<float> out(world.rows() * world.shape.query_heads * world.shape.value_dimension);
  const decant::attention_segment<std::int8_t> segment{world.prefix.view(), 600};
  const decant::attention_request<std::int8_t> request{0,
                                                       12,
                                                       world.tail.view(),
                                                       12,
                                                       world.visible.data(),
                                                       nullptr,
                                                       nullptr,
                                                       world.queries.data(),
                                                       world.shape.query_heads * world.shape.dimension,
                                                       out.data(),
                                                       world.shape.query_heads * world.shape.value_dimension};
  attention_plan plan;
  decant::attention_runner<std::int8_t> runner;
  std::size_t allocations = 1;
  for (int round = 0; round < 2; ++round) {
    allocations = decant_test::allocations_of([&] {
      plan.build<std::int8_t>(world.shape, {&segment, 1}, {&request, 1}, attention_schedule::fixed_chunks, 2);
      CHECK(runner.prepare(world.shape, plan).has_value());
      runner.attend(world.shape, plan, {&segment, 1}, {&request, 1});
    });
  }
  CHECK(allocations == 0);
}

#if defined(__linux__)
namespace {

using decant_test::guarded_end;
using decant_test::guarded_row;

template <class T>
void fill(guarded_row<T>& row, const std::vector<T>& from) {
  std::copy(from.begin(), from.end(), row.data());
}

template <class Element>
void check_guarded(std::size_t size, std::size_t count, std::size_t rows, guarded_end end,
                   std::size_t scale_block = 0) {
  attention_shape shape{2, 1, size, size, 0.3F};
  shape.scale_block = scale_block;
  const flat_world<Element> world(shape, count, chain(rows), size + count);
  // One head, no gaps: the last element is the last byte.
  std::vector<Element> keys, values;
  for (std::size_t t = 0; t < count; ++t) {
    keys.insert(keys.end(), world.prefix.keys.begin() + static_cast<std::ptrdiff_t>(t * (size + 3)),
                world.prefix.keys.begin() + static_cast<std::ptrdiff_t>(t * (size + 3) + size));
    values.insert(values.end(), world.prefix.values.begin() + static_cast<std::ptrdiff_t>(t * (size + 3)),
                  world.prefix.values.begin() + static_cast<std::ptrdiff_t>(t * (size + 3) + size));
  }
  guarded_row<Element> k(keys.size(), end), v(values.size(), end);
  guarded_row<float> q(world.queries.size(), end), out(rows * 2 * size, end);
  guarded_row<float> ks(world.prefix.key_scales.size(), end), vs(world.prefix.value_scales.size(), end);
  fill(k, keys);
  fill(v, values);
  fill(ks, world.prefix.key_scales);
  fill(vs, world.prefix.value_scales);
  fill(q, world.queries);
  for (const decant::instruction_set set : instruction_sets()) {
    const decant::attention_segment<Element> segment{
        {k.data(), size, 0, v.data(), size, 0, ks.data(), vs.data(), shape.scales_of(size), 0}, count};
    decant::attention_request<Element> request;
    request.rows = rows;
    request.queries = q.data();
    request.query_stride = request.out_stride = 2 * size;
    request.out = out.data();
    world.run(set, {&segment, 1}, {&request, 1});
    const std::vector<double> exact = decant_test::exact_attention<Element>(shape, world.query(0), 0, [&] {
      std::vector<decant_test::seen_key<Element>> seen;
      for (std::size_t t = 0; t < count; ++t) seen.push_back({&world.prefix, t});
      return seen;
    }());
    CHECK(std::abs(static_cast<double>(request.out[size - 1]) - exact[size - 1]) < 1e-5);
  }
}

}  // namespace

TEST_CASE("attention touches nothing outside its inputs") {
  for (const guarded_end end : {guarded_end::first, guarded_end::last}) {
    for (const std::size_t size : {1U, 7U, 8U, 15U, 16U, 17U, 31U, 64U, 65U}) {
      for (const std::size_t count : {1U, 7U, 8U, 15U, 16U, 17U, 63U, 64U, 65U, 256U, 257U}) {
        for (const std::size_t rows : {1U, 4U}) {  // keys as they lie, and packed
          check_guarded<float>(size, count, rows, end);
          check_guarded<std::uint16_t>(size, count, rows, end);
          check_guarded<std::int8_t>(size, count, rows, end);
          if (size > 32) check_guarded<std::int8_t>(size, count, rows, end, 32);
        }
      }
    }
  }
}
#endif
