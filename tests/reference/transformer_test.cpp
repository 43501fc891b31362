// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The reference model on small random models: its numbers, its batch invariance and its bookkeeping.
#include <decant/reference/reference_model.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "reference/plain_llama.hpp"
#include "reference/small_models.hpp"
#include "support/allocation_counter.hpp"
#include "support/everyday_model.hpp"

namespace {

using namespace decant_test;
using decant::error_code;
using decant::tensor_type;

// Largest difference relative to the largest logit.
double relative_error(const row_type& row, const std::vector<double>& exact) {
  double worst = 0;
  double size = 0;
  for (std::size_t i = 0; i < row.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(row[i]) - exact[i]));
    size = std::max(size, std::abs(exact[i]));
  }
  return row.size() == exact.size() ? worst / size : 1.0;
}

double error_against_float64(const tiny_llama& shape, decant::kv_type cache, std::size_t length) {
  const std::vector<std::byte> bytes = shape.bytes();
  const auto file = decant::gguf_file::parse(bytes);
  REQUIRE(file.has_value());
  reference_options options = small();
  options.cache = cache;
  auto model = reference_model::load(*file, options);
  if (!model) FAIL(model.error().message().c_str());
  std::vector<token> tokens = random_tokens(length, 40 + length);
  const std::vector<double> exact = decant_test::plain_llama(*file).logits(tokens);
  const token_tree root(tokens.back());
  tokens.pop_back();
  REQUIRE(model->prefill(tokens).has_value());
  return relative_error(evaluate(*model, root)[0], exact);
}

}  // namespace

TEST_CASE("float weights reproduce a float64 transformer to 1e-4") {
  std::vector<tiny_llama> shapes(6);
  shapes[1].tied = false;
  shapes[1].biases = true;
  shapes[2].rope_divisors = true;
  shapes[3].heads = 7;  // one key head; widths that are not whole quantisation blocks
  shapes[3].key_heads = 1;
  shapes[3].head_size = 10;
  shapes[3].feed_forward = 75;
  shapes[4].heads = 4;
  shapes[4].key_heads = 4;
  shapes[4].head_size = 6;
  shapes[4].feed_forward = 50;
  shapes[4].biases = true;
  shapes[5].type = tensor_type::bf16;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    for (const std::size_t length : {std::size_t{1}, std::size_t{2}, std::size_t{37}}) {
      CAPTURE(i, length);
      CHECK(error_against_float64(shapes[i], decant::kv_type::f32, length) < 1e-5);
      CHECK(error_against_float64(shapes[i], decant::kv_type::f16, length) < 2e-3);
      const double error = error_against_float64(shapes[i], decant::kv_type::i8, length);
      CHECK(error < 0.05);
      CHECK(error > 1e-6);  // it is not the float path that ran
    }
  }
}

TEST_CASE("quantised weights stay near a float64 transformer with the same weights") {
  // What remains is the rounding of activations to int8 per block of 32, about 1 percent per product.
  for (const tensor_type type : {tensor_type::q4_1, tensor_type::q8_0, tensor_type::q4_0, tensor_type::q5_0}) {
    tiny_llama shape;
    shape.type = type;
    CAPTURE(decant::traits_of(type).name);
    for (const std::size_t length : {std::size_t{1}, std::size_t{25}}) {
      const double error = error_against_float64(shape, decant::kv_type::f16, length);
      CHECK(error < 0.05);
      CHECK(error > 1e-6);  // it is not the float path that ran
    }
  }
}

TEST_CASE("a row has the same bits for every width of a chain, thread count, chunk and instruction set") {
  for (const tensor_type type : {tensor_type::q4_1, tensor_type::q8_0, tensor_type::f32}) {
    tiny_llama shape;
    shape.type = type;
    CAPTURE(decant::traits_of(type).name);
    const std::vector<token> tokens = random_tokens(150, 7);
    reference_model alone = load(shape);
    std::vector<row_type> expected;
    for (std::size_t n = 1; n <= tokens.size(); ++n) expected.emplace_back();
    REQUIRE(alone.truncate(0).has_value());
    const node_id root[] = {0};
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      expected[i] = evaluate(alone, token_tree(tokens[i]))[0];
      REQUIRE(alone.commit(root).has_value());
    }
    for (const instruction_set set : instruction_sets()) {
      for (const std::size_t threads : {std::size_t{1}, std::size_t{2}, std::size_t{3}}) {
        reference_options options = small(threads);
        options.kernels = set;
        reference_model model = load(shape, options);
        const bool fast = set == decant::best_instruction_set();
        for (std::size_t width = 1; width <= 64; width += fast ? 1 : 21) {
          CAPTURE(threads, width);
          constexpr std::size_t before = 20;
          REQUIRE(model.truncate(0).has_value());
          REQUIRE(model.prefill(decant::token_span(tokens).first(before)).has_value());
          const std::vector<token> drafted(tokens.begin() + before,
                                           tokens.begin() + static_cast<std::ptrdiff_t>(before + width));
          const std::vector<row_type> rows = evaluate(model, chain(drafted));
          for (std::size_t i = 0; i < width; ++i) {
            if (!same_bits(rows[i], expected[before + i])) CHECK(i == tokens.size());
          }
        }
        // More rows than one pass takes, pending and committed.
        REQUIRE(model.truncate(0).has_value());
        const std::vector<row_type> long_rows = evaluate(model, chain(tokens));
        for (std::size_t i = 0; i < tokens.size(); ++i) {
          if (!same_bits(long_rows[i], expected[i])) CHECK(i == tokens.size());
        }
        REQUIRE(model.truncate(0).has_value());
        REQUIRE(model.prefill(decant::token_span(tokens).first(149)).has_value());
        CHECK(same_bits(evaluate(model, token_tree(tokens[149]))[0], expected[149]));
      }
    }
  }
}

TEST_CASE("every node of a tree has the bits of its path evaluated alone") {
  for (const decant::kv_type cache : every_kv_type) {
    tiny_llama shape;
    shape.type = tensor_type::q4_1;
    reference_options options = small(2);
    options.cache = cache;
    reference_model model = load(shape, options);
    options.threads = 1;
    reference_model alone = load(shape, options);
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
      CAPTURE(seed);
      const std::vector<token> prompt = random_tokens(seed * 7 - 7, seed);
      const token_tree tree = random_tree(5 + 9 * seed, seed);
      REQUIRE(model.truncate(0).has_value());
      REQUIRE(model.prefill(prompt).has_value());
      const std::vector<row_type> rows = evaluate(model, tree);
      CHECK(model.length() == prompt.size());
      for (const node_id n : tree.all()) {
        std::vector<token> tokens = prompt;
        for (const token id : tokens_of(tree, path_to(tree, n))) tokens.push_back(id);
        if (!same_bits(rows[decant::index(n)], row_alone(alone, tokens))) CHECK(n == -1);
      }
    }
  }
}

TEST_CASE("a tree evaluated level by level has the rows of one pass") {
  tiny_llama shape;
  shape.type = tensor_type::q8_0;
  reference_model model = load(shape);
  const token_tree tree = random_tree(30, 5);
  const std::vector<row_type> expected = evaluate(model, tree);
  REQUIRE(model.truncate(0).has_value());
  for (std::int32_t depth = 0, done = 0; done < 30; ++depth) {
    std::vector<node_id> level;
    for (const node_id n : tree.all()) {
      if (tree.depth(n) == depth) level.push_back(n);
    }
    const auto rows = model.evaluate(tree, level);
    REQUIRE(rows.has_value());
    for (const node_id n : tree.all()) {
      if (tree.depth(n) == depth) CHECK(same_bits(copy(rows->row(n)), expected[decant::index(n)]));
      if (tree.depth(n) != depth) CHECK(rows->row(n).empty());
    }
    done += static_cast<std::int32_t>(level.size());
  }
}

TEST_CASE("commit, rollback and truncate leave the cache as if only the kept tokens had ever been there") {
  tiny_llama shape;
  shape.type = tensor_type::q4_1;
  reference_model model = load(shape, small(2));
  reference_model fresh = load(shape);
  decant_test::random_source random(99);
  std::vector<token> committed;
  REQUIRE(model.truncate(0).has_value());
  for (int step = 0; step < 60; ++step) {
    CAPTURE(step);
    const std::size_t action = random.below(6);
    if (action == 0) {
      const std::size_t kept = random.below(committed.size() + 1);
      REQUIRE(model.truncate(kept).has_value());
      committed.resize(kept);
    } else if (action == 1) {
      const std::vector<token> more = random_tokens(random.below(6), random.bits());
      REQUIRE(model.prefill(more).has_value());
      committed.insert(committed.end(), more.begin(), more.end());
    } else {
      const token_tree tree = random_tree(random.between(1, 20), random.bits());
      const std::vector<row_type> rows = evaluate(model, tree);
      const std::vector<node_id> path = path_to(tree, static_cast<node_id>(random.below(tree.size())));
      if (action == 2) {
        REQUIRE(model.truncate(model.length()).has_value());  // the pass is dropped
      } else {
        REQUIRE(model.commit(path).has_value());
        for (const token id : tokens_of(tree, path)) committed.push_back(id);
      }
      if (action == 5) CHECK(same_bits(rows[decant::index(path.back())], row_alone(fresh, committed)));
    }
    if (committed.size() > 120) {
      REQUIRE(model.truncate(3).has_value());
      committed.resize(3);
    }
    REQUIRE(model.length() == committed.size());
    std::vector<token> tokens = committed;
    tokens.push_back(random.token_below(71));
    const row_type row = evaluate(model, token_tree(tokens.back()))[0];
    REQUIRE(model.truncate(committed.size()).has_value());
    if (step % 3 == 0) CHECK(same_bits(row, row_alone(fresh, tokens)));
  }
}

TEST_CASE("probes see the nodes they name and sit where they say") {
  tiny_llama shape;
  reference_model model = load(shape);
  const std::vector<token> prompt{3, 4, 5};
  // A probe below node 1 that also sees node 2: as if 2 stood between 1 and the probe, at the position of its own.
  token_tree tree(10);
  const node_id one = tree.append(0, 11);
  const node_id two = tree.append(0, 12);
  const node_id seen[] = {two};
  const node_id probe = tree.append_probe(one, 13, seen, 2);
  const node_id blind = tree.append_probe(one, 13, {}, 2);
  const node_id same = tree.append(one, 13);
  const node_id later = tree.append_probe(one, 13, {}, 9);
  REQUIRE(model.prefill(prompt).has_value());
  const std::vector<row_type> rows = evaluate(model, tree);
  CHECK_FALSE(same_bits(rows[decant::index(probe)], rows[decant::index(same)]));
  CHECK(same_bits(rows[decant::index(blind)], rows[decant::index(same)]));
  CHECK_FALSE(same_bits(rows[decant::index(later)], rows[decant::index(same)]));
  const node_id known[] = {one};
  token_tree missing(1);
  missing.append(0, 2);
  missing.append_probe(0, 3, known);
  const node_id without[] = {0, 2};
  REQUIRE(model.truncate(0).has_value());
  CHECK(model.evaluate(missing, without).code() == error_code::wrong_call_order);
}

TEST_CASE("errors of calls are values and change nothing") {
  tiny_llama shape;
  reference_model model = load(shape, small(1, 10));
  CHECK(model.context_size() == 10);
  CHECK(model.vocab_size() == 71);
  const std::vector<token> prompt{1, 2, 3, 4};
  REQUIRE(model.prefill(prompt).has_value());
  const row_type before = evaluate(model, token_tree(9))[0];
  REQUIRE(model.truncate(4).has_value());
  const std::vector<token> wrong{5, 71};
  const std::vector<token> negative{-1};
  const std::vector<token> long_text(7, 5);
  CHECK(model.prefill(wrong).code() == error_code::invalid_token);
  CHECK(model.prefill(negative).code() == error_code::invalid_token);
  CHECK(model.prefill(long_text).code() == error_code::context_full);
  CHECK(model.truncate(5).code() == error_code::invalid_argument);
  CHECK(model.length() == 4);

  token_tree tree(9);
  tree.append(0, 8);
  tree.append(1, 7);
  const node_id child_first[] = {1};
  const node_id unordered[] = {0, 1, 1};
  const node_id outside[] = {0, 3};
  CHECK(model.evaluate(tree, child_first).code() == error_code::wrong_call_order);
  CHECK(model.evaluate(tree, unordered).code() == error_code::invalid_tree);
  CHECK(model.evaluate(tree, outside).code() == error_code::invalid_tree);
  CHECK(model.evaluate(token_tree(71), token_tree(0).all()).code() == error_code::invalid_token);
  CHECK(model.evaluate(chain({1, 2, 3, 4, 5, 6, 7}), chain({1, 2, 3, 4, 5, 6, 7}).all()).code() ==
        error_code::context_full);

  const node_id root[] = {0};
  CHECK(model.commit(root).code() == error_code::wrong_call_order);  // nothing was evaluated
  REQUIRE(model.evaluate(tree, tree.all()).has_value());
  CHECK(model.evaluate(tree, root).code() == error_code::wrong_call_order);  // twice
  const node_id gap[] = {0, 2};
  const node_id no_root[] = {1, 2};
  CHECK(model.commit(gap).code() == error_code::wrong_call_order);
  CHECK(model.commit(no_root).code() == error_code::wrong_call_order);
  CHECK(model.length() == 4);
  REQUIRE(model.truncate(4).has_value());
  CHECK(same_bits(evaluate(model, token_tree(9))[0], before));
}

TEST_CASE("a context can be filled to its last token") {
  tiny_llama shape;
  reference_model model = load(shape, small(1, 12));
  const std::vector<token> tokens = random_tokens(12, 1);
  REQUIRE(model.prefill(decant::token_span(tokens).first(8)).has_value());
  const token_tree tree = chain({tokens[8], tokens[9], tokens[10], tokens[11]});
  const std::vector<row_type> rows = evaluate(model, tree);
  REQUIRE(model.commit(tree.all()).has_value());
  CHECK(model.length() == 12);
  const node_id root[] = {0};
  CHECK(model.evaluate(token_tree(1), root).code() == error_code::context_full);
  CHECK(model.length() == 12);
  reference_model roomy = load(shape);
  CHECK(same_bits(rows[3], row_alone(roomy, tokens)));
}

TEST_CASE("after warm-up a step of the reference model makes no heap allocation") {
  tiny_llama shape;
  shape.type = tensor_type::q4_1;
  reference_model model = load(shape, small(1));
  const std::vector<token> prompt = random_tokens(9, 1);
  const token_tree tree = random_tree(16, 2);
  const std::vector<node_id> path = path_to(tree, 15);
  const auto step = [&] {
    const bool done = model.truncate(0).has_value() && model.prefill(prompt).has_value() &&
                      model.evaluate(tree, tree.all()).has_value() && model.commit(path).has_value();
    CHECK(done);
  };
  step();
  const auto silent = [&] {
    static_cast<void>(model.truncate(0).has_value() && model.prefill(prompt).has_value() &&
                      model.evaluate(tree, tree.all()).has_value() && model.commit(path).has_value());
  };
  CHECK(decant_test::allocations_of(silent) == 0);
}

namespace {

// The message of loading the shape after `change` was applied to a writer that holds its metadata only.
template <class Change>
std::string refusal(const tiny_llama& shape, Change&& change) {
  decant::gguf_writer writer = shape.writer();
  change(writer);
  const std::vector<std::byte> bytes = writer.bytes();
  const auto file = decant::gguf_file::parse(bytes);
  if (!file) return file.error().message().c_str();
  const auto model = reference_model::load(*file, small());
  return model ? "loaded" : model.error().message().c_str();
}

bool mentions(const std::string& text, const char* word) { return text.find(word) != std::string::npos; }

}  // namespace

TEST_CASE("files that the model cannot run are refused with the culprit's name") {
  const tiny_llama shape;
  const auto nothing = [](decant::gguf_writer&) {};
  REQUIRE(refusal(shape, nothing) == "loaded");
  std::vector<float> four(4, 1.0F);
  CHECK(
      mentions(refusal(shape, [&](auto& w) { w.add_tensor("blk.0.attn_q_norm.weight", tensor_type::f32, {4}, four); }),
               "blk.0.attn_q_norm.weight"));
  CHECK(mentions(refusal(shape, [&](auto& w) { w.add_tensor("rope_freqs.weight", tensor_type::f32, {4}, four); }),
                 "wrong shape of tensor: rope_freqs.weight"));
  CHECK(mentions(refusal(shape, [](auto& w) { w.set("llama.expert_count", std::uint32_t{8}); }), "expert_count"));
  CHECK(mentions(refusal(shape, [](auto& w) { w.set("llama.rope.scaling.type", std::string_view("longrope")); }),
                 "longrope"));
  CHECK(mentions(refusal(shape,
                         [](auto& w) {
                           w.set("llama.rope.scaling.type", std::string_view("yarn"));
                           w.set("llama.rope.scaling.factor", -2.0F);
                         }),
                 "llama.rope.scaling.factor"));
  CHECK(mentions(refusal(shape, [](auto& w) { w.set("llama.rope.dimension_count", std::uint32_t{8}); }),
                 "rope.dimension_count"));
  CHECK(mentions(refusal(shape, [](auto& w) { w.set("llama.vocab_size", std::uint32_t{72}); }), "token_embd.weight"));
  CHECK(mentions(refusal(shape, [](auto& w) { w.set("llama.vocab_size", std::string_view("many")); }),
                 "llama.vocab_size"));

  tiny_llama narrow = shape;
  narrow.head_size = 7;
  CHECK(mentions(refusal(narrow, nothing), "odd"));
  tiny_llama odd = shape;
  odd.key_heads = 4;
  CHECK(mentions(refusal(odd, nothing), "head_count_kv"));

  decant::gguf_writer other;
  other.set("general.architecture", std::string_view("gpt2"));
  const std::vector<std::byte> bytes = other.bytes();
  const auto file = decant::gguf_file::parse(bytes);
  REQUIRE(file.has_value());
  const auto model = reference_model::load(*file);
  CHECK(model.code() == error_code::unsupported);
  CHECK(mentions(model.error().message().c_str(), "gpt2"));
  const std::vector<std::byte> good = shape.bytes();
  const auto good_file = decant::gguf_file::parse(good);
  REQUIRE(good_file.has_value());
  CHECK(reference_model::load(*good_file, small(0)).code() == error_code::invalid_argument);
  CHECK(reference_model::load(*good_file, small(1, std::size_t{1} << 40)).code() == error_code::invalid_argument);
  CHECK(reference_model::load("/nonexistent/model.gguf").code() == error_code::file_unreadable);
}

TEST_CASE("every byte of a small model file may be wrong without a crash") {
  tiny_llama shape;
  shape.layers = 1;
  shape.heads = 2;
  shape.key_heads = 1;
  shape.head_size = 4;
  shape.feed_forward = 8;
  shape.vocabulary = 5;
  const std::vector<std::byte> whole = shape.bytes();
  std::size_t loaded = 0;
  std::size_t refused = 0;
  for (std::size_t at = 0; at < whole.size(); at += at < 1600 ? 1 : 7) {
    std::vector<std::byte> changed = whole;
    changed[at] ^= std::byte{0xFF};
    const auto file = decant::gguf_file::parse(changed);
    if (!file) {
      ++refused;
      continue;
    }
    auto model = reference_model::load(*file, small(1, 4));
    if (!model) {
      ++refused;
      CHECK_FALSE(model.error().detail.empty());
      continue;
    }
    ++loaded;
    const token_tree tree = chain({1, 2, 3});
    CHECK(model->evaluate(tree, tree.all()).has_value());
  }
  CHECK(loaded > 50);
  CHECK(refused > 500);
}

TEST_CASE("rows of the everyday model are batch-invariant on trees, threads and after rollback") {
  const auto path = decant_test::everyday_model_path();
  if (!path) DECANT_SKIP(decant_test::everyday_model_missing);
  auto one = reference_model::load(path->c_str(), small(1, 128));
  auto two = reference_model::load(path->c_str(), small(2, 128));
  REQUIRE(one.has_value());
  REQUIRE(two.has_value());
  const std::vector<token> prompt = random_tokens(30, 1, 49152);
  const token_tree tree = random_tree(12, 2, 49152);
  REQUIRE(two->prefill(prompt).has_value());
  const std::vector<row_type> rows = evaluate(*two, tree);
  for (const node_id n : {0, 5, 11}) {
    std::vector<token> tokens = prompt;
    for (const token id : tokens_of(tree, path_to(tree, n))) tokens.push_back(id);
    CHECK(same_bits(rows[decant::index(n)], row_alone(*one, tokens)));
  }
  const std::vector<node_id> kept = path_to(tree, 11);
  REQUIRE(two->commit(kept).has_value());
  REQUIRE(one->truncate(0).has_value());
  REQUIRE(one->prefill(prompt).has_value());
  REQUIRE(one->prefill(tokens_of(tree, kept)).has_value());
  CHECK(same_bits(evaluate(*two, token_tree(100))[0], evaluate(*one, token_tree(100))[0]));
}

TEST_CASE("the everyday model knows the capital of France") {
  const auto path = decant_test::everyday_model_path();
  if (!path) DECANT_SKIP(decant_test::everyday_model_missing);
  const auto file = decant::gguf_file::open(path->c_str());
  REQUIRE(file.has_value());
  const auto words = file->get<std::vector<std::string_view>>("tokenizer.ggml.tokens");
  REQUIRE(words.has_value());
  const auto id_of = [&](std::string_view word) {
    const auto found = std::find(words->begin(), words->end(), word);
    REQUIRE(found != words->end());
    return static_cast<token>(found - words->begin());
  };
  auto model = reference_model::load(*file, small(2, 64));
  REQUIRE(model.has_value());
  const std::vector<token> prompt{id_of("The"),
                                  id_of("\xC4\xA0"
                                        "capital"),
                                  id_of("\xC4\xA0"
                                        "of"),
                                  id_of("\xC4\xA0"
                                        "France")};
  REQUIRE(model->prefill(prompt).has_value());
  const row_type row = evaluate(*model, token_tree(id_of("\xC4\xA0"
                                                         "is")))[0];
  const auto best = static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin());
  CHECK((*words)[best] ==
        "\xC4\xA0"
        "Paris");
}
