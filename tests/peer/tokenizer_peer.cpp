// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Token ids against those of llama.cpp: on random text of all scripts for every family of vocabularies, and on the
// prompts of Spec-Bench for the everyday model.
#include <decant/reference/tokenizer.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "peer/llama_vocabulary.hpp"
#include "support/everyday_model.hpp"
#include "support/random_text.hpp"
#include "support/run_program.hpp"
#include "support/test_kit.hpp"
#include "support/vocabularies.hpp"

namespace {

using decant::token;
using decant::tokenizer;
using decant_test::llama_vocabulary;

constexpr int random_texts = 10'000;

/// One file, read by both.
struct both {
  tokenizer ours;
  llama_vocabulary theirs;

  explicit both(const std::string& path)
      : ours(decant::load_tokenizer(decant::gguf_file::open(path.c_str()).value_or_throw()).value_or_throw()),
        theirs(path) {}

  /// How many of the two readings of a text, plain and as markup, give different ids.
  [[nodiscard]] std::size_t differences(std::string_view text) const {
    std::size_t count = 0;
    for (const bool is_markup : {false, true}) {
      auto encoded = (is_markup ? ours.encode_markup(text) : ours.encode(text)).value_or_throw();
      // What has no token is unknown here; there it vanishes. No text names the unknown token.
      encoded.erase(std::remove(encoded.begin(), encoded.end(), ours.words().unknown()), encoded.end());
      const auto expected = theirs.encode(text, is_markup);
      if (encoded == expected) continue;
      ++count;
      INFO("text: " << text << (is_markup ? " (markup)" : ""));
      CHECK(encoded == expected);
    }
    return count;
  }
};

/// Compares random texts; stops at the fifth that differs.
void compare_random_texts(const both& pair, std::uint64_t seed, int count = random_texts) {
  decant_test::random_source random(seed);
  std::size_t differing = 0;
  for (int i = 0; i < count && differing < 5; ++i) {
    differing += pair.differences(decant_test::random_text(random, 60));
  }
  CHECK(differing == 0);
}

void compare_tokens(const both& pair) {
  REQUIRE(pair.ours.words().size() == pair.theirs.size());
  std::size_t differing = 0;
  for (std::size_t i = 0; i < pair.theirs.size(); ++i) {
    const auto id = static_cast<token>(i);
    const bool equal = pair.ours.words().bytes(id) == pair.theirs.piece(id) &&
                       pair.ours.words().ends_generation(id) == pair.theirs.ends_generation(id);
    if (!equal) ++differing;
  }
  CHECK(differing == 0);
}

}  // namespace

TEST_CASE("peer: generated vocabularies give the ids of llama.cpp") {
  const decant_test::scratch_folder folder;
  for (const decant_test::named_vocabulary& vocabulary : decant_test::generated_vocabularies()) {
    CAPTURE(vocabulary.name);
    const std::string path = folder.file(vocabulary.name);
    REQUIRE(vocabulary.file.writer().write(path.c_str()).has_value());
    const both pair(path);
    compare_tokens(pair);
    compare_random_texts(pair, 1);
  }
}

TEST_CASE("peer: every pre-tokenizer that the library knows splits as llama.cpp's of the same name") {
  const decant_test::scratch_folder folder;
  for (const decant::pre_tokenizer_rule& rule : decant::pre_tokenizer_rules) {
    CAPTURE(std::string(rule.name));
    const std::string path = folder.file("vocabulary");
    REQUIRE(decant_test::byte_level_vocabulary(rule.name).writer().write(path.c_str()).has_value());
    compare_random_texts(both(path), 3, 1000);
  }
}

TEST_CASE("peer: the everyday model gives the ids of llama.cpp") {
  const auto path = decant_test::everyday_model_path();
  if (!path) DECANT_SKIP(decant_test::everyday_model_missing);
  const both pair(*path);
  compare_tokens(pair);
  compare_random_texts(pair, 2);
}

TEST_CASE("peer: the everyday model gives the ids of llama.cpp on the prompts of Spec-Bench") {
  const auto path = decant_test::everyday_model_path();
  if (!path) DECANT_SKIP(decant_test::everyday_model_missing);
  std::ifstream file(DECANT_SHARED_DATA_DIR "/spec-bench-dev.jsonl");
  if (!file) DECANT_SKIP("there are no prompts of Spec-Bench beside the project");
  const both pair(*path);
  std::size_t compared = 0;
  for (std::string line; std::getline(file, line);) {
    const nlohmann::json question = nlohmann::json::parse(line);
    for (const std::string turn : question.at("turns")) {
      CHECK(pair.differences(turn) == 0);
      ++compared;
    }
  }
  CHECK(compared > 0);
}
