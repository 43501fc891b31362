// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/draft/model_drafter.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/prune.hpp>
#include <decant/tree/static_widths.hpp>

#include "tests/support/draft_building.hpp"

#include <map>

using namespace decant;
using namespace decant_test;

namespace {

using tokens = std::vector<token>;

/// A model that is strict about its contract, whose rows depend on everything it sees, and that fails when told to.
class scripted_model {
 public:
  static constexpr bool evaluates_trees = true;
  class rows_type {
   public:
    using value_type = double;
    explicit rows_type(const scripted_model& model) : model_(&model) {}
    [[nodiscard]] std::span<const double> row(node_id n) const { return model_->rows_.at(n); }

   private:
    const scripted_model* model_;
  };

  explicit scripted_model(std::size_t context_size = 1000) : context_size_(context_size) {}

  [[nodiscard]] std::size_t vocab_size() const { return law.vocab_size; }
  [[nodiscard]] std::size_t context_size() const { return context_size_; }
  [[nodiscard]] std::size_t length() const { return committed.size(); }

  result<void> prefill(token_span added) {
    if (fails()) return error_code::model_failed;
    if (committed.size() + added.size() > context_size_) return error_code::context_full;
    pending_.clear();
    committed.insert(committed.end(), added.begin(), added.end());
    prefilled += added.size();
    return {};
  }
  result<rows_type> evaluate(const token_tree& tree, node_span nodes) {
    if (fails()) return error_code::model_failed;
    if (committed.size() + pending_.size() + nodes.size() > context_size_) return error_code::context_full;
    for (const node_id n : nodes) {
      if (pending_.count(n) != 0) return error_code::invalid_tree;
      if (n != 0 && pending_.count(tree.parent(n)) == 0) return error_code::invalid_tree;
      pending_[n] = {tree.token_of(n), tree.parent(n)};
    }
    rows_.clear();
    for (const node_id n : nodes) rows_[n] = law(seen_by(n));
    ++passes;
    return rows_type(*this);
  }
  result<void> commit(node_span path) {
    if (fails()) return error_code::model_failed;
    node_id parent = no_node;
    for (const node_id n : path) {
      if (pending_.count(n) == 0 || pending_.at(n).parent != parent) return error_code::invalid_tree;
      parent = n;
    }
    for (const node_id n : path) committed.push_back(pending_.at(n).id);
    pending_.clear();
    return {};
  }
  result<void> truncate(std::size_t length) {
    if (length < committed.size()) committed.resize(length);
    pending_.clear();
    return {};
  }

  path_law law{77, 9, 0.2};
  tokens committed;
  std::size_t prefilled = 0;
  std::size_t passes = 0;
  std::size_t calls = 0;
  std::size_t fail_at = static_cast<std::size_t>(-1);  // number of the call that fails

 private:
  struct pending_node {
    token id;
    node_id parent;
  };

  [[nodiscard]] bool fails() { return calls++ == fail_at; }
  [[nodiscard]] tokens seen_by(node_id n) const {
    tokens path;
    for (; n != no_node; n = pending_.at(n).parent) path.push_back(pending_.at(n).id);
    tokens all = committed;
    all.insert(all.end(), path.rbegin(), path.rend());
    return all;
  }

  std::size_t context_size_;
  std::map<node_id, pending_node> pending_;
  std::map<node_id, std::vector<double>> rows_;
};
static_assert(TreeModel<scripted_model>);

template <class Builder>
using drafter_on = model_drafter<scripted_model&, Builder, given_law>;

draft_site site_of(const tokens& text, draft_limits limits = {100, 100}) { return {text, limits, 9}; }

/// The draft that a host makes which evaluates every row from the whole text.
template <class Builder>
token_draft<double> hosted_draft(const Builder& builder, const tokens& text, draft_limits limits, const path_law& law,
                                 philox_chance chance) {
  guided_drafter<Builder, given_law, double> host(builder);
  REQUIRE(host.extend(text).has_value());
  token_draft<double> draft;
  draft.reset(text.back());
  REQUIRE(host.start(draft, site_of(text, limits), chance).has_value());
  std::map<node_id, std::vector<double>> kept;
  auto rows = rows_from<double>([&](node_id n) {
    tokens all(text.begin(), text.end() - 1);
    const tokens path = tokens_to(draft.tree, n);
    all.insert(all.end(), path.begin(), path.end());
    kept[n] = law(all);
    return std::span<const double>(kept[n]);
  });
  while (!host.wanted().empty()) REQUIRE(host.supply(draft, rows, chance).has_value());
  return draft;
}

/// One sequence as a loop drives a drafter: drafts, accepts something at random, goes on.
template <class Builder>
struct driven_sequence {
  scripted_model model;
  Builder builder;
  drafter_on<Builder> drafter;
  philox_chance chance{5};
  tokens text{3, 1, 4};
  token_draft<double> draft;

  explicit driven_sequence(Builder b, std::size_t context_size = 1000)
      : model(context_size), builder(b), drafter(model, b) {}

  /// Catches the drafter up and drafts. On an error nothing else has happened.
  result<void> plan(draft_limits limits = {100, 100}) {
    if (auto caught_up = drafter.extend(token_span(text).subspan(drafter.length())); !caught_up) return caught_up;
    draft.reset(text.back());
    if (auto started = drafter.start(draft, site_of(text, limits), chance); !started) return started;
    return drafter.run(draft, chance);
  }

  /// Keeps a random path and emits a random last token.
  std::vector<node_id> accept(random_source& random) {
    std::vector<node_id> kept{0};
    while (draft.tree.first_child(kept.back()) != no_node && random.coin(0.8)) {
      node_id child = draft.tree.first_child(kept.back());
      while (draft.tree.next_sibling(child) != no_node && random.coin(0.5)) child = draft.tree.next_sibling(child);
      kept.push_back(child);
    }
    for (std::size_t i = 1; i < kept.size(); ++i) text.push_back(draft.tree.token_of(kept[i]));
    text.push_back(random.token_below(9));
    return kept;
  }

  void check_model() const {
    REQUIRE(model.committed.size() <= text.size());
    CHECK(std::equal(model.committed.begin(), model.committed.end(), text.begin()));
  }
};

/// Drafts by itself and by a host are identical, whatever is accepted, and the model is never fed what it knows.
template <class Builder>
void check_identical_drafts(Builder builder) {
  driven_sequence<Builder> sequence{builder};
  random_source random(9);
  std::size_t accepted = 0;
  for (int step = 0; step < 60; ++step) {
    const draft_limits limits{static_cast<std::int32_t>(random.between(0, 30)),
                              static_cast<std::int32_t>(random.between(0, 5))};
    REQUIRE(sequence.plan(limits).has_value());
    check_draft(sequence.draft, limits, 9);
    CHECK(same_draft(sequence.draft,
                     hosted_draft(sequence.builder, sequence.text, limits, sequence.model.law, sequence.chance)));
    const std::size_t committed = sequence.model.length();
    CHECK(committed == sequence.text.size() - 1);
    const std::vector<node_id> kept = sequence.accept(random);
    sequence.drafter.observe(sequence.draft.tree, kept);
    sequence.check_model();
    // Of the kept path all is committed that has been evaluated: what lies above a leaf of the draft that grew.
    std::size_t known = 0;
    while (known < kept.size() && sequence.draft.row_after(kept[known]) >= 0) ++known;
    CHECK(sequence.model.length() == committed + known);
    accepted += known;
  }
  CHECK(accepted > 75);
  // Nothing evaluated was fed again: leaves, last tokens, and roots of empty drafts only.
  CHECK(sequence.model.prefilled == sequence.model.length() - accepted);
}

}  // namespace

TEST_CASE("self-driven and host-driven drafts are identical, whatever is accepted") {
  SECTION("independent") { check_identical_drafts(static_widths<independent>{}); }
  SECTION("without replacement") { check_identical_drafts(static_widths<without_replacement>{}); }
  SECTION("ranked") { check_identical_drafts(static_widths<ranked>{}); }
  SECTION("chain") { check_identical_drafts(chain<independent>{}); }
  SECTION("re-ranked, so that nodes are renumbered") {
    check_identical_drafts(reranked<static_widths<ranked>>{{.widths = {4, 3, 3}}, 6, 60});
  }
}

TEST_CASE("dropped drafts and repeated starts leave nothing behind") {
  driven_sequence<static_widths<independent>> sequence{static_widths<independent>{}};
  random_source random(10);
  for (int step = 0; step < 60; ++step) {
    if (random.coin()) {
      REQUIRE(sequence.plan().has_value());  // and never observed
    }
    if (random.coin()) {
      sequence.draft.reset(sequence.text.back());
      (void)sequence.drafter.extend(token_span(sequence.text).subspan(sequence.drafter.length()));
      REQUIRE(sequence.drafter.start(sequence.draft, site_of(sequence.text), sequence.chance).has_value());
    }
    REQUIRE(sequence.plan().has_value());
    CHECK(same_draft(sequence.draft,
                     hosted_draft(sequence.builder, sequence.text, {100, 100}, sequence.model.law, sequence.chance)));
    const std::vector<node_id> kept = sequence.accept(random);
    if (random.coin(0.7)) sequence.drafter.observe(sequence.draft.tree, kept);
    sequence.check_model();
  }
}

TEST_CASE("a failure at any call of the draft model costs nothing but the draft") {
  bool failed = true;
  std::size_t failures = 0;
  for (std::size_t fail_at = 0; failed; ++fail_at) {
    driven_sequence<static_widths<without_replacement>> sequence{static_widths<without_replacement>{}};
    sequence.model.fail_at = fail_at;
    random_source random(11);
    for (int step = 0; step < 6; ++step) {
      auto planned = sequence.plan();
      if (!planned) {
        CHECK(planned.code() == error_code::model_failed);
        sequence.check_model();
        // The loop may tell the drafter about a plain step that it took instead.
        if (fail_at % 2 == 0) {
          sequence.draft.reset(sequence.text.back());
          sequence.text.push_back(random.token_below(9));
          sequence.drafter.observe(sequence.draft.tree, std::vector<node_id>{0});
          sequence.check_model();
        }
        planned = sequence.plan();
      }
      REQUIRE(planned.has_value());
      CHECK(same_draft(sequence.draft,
                       hosted_draft(sequence.builder, sequence.text, {100, 100}, sequence.model.law, sequence.chance)));
      const std::vector<node_id> kept = sequence.accept(random);
      sequence.drafter.observe(sequence.draft.tree, kept);
      sequence.check_model();
    }
    failed = sequence.model.calls > fail_at;
    failures += failed;
  }
  CHECK(failures > 20);
}

TEST_CASE("taking a model drafter back takes its model back") {
  driven_sequence<static_widths<independent>> sequence{static_widths<independent>{}};
  random_source random(12);
  for (int step = 0; step < 40; ++step) {
    REQUIRE(sequence.plan().has_value());
    CHECK(same_draft(sequence.draft,
                     hosted_draft(sequence.builder, sequence.text, {100, 100}, sequence.model.law, sequence.chance)));
    const std::vector<node_id> kept = sequence.accept(random);
    if (random.coin()) sequence.drafter.observe(sequence.draft.tree, kept);
    const std::size_t size = random.between(1, sequence.text.size());
    if (random.coin(0.4)) {
      REQUIRE(sequence.drafter.truncate(size).has_value());
      sequence.text.resize(size);
      CHECK(sequence.model.length() <= size);
      CHECK(sequence.drafter.length() <= size);
      // A report about the draft that was dropped changes nothing any more.
      const std::size_t calls = sequence.model.calls;
      sequence.drafter.observe(sequence.draft.tree, kept);
      CHECK(sequence.model.calls == calls);
    }
    sequence.check_model();
  }
}

TEST_CASE("drafts shrink at the edge of the draft model's context and end there without an error") {
  driven_sequence<chain<independent>> sequence{chain<independent>{.length = 5}, 12};
  random_source random(13);
  std::size_t largest = 0;
  std::size_t empty = 0;
  while (sequence.text.size() < 20) {
    REQUIRE(sequence.plan().has_value());
    largest = std::max(largest, sequence.draft.tree.size());
    empty += sequence.draft.tree.size() == 1;
    const std::vector<node_id> kept = sequence.accept(random);
    sequence.drafter.observe(sequence.draft.tree, kept);
    sequence.check_model();
  }
  CHECK(largest == 6);
  CHECK(empty > 0);
}

TEST_CASE("a draft model with another vocabulary is refused") {
  scripted_model model;
  auto drafter = make_model_drafter(model, chain<ranked>{}, given_law{});
  const tokens text{1, 2};
  REQUIRE(drafter.extend(text).has_value());
  token_draft<double> draft;
  draft.reset(2);
  philox_chance chance;
  const auto started = drafter.start(draft, draft_site{text, {4, 4}, 10}, chance);
  CHECK(started.code() == error_code::refused_pairing);
  CHECK(model.calls == 0);
}

TEST_CASE("one draft pass is made per level") {
  driven_sequence<static_widths<ranked>> sequence{static_widths<ranked>{.widths = {3, 2, 2, 1}}};
  REQUIRE(sequence.plan().has_value());
  CHECK(sequence.model.passes == 4);
}
