// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the fuzz programs run, over their seeds and over damaged copies of these.
#include <string>
#include <string_view>

#include "fuzz/gguf_target.hpp"
#include "fuzz/packed_weights_target.hpp"
#include "fuzz/tokenizer_target.hpp"
#include "fuzz/utf8_target.hpp"
#include "support/test_kit.hpp"

namespace {

/// Runs one input from memory of exactly its size, so that a sanitizer sees every read beyond it.
template <class Target>
void expect_no_complaint(const std::string& bytes, std::size_t& runs) {
  const std::vector<char> exact(bytes.begin(), bytes.end());
  const char* complaint = Target::check({exact.data(), exact.size()});
  ++runs;
  if (complaint == nullptr) return;
  CAPTURE(bytes);
  FAIL(complaint);
}

/// Every seed, every beginning of it, and it with every byte changed in three ways.
template <class Target>
std::size_t run_over_damaged_seeds() {
  std::size_t runs = 0;
  for (const std::string& seed : Target::seeds()) {
    for (std::size_t size = 0; size <= seed.size(); ++size) expect_no_complaint<Target>(seed.substr(0, size), runs);
    for (std::size_t at = 0; at < seed.size(); ++at) {
      for (const unsigned change : {0x01U, 0x80U, 0xFFU}) {
        std::string damaged = seed;
        damaged[at] = static_cast<char>(static_cast<unsigned char>(damaged[at]) ^ change);
        expect_no_complaint<Target>(damaged, runs);
      }
    }
  }
  return runs;
}

}  // namespace

TEST_CASE("fuzz targets: GGUF files") { CHECK(run_over_damaged_seeds<decant_fuzz::gguf_target>() > 4000); }

TEST_CASE("fuzz targets: packed weights") {
  CHECK(run_over_damaged_seeds<decant_fuzz::packed_weights_target>() > 4000);
}

TEST_CASE("fuzz targets: tokenizers") { CHECK(run_over_damaged_seeds<decant_fuzz::tokenizer_target>() > 4000); }

TEST_CASE("fuzz targets: UTF-8") { CHECK(run_over_damaged_seeds<decant_fuzz::utf8_target>() > 200); }

TEST_CASE("fuzz targets: the seeds are valid") {
  for (const std::string& seed : decant_fuzz::gguf_target::seeds()) {
    CHECK(seed.size() <= 4096);
    const auto file = decant::gguf_file::parse(std::as_bytes(std::span(seed)));
    REQUIRE(file.has_value());
    CHECK(decant::load_tokenizer(*file).has_value());
  }
  std::size_t tokenizers = 0;
  for (const std::string& seed : decant_fuzz::tokenizer_target::seeds()) {
    CHECK(seed.size() <= 4096);
    if (!seed.starts_with("GGUF")) continue;
    const auto file = decant::gguf_file::parse(std::as_bytes(std::span(seed)));
    REQUIRE(file.has_value());
    CHECK(decant::load_tokenizer(*file).has_value());
    ++tokenizers;
  }
  CHECK(tokenizers == 2);
}
