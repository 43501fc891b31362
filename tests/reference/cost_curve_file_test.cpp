// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/reference/cost_curve_file.hpp>
#include <decant/reference/user_cache.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "support/random.hpp"
#include "support/run_program.hpp"
#include "support/test_kit.hpp"

namespace {

using namespace decant;
using decant_test::scratch_folder;

cost_key some_key() { return {98'362'432, 0x1F2E3D4C5B6A7988, 2, "avx2", "0.1.0"}; }

pass_costs some_costs() { return {0.0088, 256, {{{1, 1.0}, {2, 1.0 / 3 + 1}, {64, 19.25}}}}; }

std::string some_text() { return write_pass_costs(some_key(), some_costs()); }

error_code code_of(const std::string& text) { return parse_pass_costs(text, some_key()).code(); }

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const std::size_t at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), by);
}

/// Sets an environment variable while it lives.
class environment {
 public:
  environment(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old, was_set_ = true;
    value == nullptr ? ::unsetenv(name) : ::setenv(name, value, 1);
  }
  environment(const environment&) = delete;
  environment& operator=(const environment&) = delete;
  ~environment() { was_set_ ? ::setenv(name_, old_.c_str(), 1) : ::unsetenv(name_); }

 private:
  const char* name_;
  std::string old_;
  bool was_set_ = false;
};

}  // namespace

TEST_CASE("costs: what is written is read back, to the last bit") {
  const auto read = parse_pass_costs(some_text(), some_key());
  REQUIRE(read.has_value());
  CHECK(*read == some_costs());
  CHECK(some_text() ==
        "decant pass costs 1\nmodel 98362432 1f2e3d4c5b6a7988\nsetup 2 avx2 0.1.0\nplain 0.0088 256\n"
        "nodes 1 1\nnodes 2 1.3333333333333333\nnodes 64 19.25\n");
}

TEST_CASE("costs of another model, thread count, instruction set or version are refused") {
  for (const auto& [what, by] :
       {std::pair{"98362432", "98362433"}, std::pair{"7988", "7989"}, std::pair{"setup 2", "setup 3"},
        std::pair{"avx2", "avx512"}, std::pair{"0.1.0", "0.2.0"}}) {
    CHECK(code_of(replaced(some_text(), what, by)) == error_code::invalid_argument);
  }
}

TEST_CASE("costs: every damaged line is an error with its number") {
  struct damage {
    const char* what;
    const char* by;
    const char* detail;
  };
  for (const damage& d :
       {damage{"costs 1", "costs 2", "line 1"}, damage{"plain 0.0088", "plain x", "line 4"},
        damage{"plain 0.0088", "plain -1", "line 4"}, damage{"plain 0.0088", "plain nan", "line 4"},
        damage{"plain 0.0088", "plain inf", "line 4"}, damage{" 256", "", "line 4"}, damage{" 256", " 256 1", "line 4"},
        damage{" 256", " -256", "line 4"}, damage{"nodes 2 1", "nodes 2  1", "line 6"},
        damage{"nodes 64", "knots 64", "line 7"}, damage{"nodes 64", "nodes 99999999999999999999", "line 7"},
        damage{"19.25", "19.25.", "line 7"}, damage{"19.25", "1e999", "line 7"},
        damage{"nodes 1 1", "nodes 1 2", "begins with"}, damage{"nodes 64", "nodes 2", "ascending"},
        damage{"19.25", "1.25", "fall"}, damage{"19.25", "nan", "fall"}, damage{"19.25", "inf", "fall"}}) {
    const auto read = parse_pass_costs(replaced(some_text(), d.what, d.by), some_key());
    INFO(d.what << " -> " << d.by);
    CHECK(read.code() == error_code::file_malformed);
    CHECK(decant_test::contains(read.error().message().c_str(), d.detail));
  }
}

TEST_CASE("costs: no cut, flipped or random bytes do any harm") {
  const std::string whole = some_text();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto read = parse_pass_costs(std::string_view(whole).substr(0, size), some_key());
    if (read) CHECK(read->curve.check().has_value());
  }
  decant_test::random_source random(2);
  for (int trial = 0; trial < 5000; ++trial) {
    std::string text = whole;
    for (std::size_t i = random.between(1, 4); i > 0; --i) {
      text[random.below(text.size())] = static_cast<char>(random.below(256));
    }
    const auto read = parse_pass_costs(text, some_key());
    if (read) CHECK(read->curve.check().has_value());
  }
}

TEST_CASE("costs: files are saved and loaded, folders made, and whatever is in the way is an error") {
  const scratch_folder scratch;
  const std::filesystem::path folder = scratch.file("");
  const std::filesystem::path path = folder / "new" / "folder" / cost_file_name(some_key());
  CHECK(load_pass_costs(path, some_key()).code() == error_code::file_unreadable);
  REQUIRE(save_pass_costs(path, some_key(), some_costs()).has_value());
  const auto read = load_pass_costs(path, some_key());
  REQUIRE(read.has_value());
  CHECK(*read == some_costs());
  CHECK(std::distance(std::filesystem::directory_iterator(path.parent_path()), {}) == 1);
  CHECK(load_pass_costs(path.parent_path(), some_key()).code() == error_code::file_unreadable);
  const std::string plain = scratch.file("plain", "x");
  CHECK_FALSE(save_pass_costs(std::filesystem::path(plain) / "below", some_key(), some_costs()).has_value());
  const std::string long_file = scratch.file("long", std::string(70'000, 'x'));
  CHECK(load_pass_costs(long_file, some_key()).code() == error_code::file_too_large);
  const std::string empty = scratch.file("empty", "");
  CHECK(load_pass_costs(empty, some_key()).code() == error_code::file_malformed);
}

TEST_CASE("costs: a key follows the file's size and beginning, and the setup") {
  const scratch_folder scratch;
  const auto key_of = [&](const std::string& content, std::size_t threads = 2) {
    const auto key = make_cost_key(scratch.file("model", content), threads, "scalar");
    REQUIRE(key.has_value());
    return *key;
  };
  const cost_key key = key_of("abc");
  CHECK(key.model_bytes == 3);
  CHECK(key_of("abc") == key);
  for (const cost_key& other : {key_of("abd"), key_of("abcd"), key_of("abc", 3)}) {
    CHECK_FALSE(other == key);
    CHECK(cost_file_name(other) != cost_file_name(key));
  }
  CHECK(make_cost_key(scratch.file("missing"), 2, "scalar").code() == error_code::file_unreadable);
}

TEST_CASE("the user's cache folder follows the environment") {
  const environment xdg("XDG_CACHE_HOME", "/xdg");
  const environment home("HOME", "/home/someone");
  {
    const environment own("DECANT_CACHE", "/own");
    CHECK(user_cache_folder() == "/own");
  }
  const environment no_own("DECANT_CACHE", nullptr);
  CHECK(user_cache_folder() == "/xdg/decant");
  const environment no_xdg("XDG_CACHE_HOME", "");
  CHECK(user_cache_folder() == "/home/someone/.cache/decant");
  const environment no_home("HOME", nullptr);
  CHECK(user_cache_folder().empty());
}
