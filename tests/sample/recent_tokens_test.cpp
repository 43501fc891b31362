// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/recent_tokens.hpp>

#include "tests/support/allocation_counter.hpp"
#include "tests/support/random.hpp"
#include "tests/support/test_kit.hpp"

namespace {

using decant::recent_tokens;
using decant::token;
using tokens = std::vector<token>;

tokens held(const recent_tokens& window) { return {window.view().begin(), window.view().end()}; }

/// The last `length`, counted anew.
tokens slow(const tokens& text, std::int32_t length) {
  const std::size_t kept = length < 0 ? text.size() : std::min(text.size(), decant::index(length));
  return {text.end() - static_cast<std::ptrdiff_t>(kept), text.end()};
}

}  // namespace

TEST_CASE("recent tokens are the last of the text, in order") {
  decant_test::random_source random(501);
  for (const std::int32_t length : {-1, 0, 1, 2, 5, 64}) {
    recent_tokens window(length);
    tokens text;
    for (int i = 0; i < 500; ++i) {
      if (i == 100 || i == 203) {
        window.clear();
        text.clear();
      }
      text.push_back(random.token_below(50));
      window.push(text.back());
      CHECK(held(window) == slow(text, length));
    }
  }
}

TEST_CASE("copies of recent tokens live their own lives, whatever they held before") {
  decant_test::random_source random(502);
  recent_tokens used(3);
  for (int round = 0; round < 200; ++round) {
    const auto length = static_cast<std::int32_t>(random.below(8)) - 1;
    recent_tokens original(length);
    for (std::size_t i = random.below(30); i > 0; --i) original.push(random.token_below(9));
    const tokens before = held(original);
    used = original;
    CHECK(used == original);
    recent_tokens twin = original;
    for (std::size_t i = random.below(20); i > 0; --i) {
      const token t = random.token_below(9);
      used.push(t);
      twin.push(t);
    }
    CHECK(held(original) == before);
    CHECK(used == twin);
  }
}

TEST_CASE("recent tokens are equal when no future can tell them apart") {
  const auto after = [](std::int32_t length, const tokens& text) {
    recent_tokens window(length);
    for (const token t : text) window.push(t);
    return window;
  };
  CHECK(after(2, {1, 2, 3, 4, 5, 6}) == after(2, {5, 6}));
  CHECK_FALSE(after(2, {6, 5}) == after(2, {5, 6}));
  CHECK_FALSE(after(3, {5, 6}) == after(2, {5, 6}));
}

TEST_CASE("copying recent tokens onto a used object and pushing allocates nothing") {
  recent_tokens original(16);
  for (token t = 0; t < 40; ++t) original.push(t);
  recent_tokens used = original;
  CHECK(decant_test::allocations_of([&] {
          for (token t = 0; t < 100; ++t) {
            used = original;
            used.push(t);
            original.push(t);
          }
        }) == 0);
}

TEST_CASE("a text ends with its tails") {
  const tokens text{1, 2, 3};
  CHECK(decant::ends_with(text, {}));
  CHECK(decant::ends_with(text, tokens{2, 3}));
  CHECK(decant::ends_with(text, text));
  CHECK_FALSE(decant::ends_with(text, tokens{0, 1, 2, 3}));
  CHECK_FALSE(decant::ends_with(text, tokens{1, 3}));
}

TEST_CASE("a very long history takes no more memory than its tokens") {
  recent_tokens window(std::numeric_limits<std::int32_t>::max());
  for (token t = 0; t < 5000; ++t) window.push(t);
  CHECK(window.view().size() == 5000);
  CHECK(window.view().back() == 4999);
}
