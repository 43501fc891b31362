// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tests/support/decoding.hpp"

namespace {

using namespace decant_test;

/// One token per string.
struct word_list {
  std::vector<std::string> words;
  [[nodiscard]] std::span<const char> token_bytes(token t) const { return words[decant::index(t)]; }
};

/// A step that emits the next `count` tokens.
struct step_of {
  token_list ids;
  decant::decode_step step;

  step_of(token first, std::size_t count) : ids(count) {
    for (std::size_t i = 0; i < count; ++i) ids[i] = first + static_cast<token>(i);
    step.tokens = ids;
  }
};

/// What a stream shows, step by step, one word per step.
std::vector<std::string> shown(const std::vector<std::string>& words, std::vector<std::size_t> held_back = {}) {
  const word_list list{words};
  decant::text_output output(decant::token_bytes::from(list));
  std::vector<std::string> out;
  held_back.resize(words.size(), 0);
  for (std::size_t i = 0; i < words.size(); ++i) {
    step_of one(static_cast<token>(i), 1);
    one.step.held_back_bytes = held_back[i];
    out.push_back(to_string(output.add(one.step)));
  }
  out.push_back(to_string(output.rest()));
  CHECK(output.rest().empty());
  return out;
}

using strings = std::vector<std::string>;

}  // namespace

TEST_CASE("text comes in whole characters") {
  CHECK(shown({"a", "bc"}) == strings{"a", "bc", ""});
  CHECK(shown({"\xC3", "\xA9"}) == strings{"", "\xC3\xA9", ""});
  CHECK(shown({"x\xE2", "\x82", "\xACy"}) == strings{"x", "", "\xE2\x82\xACy", ""});
  CHECK(shown({"\xF0\x9F", "\x98", "\x80", "z"}) == strings{"", "", "\xF0\x9F\x98\x80", "z", ""});
  CHECK(shown({"\xF0\x9F\x98", "\x80\xF0"}) == strings{"", "\xF0\x9F\x98\x80", "\xF0"});
}

TEST_CASE("bytes that are no characters are not held for ever") {
  CHECK(shown({"\x80", "a"}) == strings{"\x80", "a", ""});
  CHECK(shown({"\xBF\xBF\xBF\xBF", "a"}) == strings{"\xBF\xBF\xBF\xBF", "a", ""});
  CHECK(shown({"\xE2", "a"}) == strings{"",
                                        "\xE2"
                                        "a",
                                        ""});
  CHECK(shown({"\xFF", "\xFF", "\x80\x80\x80"}) == strings{"", "\xFF", "\xFF\x80\x80\x80", ""});
}

TEST_CASE("bytes that may begin a stop string are held back") {
  CHECK(shown({"ab", "c", "d"}, {1, 2, 0}) == strings{"a", "", "bcd", ""});
  CHECK(shown({"ab"}, {2}) == strings{"", "ab"});
  CHECK(shown({"\xE2\x82\xAC"}, {1}) == strings{"", "\xE2\x82\xAC"});
  CHECK(shown({"a"}, {9}) == strings{"", "a"});
}

TEST_CASE("the end of a sequence drops the stop string and shows the rest") {
  const word_list list{{"he", "ll", "o!", "\xE2"}};
  decant::text_output output(decant::token_bytes::from(list));
  step_of first(0, 2);
  first.step.held_back_bytes = 2;
  CHECK(to_string(output.add(first.step)) == "he");
  step_of last(2, 1);
  last.step.finish = finish_reason::stop_string;
  last.step.dropped_bytes = 3;
  CHECK(to_string(output.add(last.step)) == "l");
  CHECK(output.rest().empty());
  step_of cut(3, 1);
  cut.step.finish = finish_reason::token_limit;
  CHECK(to_string(output.add(cut.step)) == "\xE2");
  output.reset();
  CHECK(to_string(output.add(first.step)) == "he");
  output.reset();
  CHECK(output.rest().empty());
}

TEST_CASE("stop strings end where a naive matcher ends, and nothing of them is ever shown") {
  random_source random(4);
  std::size_t found = 0;
  for (int round = 0; round < 4000; ++round) {
    // Few letters, so that strings overlap themselves and each other; bytes of characters too.
    const std::string letters = round % 3 == 0 ? "ab" : round % 3 == 1 ? "abc" : "a\xE2\x82\xAC";
    const auto word = [&](std::size_t longest) {
      std::string out;
      for (std::size_t i = random.between(0, longest); i > 0; --i) out += letters[random.below(letters.size())];
      return out;
    };
    decant::stop_strings stops;
    naive_stops naive;
    for (std::size_t i = random.between(1, 4); i > 0; --i) {
      const std::string stop = word(6);
      stops.add(std::span<const char>(stop.data(), stop.size()));
      if (!stop.empty()) naive.strings.push_back(stop);
    }
    CHECK(stops.empty() == naive.strings.empty());
    word_list list;
    for (int i = 0; i < 16; ++i) list.words.push_back(word(4));
    decant::text_output output(decant::token_bytes::from(list));
    decant::stop_strings::state state;
    stops.reset(state);
    std::string text;
    std::string all;
    bool stopped = false;
    for (token t = 0; t < 16 && !stopped;) {
      step_of step(t, std::min<std::size_t>(random.between(1, 3), static_cast<std::size_t>(16 - t)));
      std::size_t used = 0;
      while (used < step.ids.size() && !stopped) {
        const std::span<const char> bytes = list.token_bytes(step.ids[used++]);
        all.append(bytes.begin(), bytes.end());
        step.step.dropped_bytes = stops.feed(state, bytes);
        stopped = step.step.dropped_bytes > 0;
        REQUIRE(naive.feed(bytes) == stopped);
      }
      step.ids.resize(used);
      step.step.tokens = step.ids;
      step.step.finish = stopped ? finish_reason::stop_string : finish_reason::none;
      step.step.held_back_bytes = stopped ? 0 : decant::stop_strings::held_back(state);
      t += static_cast<token>(used);
      text += to_string(output.add(step.step));
      REQUIRE(naive.text.compare(0, text.size(), text) == 0);
    }
    text += to_string(output.rest());
    REQUIRE(text == naive.text);
    found += stopped;
  }
  CHECK(found > 1000);
  CHECK(found < 3500);
}

TEST_CASE("of stop strings that end together the longest counts") {
  decant::stop_strings stops;
  for (const char* stop : {"b", "ab", "xab"})
    stops.add(std::span<const char>(stop, std::char_traits<char>::length(stop)));
  decant::stop_strings::state state;
  stops.reset(state);
  const std::string text = "zxabc";
  CHECK(stops.feed(state, std::span<const char>(text.data(), text.size())) == 4);
  stops.reset(state);
  CHECK(stops.feed(state, std::span<const char>("a", 1)) == 0);
  CHECK(decant::stop_strings::held_back(state) == 1);
  CHECK(stops.feed(state, std::span<const char>("b", 1)) == 2);
}
