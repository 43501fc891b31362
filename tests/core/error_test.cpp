// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/error.hpp>

#include "tests/support/test_kit.hpp"

#include <cstdint>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <string_view>

namespace {

using decant::error;
using decant::error_code;
using decant::fixed_text;
using decant::result;

result<int> half(int value) {
  if (value % 2 != 0) return error(error_code::invalid_argument, "odd");
  return value / 2;
}

/// Counts how many objects live, so that a forgotten or doubled destruction shows.
struct counted {
  static inline int alive = 0;
  counted() { ++alive; }
  counted(const counted&) { ++alive; }
  counted(counted&&) noexcept { ++alive; }
  counted& operator=(const counted&) = default;
  counted& operator=(counted&&) noexcept = default;
  ~counted() { --alive; }
};

}  // namespace

TEST_CASE("every error code has a sentence of its own") {
  std::set<std::string_view> sentences;
  const auto count = static_cast<int>(error_code::count_);
  for (int code = 0; code < count; ++code) sentences.insert(decant::sentence(static_cast<error_code>(code)));
  CHECK(sentences.size() == static_cast<std::size_t>(count));
  CHECK(sentences.count("unknown error") == 0);
  CHECK(decant::sentence(error_code::count_) == std::string_view("unknown error"));
}

TEST_CASE("sentences start in lower case and end without a full stop") {
  for (int code = 0; code < static_cast<int>(error_code::count_); ++code) {
    const std::string_view text = decant::sentence(static_cast<error_code>(code));
    CAPTURE(text);
    CHECK(text.front() >= 'a');
    CHECK(text.front() <= 'z');
    CHECK(text.back() != '.');
  }
}

TEST_CASE("a message joins sentence and detail by a colon") {
  CHECK(error(error_code::cancelled).message().c_str() == std::string("the caller asked to stop"));
  CHECK(error(error_code::file_truncated, "model.gguf").message().c_str() ==
        std::string("the file is truncated: model.gguf"));
}

TEST_CASE("fixed text is cut at its capacity") {
  fixed_text<5> text("abc");
  text.append("defgh");
  CHECK(text.size() == 5);
  CHECK(text.c_str() == std::string("abcde"));
  text.append("x", 1);
  CHECK(text.c_str() == std::string("abcde"));
}

TEST_CASE("fixed text writes numbers as std::to_string does") {
  for (const std::int64_t number : {std::int64_t{0}, std::int64_t{7}, std::int64_t{-10}, std::int64_t{1234567890123},
                                    std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()})
    CHECK(fixed_text<30>().append_number(number).c_str() == std::to_string(number));
}

TEST_CASE("messages are constant expressions") {
  static_assert(error(error_code::invalid_token, fixed_text<118>("token ").append_number(7)).message().size() == 52);
  CHECK(error(error_code::invalid_token, fixed_text<118>("token ").append_number(7)).message().c_str() ==
        std::string("a token id is not below the vocabulary size: token 7"));
}

TEST_CASE("a result holds a value or an error") {
  const result<int> good = half(8);
  REQUIRE(good.has_value());
  CHECK(*good == 4);
  CHECK(good.code() == error_code::none);

  const result<int> bad = half(7);
  REQUIRE_FALSE(bad.has_value());
  CHECK(bad.code() == error_code::invalid_argument);
  CHECK(bad.error().detail.c_str() == std::string("odd"));
}

TEST_CASE("a result of void is a success unless it holds an error") {
  CHECK(result<void>{}.has_value());
  CHECK(result<void>{error_code::context_full}.code() == error_code::context_full);
}

TEST_CASE("a result moves what cannot be copied") {
  result<std::unique_ptr<int>> first = std::make_unique<int>(5);
  result<std::unique_ptr<int>> second = std::move(first);
  REQUIRE(second.has_value());
  CHECK(**second == 5);
  CHECK(*std::move(second).value_or_throw() == 5);
}

TEST_CASE("a result destroys its value exactly once") {
  counted::alive = 0;
  {
    result<counted> a = counted{};
    result<counted> b = a;
    CHECK(counted::alive == 2);
    b = error_code::cancelled;
    CHECK(counted::alive == 1);
    b = a;
    CHECK(counted::alive == 2);
    a = std::move(b);
    CHECK(a.has_value());
  }
  CHECK(counted::alive == 0);
}

TEST_CASE("value_or_throw throws the error as an exception") {
  CHECK(half(8).value_or_throw() == 4);
  try {
    (void)half(7).value_or_throw();
    FAIL("nothing was thrown");
  } catch (const decant::decant_error& failure) {
    CHECK(failure.value().code == error_code::invalid_argument);
    CHECK(failure.what() == std::string("a parameter is outside its range: odd"));
  }
}
