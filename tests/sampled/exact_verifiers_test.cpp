// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every exact verifier keeps the target's law on vocabularies of 1,000 and 32,000, with float rows, real samplers and
// the production chance source. Seeds are fixed; see support/sampled_cases.hpp for the probability of a false alarm.
// `sampled_laws` runs the same with many more samples.
#include "tests/sampled/support/sampled_cases.hpp"

namespace decant_test {
namespace {

/// Compares the texts of one verifier, of which there must be at least `expected`.
void check_texts(const std::string& verifier, std::size_t expected) {
  const auto worlds = sampled_worlds();
  std::vector<law_of_text> laws;
  for (const sampled_world& world : worlds) laws.emplace_back(world);
  std::size_t texts = 0;
  for (const sampled_case& one : sampled_cases()) {
    if (one.nightly || one.verifier != verifier) continue;
    const std::uint64_t seed = 1000 + texts++;
    const sampled_text text = decode_text(worlds[one.world], one, one.passes, seed);
    const sampled_report seen = laws[one.world].compare(text, sampled_alpha);
    INFO(one.verifier << ", " << one.builder << ", V = " << worlds[one.world].vocab_size() << ", "
                      << worlds[one.world].by.name << ": " << seen.describe());
    CHECK(seen.agrees(sampled_alpha));
    CHECK(text.starts.size() == one.passes);
    CHECK(seen.tokens_per_pass > 1.02);  // the drafts are of some use, else nothing has been tested
  }
  CHECK(texts >= expected);
}

}  // namespace

TEST_CASE("texts by match have the target's law") { check_texts("match", 10); }
TEST_CASE("texts by drafter-invariant verification have the target's law") { check_texts("drafter_invariant", 9); }
TEST_CASE("texts by speculative sampling have the target's law") { check_texts("speculative_sampling", 7); }
TEST_CASE("texts by block verification have the target's law") { check_texts("block_verification", 5); }
TEST_CASE("texts by recursive rejection have the target's law") { check_texts("recursive_rejection", 22); }
TEST_CASE("texts by traversal have the target's law") { check_texts("traversal", 19); }
TEST_CASE("texts by membership have the target's law") { check_texts("membership", 9); }
TEST_CASE("texts by K-SEQ have the target's law") { check_texts("k_seq", 5); }
TEST_CASE("texts by random-order rejection have the target's law") { check_texts("random_order", 9); }
TEST_CASE("texts by the canonical decomposition have the target's law") { check_texts("canonical_decomposition", 9); }

TEST_CASE("all sampled tests together raise a false alarm with a probability of at most 1e-6") {
  const auto tests = static_cast<double>(sampled_report::tests.size() * sampled_cases().size());
  CHECK(tests > 300);
  CHECK(tests * sampled_alpha <= 0.9e-6);  // the rest is for the draws of draws_test.cpp
}

}  // namespace decant_test
