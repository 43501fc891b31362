// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/draft/prompt_lookup.hpp>

#include "tests/support/allocation_counter.hpp"
#include "tests/support/random.hpp"
#include "tests/support/test_kit.hpp"

using namespace decant;
using namespace decant_test;

namespace {

using tokens = std::vector<token>;

tokens random_text(random_source& random, std::size_t size, std::size_t vocab_size) {
  tokens text(size);
  for (token& t : text) t = random.token_below(vocab_size);
  return text;
}

/// The draft after everything the drafter knows, which must be `text`.
template <std::size_t Branches>
token_tree draft_of(prompt_lookup<Branches>& drafter, const tokens& text, draft_limits limits,
                    std::size_t vocab_size = 1000) {
  token_draft<float> draft;
  draft.reset(text.back());
  philox_chance chance;
  REQUIRE(drafter.start(draft, draft_site{text, limits, vocab_size}, chance).has_value());
  REQUIRE(drafter.run(draft, chance).has_value());
  CHECK(drafter.wanted().empty());
  return draft.tree;
}

/// The draft of a fresh drafter, as a chain.
tokens chain_after(const tokens& text, prompt_lookup_settings settings, std::int32_t limit,
                   std::size_t vocab_size = 1000) {
  prompt_lookup<> drafter(settings);
  REQUIRE(drafter.extend(text).has_value());
  const token_tree tree = draft_of(drafter, text, {limit, limit}, vocab_size);
  REQUIRE(tree.is_chain());
  tokens drafted;
  tree.path_tokens(static_cast<node_id>(tree.size()) - 1, drafted);
  return drafted;
}

struct occurrence {
  std::size_t source;
  std::size_t length;
};

/// All earlier places that agree with the end of the text over at least `min_match` tokens, most recent first, each
/// with the number of tokens it agrees over, at most `max_match`. The definition, without an index.
std::vector<occurrence> scan(const tokens& text, const prompt_lookup_settings& settings) {
  std::vector<occurrence> found;
  for (std::size_t source = text.size() - 1; source >= 1; --source) {
    std::size_t length = 0;
    while (length < source && length < index(settings.max_match) &&
           text[source - 1 - length] == text[text.size() - 1 - length]) {
      ++length;
    }
    if (length >= index(settings.min_match)) found.push_back({source, length});
  }
  return found;
}

/// The best of them by the policy of the settings.
tokens scanned_chain(const tokens& text, const prompt_lookup_settings& settings, std::size_t limit) {
  const std::vector<occurrence> found = scan(text, settings);
  if (found.empty()) return {};
  occurrence best = found[0];
  for (const occurrence& other : found) {
    if (settings.choice == match_choice::longest && other.length > best.length) best = other;
  }
  tokens copied;
  for (std::size_t i = 0; i < limit; ++i) {
    const std::size_t from = best.source + i;
    if (from >= text.size() && !settings.overlap) break;
    copied.push_back(from < text.size() ? text[from] : copied[from - text.size()]);
  }
  return copied;
}

}  // namespace

TEST_CASE("lookup of 1 2 3 4 2 3") {
  const tokens text{1, 2, 3, 4, 2, 3};
  CHECK(chain_after(text, {.min_match = 2, .max_match = 3, .overlap = false}, 4) == tokens{4, 2, 3});
  CHECK(chain_after(text, {.min_match = 2, .max_match = 3}, 3) == tokens{4, 2, 3});
  CHECK(chain_after(text, {.min_match = 2, .max_match = 3}, 7) == tokens{4, 2, 3, 4, 2, 3, 4});
  CHECK(chain_after(text, {.min_match = 3, .max_match = 3}, 7).empty());
}

TEST_CASE("an index taken back equals an index never extended") {
  ngram_index grown(2, 4);
  grown.extend(tokens{7, 8, 7, 8, 7});
  grown.truncate(3);
  grown.extend(tokens{8});
  ngram_index fresh(2, 4);
  fresh.extend(tokens{7, 8, 7, 8});
  CHECK(grown == fresh);
  CHECK(fresh.before(3) == 1);
  CHECK(fresh.before(1) == -1);
  ngram_index longer(2, 4);
  longer.extend(tokens{7, 8, 7, 8, 7});
  CHECK_FALSE(grown == longer);
}

TEST_CASE("random extensions and truncations leave the index of the text") {
  random_source random(3);
  for (int round = 0; round < 60; ++round) {
    const auto order = static_cast<std::int32_t>(random.between(1, 5));
    ngram_index index(order, 6);
    tokens text;
    for (int step = 0; step < 30; ++step) {
      if (random.coin(0.6)) {
        const tokens more = random_text(random, random.between(0, 9), 3);
        index.extend(more);
        text.insert(text.end(), more.begin(), more.end());
      } else {
        const std::size_t size = random.between(0, text.size());
        index.truncate(size);
        text.resize(size);
      }
      ngram_index fresh(order, 6);
      fresh.extend(text);
      REQUIRE(index == fresh);
      REQUIRE(std::equal(text.begin(), text.end(), index.text().begin(), index.text().end()));
    }
  }
}

TEST_CASE("prompt lookup drafts what a scan of the text finds") {
  random_source random(4);
  std::size_t drafted = 0;
  for (int round = 0; round < 400; ++round) {
    prompt_lookup_settings settings;
    settings.min_match = static_cast<std::int32_t>(random.between(1, 3));
    settings.max_match = static_cast<std::int32_t>(random.between(index(settings.min_match), 6));
    settings.candidates = 1000;
    settings.choice = random.coin() ? match_choice::longest : match_choice::most_recent;
    settings.overlap = random.coin();
    settings.index_bits = 4;  // many collisions, which must not be taken for matches
    REQUIRE(settings.check().has_value());
    const tokens text = random_text(random, random.between(1, 60), random.between(1, 6));
    const std::size_t limit = random.between(0, 12);
    const tokens expected = scanned_chain(text, settings, limit);
    CHECK(chain_after(text, settings, static_cast<std::int32_t>(limit)) == expected);
    drafted += expected.size();
  }
  CHECK(drafted > 1000);
}

TEST_CASE("the length of the match is reported") {
  prompt_lookup<> drafter({.min_match = 2, .max_match = 3});
  const tokens text{9, 1, 2, 3, 4, 5, 1, 2, 3};
  CHECK(drafter.match_length() == 0);
  REQUIRE(drafter.extend(text).has_value());
  (void)draft_of(drafter, text, {4, 4});
  CHECK(drafter.match_length() == 3);
  const tokens more{9, 1, 2, 3, 4, 5, 1, 2, 3, 7};
  REQUIRE(drafter.extend(tokens{7}).has_value());
  CHECK(draft_of(drafter, more, {4, 4}).size() == 1);
  CHECK(drafter.match_length() == 0);
}

TEST_CASE("the longest match wins over a later shorter one, and the later one when asked for") {
  //                 longest match (1 2 3)   later match (2 3)
  const tokens text{1, 2, 3, 4, 4, 4, 9, 2, 3, 5, 5, 5, 1, 2, 3};
  CHECK(chain_after(text, {.min_match = 2}, 3) == tokens{4, 4, 4});
  CHECK(chain_after(text, {.min_match = 2, .choice = match_choice::most_recent}, 3) == tokens{5, 5, 5});
  CHECK(chain_after(text, {.min_match = 2, .candidates = 1}, 3) == tokens{5, 5, 5});
}

TEST_CASE("both limits and the vocabulary bound a lookup draft") {
  const tokens text{1, 2, 30, 4, 1, 2};
  prompt_lookup<> drafter;
  REQUIRE(drafter.extend(text).has_value());
  for (std::int32_t nodes = 0; nodes < 6; ++nodes) {
    for (std::int32_t depth = 0; depth < 6; ++depth) {
      CHECK(draft_of(drafter, text, {nodes, depth}).size() == index(std::min(nodes, depth)) + 1);
    }
  }
  // The token 30 ends the draft where the vocabulary is smaller.
  CHECK(chain_after(text, {}, 4) == tokens{30, 4, 1, 2});
  CHECK(chain_after(text, {}, 4, 30).empty());
  CHECK(chain_after({1, 2, 3, 30, 1, 2}, {}, 4, 30) == tokens{3});
  CHECK(chain_after({1, 2, -5, 1, 2}, {}, 4).empty());
}

TEST_CASE("several branches draft different next tokens, best match first") {
  const tokens text{1, 2, 3, 4, 8, 1, 2, 3, 5, 9, 2, 3, 6, 0, 9, 9, 1, 2, 3};
  prompt_lookup<3> drafter({.min_match = 2});
  REQUIRE(drafter.extend(text).has_value());
  const auto children = [](const token_tree& tree) {
    tokens found;
    for (node_id c = tree.first_child(0); c != no_node; c = tree.next_sibling(c)) found.push_back(tree.token_of(c));
    return found;
  };
  // The two matches of three tokens come first, the more recent before the other.
  const token_tree nine = draft_of(drafter, text, {9, 9});
  CHECK(children(nine) == tokens{5, 4, 6});
  CHECK(nine.size() == 10);
  for (const node_id n : nine.all()) CHECK(nine.depth(n) <= 3);  // grown evenly
  CHECK(nine.validate(1000, 0, true).has_value());
  CHECK(children(draft_of(drafter, text, {2, 9})) == tokens{5, 4});
  CHECK(draft_of(drafter, text, {9, 1}).size() == 4);

  prompt_lookup<2> two({.min_match = 2});
  REQUIRE(two.extend(text).has_value());
  CHECK(children(draft_of(two, text, {8, 8})) == tokens{5, 4});

  // A repetition has one continuation, so it takes no second branch.
  const tokens loop{1, 2, 1, 2, 1, 2, 1, 2};
  prompt_lookup<3> looped;
  REQUIRE(looped.extend(loop).has_value());
  CHECK(draft_of(looped, loop, {6, 6}).is_chain());
}

TEST_CASE("branches are the best matches of each next token") {
  random_source random(12);
  for (int round = 0; round < 300; ++round) {
    prompt_lookup_settings settings{.min_match = 1, .max_match = 4, .candidates = 1000, .index_bits = 4};
    settings.choice = random.coin() ? match_choice::longest : match_choice::most_recent;
    const tokens text = random_text(random, random.between(2, 50), 5);
    std::vector<occurrence> best;
    for (const occurrence& found : scan(text, settings)) {
      const auto rival = std::find_if(
          best.begin(), best.end(), [&](const occurrence& other) { return text[other.source] == text[found.source]; });
      if (rival == best.end()) {
        best.push_back(found);
      } else if (settings.choice == match_choice::longest && found.length > rival->length) {
        *rival = found;
      }
    }
    std::stable_sort(best.begin(), best.end(), [&](const occurrence& a, const occurrence& b) {
      if (settings.choice == match_choice::longest && a.length != b.length) return a.length > b.length;
      return a.source > b.source;
    });
    tokens expected;
    for (std::size_t i = 0; i < std::min<std::size_t>(3, best.size()); ++i) expected.push_back(text[best[i].source]);

    prompt_lookup<3> drafter(settings);
    REQUIRE(drafter.extend(text).has_value());
    const token_tree tree = draft_of(drafter, text, {3, 1});
    tokens found;
    for (const node_id n : tree.all().subspan(1)) found.push_back(tree.token_of(n));
    CHECK(found == expected);
  }
}

TEST_CASE("a drafter taken back drafts as one that never went further") {
  random_source random(5);
  prompt_lookup<2> drafter({.min_match = 1, .index_bits = 5});
  tokens text = random_text(random, 5, 3);
  REQUIRE(drafter.extend(text).has_value());
  for (int step = 0; step < 100; ++step) {
    const tokens more = random_text(random, random.between(1, 8), 3);
    REQUIRE(drafter.extend(more).has_value());
    text.insert(text.end(), more.begin(), more.end());
    (void)draft_of(drafter, text, {5, 5});
    const std::size_t size = random.between(1, text.size());
    REQUIRE(drafter.truncate(size).has_value());
    text.resize(size);
    CHECK(drafter.length() == size);
    prompt_lookup<2> fresh({.min_match = 1, .index_bits = 5});
    REQUIRE(fresh.extend(text).has_value());
    CHECK(draft_of(drafter, text, {6, 6}) == draft_of(fresh, text, {6, 6}));
  }
}

TEST_CASE("after reserve nothing is allocated by lookup drafting") {
  random_source random(6);
  const tokens text = random_text(random, 600, 4);
  prompt_lookup<3> drafter({.min_match = 2});
  drafter.reserve(text.size());
  token_draft<float> draft;
  philox_chance chance;
  const auto step = [&](std::size_t size) {
    (void)drafter.extend(token_span(text).subspan(drafter.length(), size - drafter.length()));
    draft.reset(text[size - 1]);
    (void)drafter.start(draft, draft_site{token_span(text).first(size), {8, 8}, 4}, chance);
    (void)drafter.run(draft, chance);
    drafter.observe(draft.tree, {});
    if (size % 7 == 0) (void)drafter.truncate(size - 3);
  };
  for (std::size_t size = 10; size < 100; ++size) step(size);
  CHECK(draft.tree.size() > 1);
  CHECK(allocations_of([&] {
          for (std::size_t size = 100; size < 600; ++size) step(size);
        }) == 0);
}

TEST_CASE("a failed extension leaves the drafter as it was") {
  const tokens text{1, 2, 3, 1, 2};
  prompt_lookup<> drafter;
  REQUIRE(drafter.extend(text).has_value());
  const tokens more(10000, 3);
  for (std::size_t which = 0; which < 2; ++which) {
    const failing_allocation failing(which);
    CHECK_THROWS_AS(drafter.extend(more), std::bad_alloc);
    REQUIRE(failing.happened());
    CHECK(drafter.length() == text.size());
  }
  CHECK(draft_of(drafter, text, {2, 2}).token_of(1) == 3);
}

TEST_CASE("lookup settings outside their range are refused, and moved into it") {
  CHECK(prompt_lookup_settings{}.check().has_value());
  for (const prompt_lookup_settings& wrong :
       {prompt_lookup_settings{.min_match = 0}, prompt_lookup_settings{.min_match = 3, .max_match = 2},
        prompt_lookup_settings{.max_match = 65}, prompt_lookup_settings{.candidates = 0},
        prompt_lookup_settings{.index_bits = 3}, prompt_lookup_settings{.index_bits = 29}}) {
    CHECK(wrong.check().code() == error_code::invalid_argument);
    CHECK(wrong.legal().check().has_value());
  }
  CHECK(prompt_lookup<>({.min_match = 0}).settings().min_match == 1);
}
