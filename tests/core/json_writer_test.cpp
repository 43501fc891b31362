// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/json_writer.hpp>

#include "tests/support/allocation_counter.hpp"
#include "tests/support/random.hpp"
#include "tests/support/test_kit.hpp"

#include <array>
#include <limits>
#include <string>

#if __has_include(<nlohmann/json.hpp>)
#include <nlohmann/json.hpp>
#define DECANT_TEST_HAS_JSON 1
#else
#define DECANT_TEST_HAS_JSON 0
#endif

namespace {

using decant::json_writer;

std::string text_of(const json_writer& out) { return {out.text().begin(), out.text().end()}; }

template <class Value>
std::string written(Value value) {
  json_writer out;
  out.value(value);
  return text_of(out);
}

std::string quoted(const std::string& text) {
  json_writer out;
  out.string(text.data(), text.size());
  return text_of(out);
}

}  // namespace

TEST_CASE("values are written as JSON spells them") {
  CHECK(written(0) == "0");
  CHECK(written(-7) == "-7");
  CHECK(written(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
  CHECK(written(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
  CHECK(written(std::uint8_t{255}) == "255");
  CHECK(written(true) == "true");
  CHECK(written(false) == "false");
  CHECK(written("text") == "\"text\"");
  CHECK(written(0.5) == "0.5");
  CHECK(written(0.1) == "0.1");
  CHECK(written(0.1f) == "0.10000000149011612");
  CHECK(written(1e300) == "1e+300");
  CHECK(written(-0.0) == "-0");
  CHECK(written(std::numeric_limits<double>::denorm_min()) == "5e-324");
  CHECK(written(std::numeric_limits<double>::quiet_NaN()) == "null");
  CHECK(written(std::numeric_limits<double>::infinity()) == "null");
  CHECK(written(-std::numeric_limits<double>::infinity()) == "null");
}

TEST_CASE("strings are escaped where they must be") {
  CHECK(quoted("") == "\"\"");
  CHECK(quoted("a\"b\\c/") == "\"a\\\"b\\\\c/\"");
  CHECK(quoted(std::string("\0\x01\n\t\x1f\x7f", 6)) == "\"\\u0000\\u0001\\u000a\\u0009\\u001f\x7f\"");
  CHECK(quoted("\xE2\x82\xAC") == "\"\xE2\x82\xAC\"");
}

TEST_CASE("commas are placed by the writer") {
  json_writer out;
  out.begin_object();
  out.field("a", 1).field("b", "x");
  out.key("c")
      .begin_array()
      .value(1)
      .value(2.5)
      .null()
      .begin_object()
      .end_object()
      .begin_array()
      .end_array()
      .end_array();
  out.array_field("d", std::array<int, 3>{1, 2, 3}).array_field("e", std::array<int, 0>{});
  out.field("f", false);
  out.end_object().end_line();
  out.begin_object().end_object().end_line();
  CHECK(text_of(out) == "{\"a\":1,\"b\":\"x\",\"c\":[1,2.5,null,{},[]],\"d\":[1,2,3],\"e\":[],\"f\":false}\n{}\n");
}

TEST_CASE("a cleared writer starts anew, wherever it was") {
  json_writer out;
  out.value(1);
  out.clear();
  CHECK(text_of(out).empty());
  out.value(2);
  CHECK(text_of(out) == "2");
  out.clear();
  out.begin_array().value(1);
  out.clear();
  out.begin_object().end_object();
  CHECK(text_of(out) == "{}");
}

TEST_CASE("writing again allocates nothing") {
  json_writer out;
  const auto write = [&] {
    out.clear();
    out.begin_object().field("a", 0.125).array_field("b", std::array<int, 3>{1, 2, 3}).field("c", "text").end_object();
  };
  write();
  CHECK(decant_test::allocations_of(write) == 0);
}

#if DECANT_TEST_HAS_JSON
TEST_CASE("numbers and strings come back from a parser bit for bit") {
  decant_test::random_source random(7);
  for (int i = 0; i < 2000; ++i) {
    const double number = std::bit_cast<double>(random.bits());
    std::string text;
    for (std::size_t k = random.below(12); k > 0; --k) text += static_cast<char>(random.below(128));
    json_writer out;
    out.begin_object().field("n", number);
    out.key("s").string(text.data(), text.size());
    out.end_object();
    const auto parsed = nlohmann::json::parse(text_of(out));
    CHECK(parsed["s"].get<std::string>() == text);
    if (std::isfinite(number)) {
      CHECK(std::bit_cast<std::uint64_t>(parsed["n"].get<double>()) == std::bit_cast<std::uint64_t>(number));
    } else {
      CHECK(parsed["n"].is_null());
    }
  }
}
#endif
