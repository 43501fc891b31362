// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the reference model offers beyond rows of a tree: forks, joint passes, masks, layer ranges, residual rows,
// attention, embeddings as input, saved states.
#include <decant/reference/reference_model.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "reference/small_models.hpp"
#include "support/allocation_counter.hpp"

namespace {

using namespace decant_test;
using decant::attention_head;
using decant::attention_values;
using decant::error_code;
using decant::masked_rows;
using decant::node_span;
using decant::tensor_type;
using joint_part = reference_model::joint_part;

tiny_llama quantised() {
  tiny_llama shape;
  shape.type = tensor_type::q4_1;
  return shape;
}

reference_model forked(const reference_model& model) {
  auto copy = model.fork();
  REQUIRE(copy.has_value());
  return std::move(*copy);
}

std::vector<token> with(std::vector<token> tokens, const std::vector<token>& more) {
  tokens.insert(tokens.end(), more.begin(), more.end());
  return tokens;
}

row_type hidden_row(const reference_model& model, std::size_t level, node_id n) { return copy(model.hidden(level, n)); }

std::vector<std::size_t> all_levels(const reference_model& model) {
  std::vector<std::size_t> levels(model.layer_count() + 2);
  std::iota(levels.begin(), levels.end(), std::size_t{0});
  return levels;
}

}  // namespace

TEST_CASE("a fork goes on from the same text, and neither sequence disturbs the other") {
  for (const decant::kv_type type : every_kv_type) {
    reference_options options = small(1, 700);
    options.cache = type;
    reference_model alone = load(quantised(), options);
    // Around the border of a shared segment of 256 slots, and far from one.
    for (const std::size_t length :
         {std::size_t{0}, std::size_t{1}, std::size_t{255}, std::size_t{256}, std::size_t{300}}) {
      const std::vector<token> prefix = random_tokens(length, 3);
      const std::vector<token> left = random_tokens(5, 4);
      const std::vector<token> right = random_tokens(7, 5);
      reference_model parent = load(quantised(), options);
      REQUIRE(parent.prefill(prefix).has_value());
      reference_model child = forked(parent);
      CHECK(child.length() == length);
      REQUIRE(parent.prefill(left).has_value());
      REQUIRE(child.prefill(right).has_value());
      reference_model grandchild = forked(child);
      REQUIRE(child.truncate(length / 2).has_value());
      REQUIRE(child.prefill(left).has_value());  // overwrites what both others still use
      const auto middle = prefix.begin() + static_cast<std::ptrdiff_t>(length / 2);
      const token next = 9;
      CHECK(same_bits(evaluate(parent, token_tree(next))[0], row_alone(alone, with(with(prefix, left), {next}))));
      CHECK(same_bits(evaluate(grandchild, token_tree(next))[0], row_alone(alone, with(with(prefix, right), {next}))));
      CHECK(same_bits(evaluate(child, token_tree(next))[0],
                      row_alone(alone, with(with({prefix.begin(), middle}, left), {next}))));
    }
  }
}

TEST_CASE("a fork shares the memory of the common prefix and outlives its origin") {
  reference_model first = load(quantised(), small(1, 1000));
  const std::vector<token> prefix = random_tokens(600, 1);
  REQUIRE(first.prefill(prefix).has_value());
  const row_type expected = evaluate(first, token_tree(5))[0];
  REQUIRE(first.truncate(600).has_value());
  reference_model second = forked(first);
  CHECK(second.cache_bytes() == first.cache_bytes());
  { const reference_model ended = std::move(first); }
  CHECK(same_bits(evaluate(second, token_tree(5))[0], expected));
}

TEST_CASE("a step after reserve allocates nothing even where it enters a new segment") {
  reference_model model = load(quantised(), small(1, 600));
  REQUIRE(model.reserve(600).has_value());
  const std::vector<token> prompt = random_tokens(250, 1);
  const token_tree tree = random_tree(16, 2);
  const auto evaluate_after = [&](std::size_t length) {
    return model.truncate(length).has_value() && model.evaluate(tree, tree.all()).has_value();
  };
  REQUIRE(model.prefill(prompt).has_value());
  REQUIRE(evaluate_after(200));  // stays within the first segment of 256 slots
  REQUIRE(model.truncate(200).has_value());
  REQUIRE(model.prefill(std::span(prompt).subspan(200)).has_value());
  bool done = false;
  CHECK(decant_test::allocations_of([&] { done = evaluate_after(250); }) == 0);
  CHECK(done);
}

TEST_CASE("several sequences in one pass have the rows they have alone") {
  for (const std::size_t threads : {std::size_t{1}, std::size_t{3}}) {
    reference_model origin = load(quantised(), small(threads, 400));
    reference_model alone = load(quantised(), small(1, 400));
    const std::vector<token> prompts[] = {random_tokens(3, 1), {}, random_tokens(270, 2), random_tokens(40, 3)};
    const token_tree trees[] = {random_tree(70, 4), token_tree(3), random_tree(9, 5), random_tree(80, 6)};
    std::vector<reference_model> models;
    for (const std::vector<token>& prompt : prompts) {
      models.push_back(forked(origin));
      REQUIRE(models.back().prefill(prompt).has_value());
    }
    for (int round = 0; round < 2; ++round) {
      std::vector<joint_part> parts;
      for (std::size_t i = 0; i < models.size(); ++i) parts.push_back({&models[i], &trees[i], trees[i].all()});
      REQUIRE(reference_model::evaluate_together(parts).has_value());
      for (std::size_t i = 0; i < models.size(); ++i) {
        REQUIRE(alone.truncate(0).has_value());
        REQUIRE(alone.prefill(prompts[i]).has_value());
        const std::vector<row_type> expected = evaluate(alone, trees[i]);
        for (const node_id n : trees[i].all()) {
          CHECK(same_bits(copy(models[i].rows().row(n)), expected[static_cast<std::size_t>(n)]));
        }
        REQUIRE(models[i].truncate(prompts[i].size()).has_value());
      }
    }
    // A later evaluation of one sequence leaves the rows of the others alone.
    const joint_part pair[] = {{&models[0], &trees[1], trees[1].all()}, {&models[2], &trees[2], trees[2].all()}};
    REQUIRE(reference_model::evaluate_together(pair).has_value());
    const row_type kept = copy(models[2].rows().row(0));
    REQUIRE(models[0].truncate(3).has_value());
    REQUIRE(models[0].evaluate(trees[0], trees[0].all()).has_value());
    CHECK(same_bits(copy(models[2].rows().row(0)), kept));
  }
}

TEST_CASE("a joint pass that cannot be made changes no sequence") {
  reference_model first = load(quantised(), small(1, 20));
  reference_model second = forked(first);
  reference_model stranger = load(quantised(), small(1, 20));
  const token_tree good(3);
  const token_tree bad(71);
  const auto code = [](std::vector<joint_part> parts) { return reference_model::evaluate_together(parts).code(); };
  CHECK(code({}) == error_code::none);
  CHECK(code({{&first, &good, good.all()}, {&first, &good, good.all()}}) == error_code::invalid_argument);
  CHECK(code({{&first, &good, good.all()}, {&stranger, &good, good.all()}}) == error_code::invalid_argument);
  CHECK(code({{&first, &good, good.all()}, {&second, &bad, bad.all()}}) == error_code::invalid_token);
  CHECK(code({{&first, &good, good.all()}, {&second, &good, good.all()}}) == error_code::none);  // nothing was pending
}

TEST_CASE("residual rows: from the embedding to the output norm, the same in every batch") {
  reference_model model = load(quantised());
  const std::vector<std::size_t> levels = all_levels(model);
  REQUIRE(model.capture_hidden(levels).has_value());
  const token_tree tree = random_tree(20, 8);
  static_cast<void>(evaluate(model, tree));
  const std::vector<node_id> path = path_to(tree, 19);
  std::vector<row_type> of_last;
  for (const std::size_t level : levels) of_last.push_back(hidden_row(model, level, 19));
  REQUIRE(model.commit(path).has_value());
  CHECK(same_bits(hidden_row(model, 1, 19), of_last[1]));  // still there after the commit

  const std::vector<token> tokens = tokens_of(tree, path);
  static_cast<void>(row_alone(model, tokens));
  for (const std::size_t level : levels) CHECK(same_bits(hidden_row(model, level, 0), of_last[level]));
  CHECK(model.hidden(1, 1).empty());  // a node that was not evaluated
  CHECK(of_last[0].size() == model.hidden_size());
  CHECK_FALSE(same_bits(of_last[0], of_last[1]));

  // Level 0 is the embedding row of the token, the last level has passed the output norm.
  const std::vector<std::byte> bytes = quantised().bytes();
  const auto file = decant::gguf_file::parse(bytes);
  REQUIRE(file.has_value());
  const decant::gguf_tensor& table = *file->tensor("token_embd.weight");
  row_type embedding(model.hidden_size());
  const std::size_t size = decant::row_bytes(table.type, embedding.size());
  decant::dequantise(table.type, table.bytes.subspan(static_cast<std::size_t>(tokens.back()) * size, size), embedding);
  CHECK(same_bits(of_last[0], embedding));
  const std::size_t too_deep[] = {model.layer_count() + 2};
  CHECK(model.capture_hidden(too_deep).code() == error_code::invalid_argument);
  REQUIRE(model.capture_hidden({}).has_value());
  CHECK(model.hidden(0, 0).empty());
}

TEST_CASE("layers run in ranges give the rows of one pass, for the nodes that go on") {
  tiny_llama shape = quantised();
  shape.layers = 5;
  reference_model whole = load(shape);
  reference_model model = load(shape);
  REQUIRE(whole.capture_hidden(all_levels(whole)).has_value());
  const std::vector<token> prompt = random_tokens(6, 1);
  REQUIRE(whole.prefill(prompt).has_value());
  REQUIRE(model.prefill(prompt).has_value());
  const token_tree tree = random_tree(140, 9);  // more than a pass
  const std::vector<row_type> expected = evaluate(whole, tree);
  REQUIRE(model.capture_hidden(all_levels(model)).has_value());

  REQUIRE(model.evaluate_layers(tree, tree.all(), 0, 2).has_value());
  CHECK(same_bits(hidden_row(model, 2, 17), hidden_row(whole, 2, 17)));
  CHECK(model.hidden(3, 17).empty());
  const std::vector<node_id> path = path_to(tree, 139);
  CHECK(model.commit(path).code() == error_code::wrong_call_order);  // not through all layers

  const auto early = model.project(path);
  REQUIRE(early.has_value());
  CHECK_FALSE(same_bits(copy(early->row(139)), expected[139]));
  CHECK(early->row(0).size() == model.vocab_size());
  CHECK(same_bits(hidden_row(model, 2, 17), hidden_row(whole, 2, 17)));  // of the evaluation, not of the projection

  REQUIRE(model.evaluate_layers(tree, path, 2, 4).has_value());
  REQUIRE(model.evaluate_layers(tree, path, 4, 5).has_value());
  const auto rows = model.project(path);
  REQUIRE(rows.has_value());
  for (const node_id n : path) CHECK(same_bits(copy(rows->row(n)), expected[static_cast<std::size_t>(n)]));
  REQUIRE(model.commit(path).has_value());
  REQUIRE(whole.commit(path).has_value());
  CHECK(same_bits(evaluate(model, token_tree(1))[0], evaluate(whole, token_tree(1))[0]));
}

TEST_CASE("an early exit says what the first layers alone would say") {
  tiny_llama shape = quantised();
  shape.layers = 4;
  tiny_llama two = shape;
  two.layers = 2;
  reference_model deep = load(shape);
  reference_model shallow = load(two);  // the random source writes blocks in order: the first two are equal
  const token_tree tree = random_tree(12, 2);
  REQUIRE(deep.evaluate_layers(tree, tree.all(), 0, 2).has_value());
  const auto early = deep.project(tree.all());
  REQUIRE(early.has_value());
  const std::vector<row_type> expected = evaluate(shallow, tree);
  for (const node_id n : tree.all()) CHECK(same_bits(copy(early->row(n)), expected[static_cast<std::size_t>(n)]));
}

TEST_CASE("ranges of layers out of order are errors and change nothing") {
  reference_model model = load(quantised());
  token_tree tree(1);
  tree.append(0, 2);
  tree.append(1, 3);
  const node_id first[] = {0};
  const node_id second[] = {1};
  const node_id both[] = {0, 1};
  const auto run = [&](node_span nodes, std::size_t begin, std::size_t end) {
    return model.evaluate_layers(tree, nodes, begin, end).code();
  };
  CHECK(run(first, 0, 0) == error_code::invalid_argument);
  CHECK(run(first, 1, 3) == error_code::invalid_argument);
  CHECK(run(first, 1, 2) == error_code::wrong_call_order);   // has not begun
  CHECK(run(second, 0, 1) == error_code::wrong_call_order);  // its parent is not there
  CHECK(model.project(first).code() == error_code::wrong_call_order);
  REQUIRE(run(both, 0, 1) == error_code::none);
  CHECK(run(first, 0, 1) == error_code::wrong_call_order);   // again
  CHECK(run(second, 1, 2) == error_code::wrong_call_order);  // its parent has not come as far
  const node_id third[] = {2};
  CHECK(model.evaluate(tree, third).code() == error_code::wrong_call_order);
  REQUIRE(run(first, 1, 2) == error_code::none);
  REQUIRE(run(second, 1, 2) == error_code::none);
  const auto rows = model.project(both);
  REQUIRE(rows.has_value());
  reference_model whole = load(quantised());
  CHECK(same_bits(copy(rows->row(1)), evaluate(whole, tree)[1]));
}

TEST_CASE("extra embeddings: a virtual token with the embedding of a token is that token") {
  reference_model model = load(quantised());
  REQUIRE(model.capture_hidden(all_levels(model)).has_value());
  const std::vector<row_type> expected = evaluate(model, chain({4, 5, 6}));
  std::vector<float> embeddings(model.hidden_size(), 0.25F);  // virtual token 0: something else
  for (const node_id n : {0, 1, 2}) {
    const row_type row = hidden_row(model, 0, n);
    embeddings.insert(embeddings.end(), row.begin(), row.end());
  }
  REQUIRE(model.truncate(0).has_value());
  CHECK(model.evaluate(chain({71, 72}), chain({71, 72}).all()).code() == error_code::invalid_token);
  REQUIRE(model.set_extra_embeddings(embeddings).has_value());
  CHECK(same_bits(evaluate(model, chain({72, 73, 74}))[2], expected[2]));
  REQUIRE(model.truncate(0).has_value());
  CHECK_FALSE(same_bits(evaluate(model, chain({71, 73, 74}))[2], expected[2]));

  reference_model fork = forked(model);
  const std::vector<token> prompt{72, 73};
  REQUIRE(fork.truncate(0).has_value());
  REQUIRE(fork.prefill(prompt).has_value());
  CHECK(same_bits(evaluate(fork, token_tree(6))[0], expected[2]));
  CHECK(model.truncate(0).has_value());
  CHECK(model.evaluate(token_tree(75), token_tree(0).all()).code() == error_code::invalid_token);
  embeddings.pop_back();
  CHECK(model.set_extra_embeddings(embeddings).code() == error_code::invalid_argument);
  embeddings.push_back(std::nanf(""));
  CHECK(model.set_extra_embeddings(embeddings).code() == error_code::invalid_argument);
}

TEST_CASE("the attention probe reports distributions over what a node sees") {
  reference_model model = load(quantised());
  const std::vector<token> prompt = random_tokens(11, 1);
  REQUIRE(model.prefill(prompt).has_value());
  const token_tree tree = random_tree(30, 3);
  const std::vector<attention_head> heads{{0, 5}, {1, 0}, {1, 3}};
  REQUIRE(model.probe_attention(heads, attention_values::scores).has_value());
  static_cast<void>(evaluate(model, tree));
  std::vector<row_type> scores;
  for (const attention_head h : heads) scores.push_back(copy(model.attention(h.layer, h.head, 29)));
  REQUIRE(model.truncate(11).has_value());
  REQUIRE(model.probe_attention(heads).has_value());
  static_cast<void>(evaluate(model, tree));
  const std::size_t seen = prompt.size() + path_to(tree, 29).size();
  for (std::size_t k = 0; k < heads.size(); ++k) {
    const row_type p = copy(model.attention(heads[k].layer, heads[k].head, 29));
    REQUIRE(p.size() == seen);
    REQUIRE(scores[k].size() == seen);
    const float top = *std::max_element(scores[k].begin(), scores[k].end());
    double total = 0;
    for (const float s : scores[k]) total += std::exp(static_cast<double>(s - top));
    for (std::size_t j = 0; j < seen; ++j) {
      const double expected = std::exp(static_cast<double>(scores[k][j] - top)) / total;
      CHECK(std::abs(static_cast<double>(p[j]) - expected) < 1e-6);
    }
  }
  // Alone, the same bits.
  const row_type in_batch = copy(model.attention(1, 3, 29));
  std::vector<token> text = with(prompt, tokens_of(tree, path_to(tree, 29)));
  static_cast<void>(row_alone(model, text));
  CHECK(model.attention(1, 3, 0).empty());  // committed since
  text.pop_back();
  REQUIRE(model.truncate(text.size()).has_value());
  static_cast<void>(evaluate(model, token_tree(tree.token_of(29))));
  CHECK(same_bits(copy(model.attention(1, 3, 0)), in_batch));
  CHECK(model.attention(0, 0, 0).empty());  // not asked for
  const attention_head outside[] = {{2, 0}};
  CHECK(model.probe_attention(outside).code() == error_code::invalid_argument);
}

TEST_CASE("rows under a general mask see what their bits say") {
  reference_model model = load(quantised());
  const std::vector<token> prompt = random_tokens(5, 1);
  REQUIRE(model.prefill(prompt).has_value());
  token_tree tree(7);
  tree.append(0, 8);
  tree.append(0, 9);
  tree.append(1, 10);
  const std::vector<row_type> expected = evaluate(model, tree);
  REQUIRE(model.truncate(5).has_value());
  const std::vector<token> tokens{7, 8, 9, 10};
  const std::vector<std::size_t> positions{5, 6, 6, 7};
  std::vector<std::uint64_t> mask{0b0000, 0b0001, 0b0001, 0b0011};
  const auto rows = model.evaluate_masked({tokens, positions, mask, 1});
  REQUIRE(rows.has_value());
  for (const node_id n : tree.all()) CHECK(same_bits(copy(rows->row(n)), expected[static_cast<std::size_t>(n)]));

  // A row that skips its predecessor is the row of the text without it, at its own position.
  const std::vector<token> more{3, 3};
  const std::vector<std::size_t> at{8, 6};
  const std::vector<std::uint64_t> bits{0b1011, 0b0001};
  const auto second = model.evaluate_masked({more, at, bits, 1});
  REQUIRE(second.has_value());
  const row_type skipped = copy(second->row(5));
  const node_id path[] = {0, 1, 3, 4};
  const node_id wrong[] = {0, 5, 3};
  CHECK(model.commit(wrong).code() == error_code::wrong_call_order);
  REQUIRE(model.commit(path).has_value());
  CHECK(model.length() == 9);
  REQUIRE(model.truncate(5).has_value());
  const std::vector<token> seven{7};
  REQUIRE(model.prefill(seven).has_value());
  CHECK(same_bits(evaluate(model, token_tree(3))[0], skipped));
}

TEST_CASE("masks that do not fit are errors and change nothing") {
  reference_model model = load(quantised(), small(1, 30));
  const std::vector<token> tokens{1, 2};
  const std::vector<std::size_t> positions{0, 1};
  const std::vector<std::uint64_t> mask{0, 1};
  const auto code = [&](const masked_rows& rows) { return model.evaluate_masked(rows).code(); };
  const std::vector<std::uint64_t> later{0b10, 0b01};
  const std::vector<std::size_t> far{0, 30};
  const std::vector<token> unknown{1, 71};
  CHECK(code({tokens, std::span(positions).first(1), mask, 1}) == error_code::invalid_argument);
  CHECK(code({tokens, positions, std::span(mask).first(1), 1}) == error_code::invalid_argument);
  CHECK(code({tokens, positions, mask, 0}) == error_code::invalid_argument);
  CHECK(code({tokens, positions, later, 1}) == error_code::invalid_argument);
  CHECK(code({tokens, far, mask, 1}) == error_code::context_full);
  CHECK(code({unknown, positions, mask, 1}) == error_code::invalid_token);
  CHECK(code({tokens, positions, mask, 1}) == error_code::none);
}

TEST_CASE("a saved state continues in another model with the same weights") {
  for (const decant::kv_type type : every_kv_type) {
    reference_options options = small(1, 400);
    options.cache = type;
    reference_model first = load(quantised(), options);
    const std::vector<token> prompt = random_tokens(280, 1);
    REQUIRE(first.prefill(prompt).has_value());
    std::vector<std::byte> state;
    first.save_state(state);
    const row_type expected = evaluate(first, token_tree(3))[0];

    reference_model second = load(quantised(), options);
    REQUIRE(second.prefill(random_tokens(9, 2)).has_value());
    REQUIRE(second.load_state(state).has_value());
    CHECK(second.length() == 280);
    CHECK(same_bits(evaluate(second, token_tree(3))[0], expected));
  }
}

namespace {

/// A state whose bytes were changed and whose checksum fits again.
std::vector<std::byte> resealed(std::vector<std::byte> state) {
  const std::size_t end = state.size() - sizeof(std::uint64_t);
  const std::uint64_t sum = decant::detail::checksum(std::span(state).first(end));
  std::memcpy(state.data() + end, &sum, sizeof sum);
  return state;
}

void check_damaged_states(const reference_options& options) {
  reference_model model = load(quantised(), options);
  REQUIRE(model.prefill(random_tokens(3, 1)).has_value());
  std::vector<std::byte> state;
  model.save_state(state);
  const row_type expected = evaluate(model, token_tree(3))[0];
  for (std::size_t size = 0; size < state.size(); size += size < 80 ? 1 : 37) {
    CHECK_FALSE(model.load_state(std::span(state).first(size)).has_value());
  }
  for (std::size_t at = 0; at < state.size(); at += at < 80 ? 1 : 37) {
    std::vector<std::byte> flipped = state;
    flipped[at] ^= std::byte{0x10};
    CHECK_FALSE(model.load_state(flipped).has_value());
  }
  std::vector<std::byte> longer = state;
  longer.push_back(std::byte{0});
  CHECK(model.load_state(longer).code() == error_code::file_malformed);
  std::vector<std::byte> infinite = state;
  std::fill_n(infinite.end() - 300, 200, std::byte{0xFF});  // of every kind, a whole value of a head
  CHECK(model.load_state(resealed(infinite)).code() == error_code::file_malformed);
  REQUIRE(model.truncate(3).has_value());
  CHECK(same_bits(evaluate(model, token_tree(3))[0], expected));
}

}  // namespace

TEST_CASE("a saved state that is damaged is refused and changes nothing") {
  for (const decant::kv_type type : every_kv_type) {
    reference_options options = small(1, 20);
    options.cache = type;
    check_damaged_states(options);
  }
}

TEST_CASE("a saved state of another model is refused") {
  reference_model model = load(quantised(), small(1, 20));
  REQUIRE(model.prefill(random_tokens(3, 1)).has_value());
  std::vector<std::byte> state;
  model.save_state(state);
  tiny_llama other = quantised();
  other.seed = 2;
  reference_model stranger = load(other, small(1, 20));
  CHECK(stranger.load_state(state).code() == error_code::unsupported);
  for (const decant::kv_type type : {decant::kv_type::f32, decant::kv_type::i8}) {
    reference_options options = small(1, 20);
    options.cache = type;
    reference_model differs = load(quantised(), options);
    CHECK(differs.load_state(state).code() == error_code::unsupported);
  }
  reference_model narrow = load(quantised(), small(1, 2));
  CHECK(narrow.load_state(state).code() == error_code::context_full);
}

TEST_CASE("8-bit keys and values take a byte an element and a float a head, wherever they are kept") {
  const tiny_llama shape = quantised();
  reference_options options = small(1, 400);
  options.cache = decant::kv_type::f16;
  reference_model halves = load(shape, options);
  options.cache = decant::kv_type::i8;
  reference_model bytes = load(shape, options);
  const std::vector<token> prompt = random_tokens(7, 1);
  std::vector<std::byte> wide, narrow;
  for (reference_model* model : {&halves, &bytes}) {
    REQUIRE(model->prefill(prompt).has_value());
    model->save_state(model == &halves ? wide : narrow);
  }
  const std::size_t heads = 2 * shape.layers * shape.key_heads;  // keys and values
  const std::size_t elements = heads * shape.head_size;
  CHECK(wide.size() - narrow.size() == 7 * (elements - 4 * heads));
  CHECK(halves.cache_bytes() == 256 * 2 * elements);
  CHECK(bytes.cache_bytes() == 256 * (elements + 4 * heads));
}

namespace {

/// The rows of each head of a matrix moved from one pairing of the rotary embedding to the other: pair (2i, 2i + 1)
/// becomes (i, i + size / 2).
void move_pairs(std::vector<float>& matrix, std::size_t heads, std::size_t size, std::size_t columns) {
  std::vector<float> moved(matrix.size());
  for (std::size_t row = 0; row < heads * size; ++row) {
    const std::size_t in_head = row % size;
    const std::size_t to = row - in_head + in_head / 2 + in_head % 2 * (size / 2);
    std::copy_n(matrix.begin() + static_cast<std::ptrdiff_t>(row * columns), columns,
                moved.begin() + static_cast<std::ptrdiff_t>(to * columns));
  }
  matrix = moved;
}

}  // namespace

TEST_CASE("a qwen2 file is the llama graph with the other pairing of the rotary embedding") {
  tiny_llama shape;
  shape.biases = true;
  reference_model model = load(shape);
  const std::vector<std::byte> bytes = shape.bytes();
  const auto file = decant::gguf_file::parse(bytes);
  REQUIRE(file.has_value());
  tiny_llama renamed = shape;
  renamed.architecture = "qwen2";
  decant::gguf_writer writer;
  renamed.write_metadata(writer);
  for (const decant::gguf_tensor& tensor : file->tensors()) {
    std::vector<float> values(tensor.dimensions[0] * tensor.dimensions[1]);
    decant::dequantise(tensor.type, tensor.bytes, values);
    const std::string name(tensor.name);
    const bool is_bias = name.ends_with(".bias");
    const std::size_t columns = is_bias ? 1 : tensor.dimensions[0];
    if (name.find("attn_q.") != std::string::npos) move_pairs(values, shape.heads, shape.head_size, columns);
    if (name.find("attn_k.") != std::string::npos) move_pairs(values, shape.key_heads, shape.head_size, columns);
    if (tensor.dimensions[1] == 1) {
      writer.add_tensor(name, tensor.type, {tensor.dimensions[0]}, values);
    } else {
      writer.add_tensor(name, tensor.type, {tensor.dimensions[0], tensor.dimensions[1]}, values);
    }
  }
  const std::vector<std::byte> moved = writer.bytes();
  const auto other = decant::gguf_file::parse(moved);
  REQUIRE(other.has_value());
  auto qwen = reference_model::load(*other, small());
  REQUIRE(qwen.has_value());
  const std::vector<token> text = random_tokens(90, 1);
  const row_type a = row_alone(model, text);
  const row_type b = row_alone(*qwen, text);
  // Scores add the same products in another order.
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(std::abs(a[i] - b[i]) < 1e-4F);
}

TEST_CASE("YaRN keeps fast pairs, interpolates slow ones, and scales magnitudes") {
  decant::llama_config config;
  config.head_size = 64;
  config.rope_base = 10000.0;
  config.rope_scaling = decant::rope_scaling_kind::yarn;
  config.rope_scale = 1.0 / 4.0;
  config.original_context = 4096;
  const decant::rope_frequencies frequencies(config, {});
  const auto plain = [](std::size_t pair) { return std::pow(10000.0, -2.0 * static_cast<double>(pair) / 64.0); };
  // Pairs that turn 32 times in 4096 positions end at 10.46 -> floor 10; once: 22.5 -> ceil 23.
  CHECK(frequencies.angle(0) == Approx(plain(0)));
  CHECK(frequencies.angle(10) == Approx(plain(10)));
  CHECK(frequencies.angle(23) == Approx(plain(23) / 4));
  CHECK(frequencies.angle(31) == Approx(plain(31) / 4));
  const double share = 1.0 - (16.0 - 10.0) / (23.0 - 10.0);
  CHECK(frequencies.angle(16) == Approx(plain(16) * (share + (1 - share) / 4)));
  CHECK(frequencies.magnitude() == Approx(1.0 + 0.1 * std::log(4.0)));

  config.rope_scaling = decant::rope_scaling_kind::linear;
  const decant::rope_frequencies linear(config, {});
  CHECK(linear.angle(7) == Approx(plain(7) / 4));
  CHECK(linear.magnitude() == 1.0);
}
