// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What must hold of every step of a chain and of every ordered pair of steps, whatever the right law is: the list below
// is all there is to extend for a new step. Steps are erased first, so that pairs cost no instantiations.
#include <decant/sample/adaptive_p.hpp>
#include <decant/sample/banned_tokens.hpp>
#include <decant/sample/dry.hpp>
#include <decant/sample/dynamic_temperature.hpp>
#include <decant/sample/epsilon_cutoff.hpp>
#include <decant/sample/eta_cutoff.hpp>
#include <decant/sample/greedy_sampling.hpp>
#include <decant/sample/infill.hpp>
#include <decant/sample/logit_bias.hpp>
#include <decant/sample/min_length.hpp>
#include <decant/sample/min_p.hpp>
#include <decant/sample/mirostat_v1.hpp>
#include <decant/sample/mirostat_v2.hpp>
#include <decant/sample/no_repeat_ngram.hpp>
#include <decant/sample/penalties.hpp>
#include <decant/sample/quadratic_smoothing.hpp>
#include <decant/sample/sequence_bias.hpp>
#include <decant/sample/suppress_at_begin.hpp>
#include <decant/sample/tail_free.hpp>
#include <decant/sample/temperature.hpp>
#include <decant/sample/top_h.hpp>
#include <decant/sample/top_k.hpp>
#include <decant/sample/top_n_sigma.hpp>
#include <decant/sample/top_p.hpp>
#include <decant/sample/typical.hpp>
#include <decant/sample/xtc.hpp>

#include "tests/support/allocation_counter.hpp"
#include "tests/support/random.hpp"
#include "tests/support/sampling.hpp"

#include <functional>
#include <memory>
#include <string>

namespace {

using decant::candidates;
using decant::index;
using decant::step_traits;
using decant::token;
using decant_test::largest_difference;
using decant_test::random_source;
using decant_test::support;

/// Where each token id goes; the identity leaves them as they are.
using relabelling = std::vector<std::size_t>;

token relabelled(token id, const relabelling& order) {
  return index(id) < order.size() ? static_cast<token>(order[index(id)]) : id;
}

/// A prompt before the row; some of its tokens lie in the vocabularies below.
const std::vector<token> history{3, 8, 3, 8, 5, 8, 3, 61, 8, 5};

/// A step with the state it has after the history, and after learning from a few tokens where it does learn.
template <class Real>
struct erased_step {
  std::string name;
  step_traits traits;
  std::size_t min_keep;
  std::function<void(candidates<Real>&)> apply;
  bool bans = false;        ///< may leave nothing of what another step has left
  bool introduces = false;  ///< may bring back a token
};

template <class Step>
step_traits traits_of(const Step&) {
  if constexpr (requires { Step::traits; }) {
    return Step::traits;
  } else {
    return {};
  }
}

template <class Step>
std::size_t min_keep_of([[maybe_unused]] const Step& step) {
  if constexpr (requires { step.min_keep; }) {
    return step.min_keep;
  } else {
    return 1;
  }
}

template <class Step>
auto state_of(const Step& step, const relabelling& order) {
  auto state = step.initial_state();
  for (const token t : history) {
    if constexpr (decant::LearningStep<Step>) {
      if (step.learns()) step.learn(state, 0.125);
    }
    step.advance(state, relabelled(t, order));
  }
  decant::begin_output(step, state);
  return state;
}

template <class Real, class Step>
erased_step<Real> erase(std::string name, const Step& step, const relabelling& order) {
  REQUIRE(decant::check_of(step).has_value());
  if constexpr (decant::StatefulStep<Step>) {
    return {std::move(name), traits_of(step), min_keep_of(step),
            [step, state = state_of(step, order)](candidates<Real>& set) { step.apply(set, state); }};
  } else {
    return {std::move(name), traits_of(step), min_keep_of(step), [step](candidates<Real>& set) { step.apply(set); }};
  }
}

/// Infill with the text of every token; relabelled ones take their text along.
struct worded_infill : decant::infill {
  struct vocabulary {
    relabelling order;

    [[nodiscard]] std::span<const char> token_bytes(token t) const {
      static const std::string words[] = {"a", "ab", "b", "abc", "ba", "", "c", "bab", "abcd", "d", "da"};
      const auto found = std::find(order.begin(), order.end(), index(t));
      const std::size_t id = found == order.end() ? index(t) : static_cast<std::size_t>(found - order.begin());
      return words[id % std::size(words)];
    }
  };

  worded_infill(const relabelling& order, const std::vector<token>& with_ends)
      : words(std::make_shared<vocabulary>(vocabulary{order})) {
    bytes = decant::token_bytes::from(*words);
    ends = with_ends;
    end = ends[0];
  }

  std::shared_ptr<const vocabulary> words;
};

/// Every step, with parameters at which it does something to most rows. Ids in parameters are relabelled.
template <class Real>
std::vector<erased_step<Real>> all_steps(const relabelling& order = {}) {
  using namespace decant;
  std::vector<erased_step<Real>> all;
  const auto add = [&](std::string name, const auto& step) -> erased_step<Real>& {
    all.push_back(erase<Real>(std::move(name), step, order));
    return all.back();
  };
  const auto ids = [&](std::vector<token> list) {
    for (token& id : list) id = relabelled(id, order);
    return list;
  };
  const std::vector<token> ends = ids({5, 20});
  add("temperature", temperature{0.7f});
  add("temperature 0", temperature{0.0f});
  add("dynamic temperature", dynamic_temperature{1.0f, 0.6f, 1.5f});
  add("quadratic smoothing", quadratic_smoothing{0.3f, 1.7f});
  add("greedy sampling", greedy_sampling{});
  add("top-k", top_k{20, 3});
  add("top-p", top_p{0.83f, 4});
  add("min-p", min_p{0.07f, 4});
  add("typical", typical{0.8f, 3});
  add("epsilon cutoff", epsilon_cutoff{0.021f, 2});
  add("eta cutoff", eta_cutoff{0.11f, 3});
  add("tail-free", tail_free{0.93f, 3});
  add("top-n-sigma", top_n_sigma{1.1f, 3});
  add("top-H", top_h{0.6f, 50, 3});
  add("XTC, fires", xtc{1.0f, 0.04f, 5});
  add("XTC, does not fire", xtc{0.0f, 0.04f});
  add("mirostat v1", mirostat_v1{2.0f, 0.1f, 40, 3});
  add("mirostat v2", mirostat_v2{2.0f, 0.1f, 3});
  add("adaptive-p", adaptive_p{0.3f, 0.8f});
  add("penalties", penalties{1.3f, 0.2f, 0.3f, 8});
  add("frequency penalty", penalties{1.0f, 0.4f, 0.0f, -1});
  add("DRY", dry{0.8f, 1.75f, 1, 64, sequence_breakers({ids({61})})});
  add("infill", worded_infill(order, ends)).introduces = true;
  add("logit bias", logit_bias{{{relabelled(3, order), 1.5f}, {relabelled(61, order), -2.0f}}});
  add("sequence bias", sequence_bias{{{ids({8, 5, 20}), 1.5f}, {ids({8}), -1.0f}}});
  add("bad words", bad_words({ids({8, 5, 8}), ids({9})})).bans = true;
  add("banned tokens", banned_tokens{ids({3, 61, 20})}).bans = true;
  add("allowed tokens", allowed_tokens(ids({0, 2, 3, 4, 6, 9, 10, 12, 13, 16, 18, 30, 40, 60, 66, 70}))).bans = true;
  add("minimum length", min_length{history.size() + 1, ends}).bans = true;
  add("no repeated 2-gram", no_repeat_ngram{2}).bans = true;
  add("suppressed at begin", suppress_at_begin{ends}).bans = true;
  return all;
}

template <class Real>
using steps = std::vector<const erased_step<Real>*>;

template <class Real>
struct outcome {
  decant::error_code code = decant::error_code::none;
  std::vector<token> kept{};  ///< the candidates that are left, in id order; the law of some may underflow
  std::vector<double> law{};
  decant::distribution<Real> raw{};
};

enum class layout { dense, sparse };

template <class Real>
outcome<Real> run(const steps<Real>& chain, const std::vector<Real>& row, layout start = layout::dense) {
  candidates<Real> set;
  outcome<Real> out;
  REQUIRE(set.load(std::span<const Real>(row)) == decant::error_code::none);
  if (start == layout::sparse) set.make_sparse();
  for (const auto* step : chain) step->apply(set);
  set.visit([&](token id, Real logit) {
    if (logit >= std::numeric_limits<Real>::lowest()) out.kept.push_back(id);
  });
  out.code = set.write_law(out.raw);
  if (out.code == decant::error_code::none) out.law = decant_test::dense_probabilities(out.raw.view());
  return out;
}

/// Calls `check(row)` for rows without ties, with and without banned tokens, of sizes on both sides of a block.
template <class Real, class Check>
void for_distinct_rows(random_source& random, Check&& check) {
  for (const std::size_t size : {std::size_t{90}, std::size_t{64}, std::size_t{23}}) {
    auto row = random.logits<Real>(size, random.uniform(1, 3));
    if (size != 64) {
      for (std::size_t i = 1; i < size; i += 4) row[i] = -std::numeric_limits<Real>::infinity();
    }
    check(row);
  }
}

/// Calls `check(chain, chain with relabelled ids, description)` for every step and every ordered pair of steps.
template <class Real, class Check>
void for_each_chain(const relabelling& order, Check&& check) {
  const auto all = all_steps<Real>();
  const auto moved = all_steps<Real>(order);
  for (std::size_t i = 0; i < all.size(); ++i) {
    check(steps<Real>{&all[i]}, steps<Real>{&moved[i]}, all[i].name);
    for (std::size_t j = 0; j < all.size(); ++j) {
      check(steps<Real>{&all[i], &all[j]}, steps<Real>{&moved[i], &moved[j]}, all[i].name + ", then " + all[j].name);
    }
  }
}
template <class Real, class Check>
void for_each_chain(Check&& check) {
  for_each_chain<Real>(
      {}, [&](const steps<Real>& chain, const steps<Real>&, const std::string& name) { check(chain, name); });
}

template <class Real>
bool all_say(const steps<Real>& chain, bool step_traits::*trait) {
  return std::all_of(chain.begin(), chain.end(), [trait](const auto* step) { return step->traits.*trait; });
}

bool is_subset(const std::vector<token>& part, const std::vector<token>& whole) {
  return std::includes(whole.begin(), whole.end(), part.begin(), part.end());
}

template <class Real>
constexpr double tolerance = std::is_same_v<Real, float> ? 2e-5 : 1e-9;

}  // namespace

TEMPLATE_TEST_CASE("every chain of two steps has a law, on no more than what it was given", "", float, double) {
  random_source random(601);
  std::size_t emptied = 0;
  for_each_chain<TestType>([&](const steps<TestType>& chain, const std::string& name) {
    INFO(name);
    const auto check = [&](const std::vector<TestType>& row) {
      const auto found = run(chain, row);
      if (chain.size() == 2 && chain[1]->bans && found.code == decant::error_code::row_empty) {
        ++emptied;
        return;
      }
      REQUIRE(found.code == decant::error_code::none);
      double sum = 0;
      for (const double p : found.law) sum += p;
      CHECK(decant_test::near(sum, 1, 1e-6));
      CHECK(is_subset(support(found.law), found.kept));
      const auto before = run(steps<TestType>(chain.begin(), chain.end() - 1), row).kept;
      CHECK((is_subset(found.kept, before) || chain.back()->introduces));
      CHECK(found.kept.size() >= std::min(chain.back()->min_keep, before.size()));
    };
    for_distinct_rows<TestType>(random, check);
    check(std::vector<TestType>(70, TestType(2)));
    CHECK(run(chain, std::vector<TestType>{TestType(-3)}).law == std::vector<double>{1});
  });
  CHECK(emptied < 100);
}

TEMPLATE_TEST_CASE("every chain of two steps is a function of its row alone", "", float, double) {
  random_source random(602);
  for_each_chain<TestType>([&](const steps<TestType>& chain, const std::string& name) {
    INFO(name);
    for_distinct_rows<TestType>(random, [&](const std::vector<TestType>& row) {
      const auto found = run(chain, row);
      const auto again = run(chain, row);
      CHECK(found.law == again.law);
      // The order and the form in which candidates are kept do not matter.
      const auto sparse = run(chain, row, layout::sparse);
      CHECK(found.kept == sparse.kept);
      CHECK(largest_difference(found.law, sparse.law) < tolerance<TestType>);
    });
  });
}

TEMPLATE_TEST_CASE("relabelling the vocabulary relabels the law of every chain of two steps", "", float, double) {
  random_source random(603);
  const relabelling order = random.permutation(90);
  for_each_chain<TestType>(order,
                           [&](const steps<TestType>& chain, const steps<TestType>& moved, const std::string& name) {
                             INFO(name);
                             auto row = random.logits<TestType>(order.size());
                             for (std::size_t i = 1; i < row.size(); i += 5)
                               row[i] = -std::numeric_limits<TestType>::infinity();
                             std::vector<TestType> moved_row(row.size());
                             for (std::size_t i = 0; i < row.size(); ++i) moved_row[order[i]] = row[i];
                             const auto law = run(chain, row).law;
                             std::vector<double> expected(law.size());
                             for (std::size_t i = 0; i < law.size(); ++i) expected[order[i]] = law[i];
                             CHECK(largest_difference(run(moved, moved_row).law, expected) < tolerance<TestType>);
                           });
}

TEMPLATE_TEST_CASE("padding the vocabulary with impossible tokens changes no law of a chain of two steps", "", float,
                   double) {
  random_source random(609);
  const auto counts_vocabulary = [](const auto* step) { return step->name == "mirostat v1"; };  // by its rule
  for_each_chain<TestType>([&](const steps<TestType>& chain, const std::string& name) {
    if (std::any_of(chain.begin(), chain.end(), counts_vocabulary)) return;
    INFO(name);
    const auto row = random.logits<TestType>(90, random.uniform(1, 3));
    auto padded = row;
    padded.resize(row.size() + random.between(1, 100), -std::numeric_limits<TestType>::infinity());
    auto expected = run(chain, row);
    const auto found = run(chain, padded);
    CHECK(found.kept == expected.kept);
    if (!expected.law.empty()) expected.law.resize(padded.size(), 0.0);
    CHECK(largest_difference(found.law, expected.law) < tolerance<TestType>);
  });
}

TEST_CASE("a constant added to all logits changes nothing where all steps say so") {
  random_source random(604);
  std::size_t chains = 0;
  for_each_chain<double>([&](const steps<double>& chain, const std::string& name) {
    if (!all_say(chain, &step_traits::shift_invariant)) return;
    INFO(name);
    ++chains;
    for_distinct_rows<double>(random, [&](const std::vector<double>& row) {
      auto shifted = row;
      const double constant = random.uniform(-20, 20);
      for (double& logit : shifted) logit += constant;
      CHECK(largest_difference(run(chain, shifted).law, run(chain, row).law) < 1e-9);
    });
  });
  CHECK(chains > 300);
}

TEST_CASE("a temperature before them changes nothing of what is kept where all steps say so") {
  random_source random(605);
  std::size_t chains = 0;
  for_each_chain<double>([&](const steps<double>& chain, const std::string& name) {
    if (!all_say(chain, &step_traits::temperature_invariant)) return;
    INFO(name);
    ++chains;
    for_distinct_rows<double>(random, [&](const std::vector<double>& row) {
      auto heated = row;
      const double heat = random.uniform(0.3, 3);
      for (double& logit : heated) logit /= heat;
      CHECK(run(chain, heated).kept == run(chain, row).kept);
    });
  });
  CHECK(chains >= 6);
}

TEMPLATE_TEST_CASE("the best candidate stays the best where all steps say so", "", float, double) {
  random_source random(606);
  std::size_t chains = 0;
  for_each_chain<TestType>([&](const steps<TestType>& chain, const std::string& name) {
    if (!all_say(chain, &step_traits::keeps_argmax)) return;
    INFO(name);
    ++chains;
    for_distinct_rows<TestType>(random, [&](const std::vector<TestType>& row) {
      CHECK(decant::argmax(run(chain, row).raw.view()) ==
            static_cast<token>(std::max_element(row.begin(), row.end()) - row.begin()));
    });
  });
  CHECK(chains > 100);
}

TEST_CASE("no step allocates once it has seen a row of its size") {
  random_source random(608);
  for (const auto& step : all_steps<float>()) {
    INFO(step.name);
    candidates<float> set;
    decant::distribution<float> law;
    const std::vector<float> flat(3000, 1.0f);
    REQUIRE(set.load(std::span<const float>(flat)) == decant::error_code::none);
    REQUIRE(set.write_law(law) == decant::error_code::none);  // the largest laws there can be
    set.make_sparse();
    REQUIRE(set.write_law(law) == decant::error_code::none);
    step.apply(set);
    std::size_t made = 0;
    for (int round = 0; round < 20; ++round) {
      const auto row = random.logits<float>(3000, random.uniform(0, 4));
      made += decant_test::allocations_of([&] {
        static_cast<void>(set.load(std::span<const float>(row)));
        step.apply(set);
        static_cast<void>(set.write_law(law));
      });
    }
    CHECK(made == 0);
  }
}
