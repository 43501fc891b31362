// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The exact suite: which verifier is proved with which trees on which toys. The tests and proof_report run this list.
#ifndef DECANT_TESTS_PROOF_CONFIGURATIONS_HPP
#define DECANT_TESTS_PROOF_CONFIGURATIONS_HPP

#include <decant/draft/any_drafter.hpp>
#include <decant/draft/no_drafter.hpp>
#include <decant/proof/prove.hpp>
#include <decant/tree/any_builder.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/greedy_multi_draft.hpp>
#include <decant/tree/prune.hpp>
#include <decant/tree/static_paths.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/tree/uniform_tail.hpp>
#include <decant/verify/any_verifier.hpp>
#include <decant/verify/block_verification.hpp>
#include <decant/verify/canonical_decomposition.hpp>
#include <decant/verify/drafter_invariant.hpp>
#include <decant/verify/greedy.hpp>
#include <decant/verify/k_seq.hpp>
#include <decant/verify/match.hpp>
#include <decant/verify/membership.hpp>
#include <decant/verify/random_order.hpp>
#include <decant/verify/recursive_rejection.hpp>
#include <decant/verify/speculative_sampling.hpp>
#include <decant/verify/traversal.hpp>

#include "tests/proof/scripted_builder.hpp"
#include "tests/proof/two_drafters.hpp"
#include "tests/proof/zoo_builders.hpp"

#include <functional>
#include <iterator>

namespace decant_test {

/// A proof report without its scalar.
struct case_result {
  bool exact = false;
  double total_variation = 0;       ///< largest over all prefix lengths
  std::vector<double> by_length{};  ///< entry k-1: of the first k tokens
  double expected_emitted = 0;
  std::size_t paths = 0;
  std::string failure{};
  std::string description{};
};

template <class Prob>
[[nodiscard]] case_result summary(const proof::proof_report<Prob>& report) {
  case_result result{report.exact(),       report.worst(),   {}, report.expected_emitted(), report.found.paths,
                     report.found.failure, report.describe()};
  for (const Prob& tv : report.total_variation) result.by_length.push_back(as_double(tv));
  return result;
}

/// One configuration of the exact suite.
struct exact_case {
  std::string verifier;
  std::string drafter;
  std::string toy;
  std::string scalar;
  std::string extent;  ///< how far it runs: "1 step", "2 steps", "3 tokens"
  std::function<case_result()> run;

  [[nodiscard]] std::string name() const {
    return verifier + ", " + drafter + ", toy " + toy + ", " + scalar + ", " + extent;
  }
};

/// The largest vocabulary on which a kind of tree is enumerated: trees with many paths only on small ones.
struct reach {
  std::size_t one_step;
  std::size_t two_steps;
};
inline constexpr reach short_reach{3, 2};
inline constexpr reach middle_reach{4, 3};
inline constexpr reach long_reach{5, 4};

// The suite runs the type-erased forms, which forward to the typed ones: one decoder is compiled for all pairings, and
// the check of pairings at run time is part of every proof. The typed decoders are proved by golden_values_test.cpp and
// prove_test.cpp.
template <class Real>
using suite_builder = any_builder<Real, proof::proof_chance<Real>>;
template <class Real>
using suite_drafter = any_drafter<Real, proof::proof_chance<Real>>;
template <class Real>
using suite_verifier = any_verifier<Real, proof::proof_chance<Real>>;

template <class Real>
[[nodiscard]] case_result prove_case(const proof::toy<Real>& world, const suite_builder<Real>& builder,
                                     const suite_verifier<Real>& verifier, const proof::proof_options& options) {
  return summary(proof::prove_steps(world, builder, verifier, options));
}
template <class Real>
[[nodiscard]] case_result prove_case(const proof::toy<Real>& world, suite_drafter<Real> drafter,
                                     const suite_verifier<Real>& verifier, const proof::proof_options& options) {
  return summary(proof::prove_drafter(world, std::move(drafter), verifier, options));
}

/// Collects the configurations of one verifier in one scalar.
template <class Real>
class case_list {
 public:
  /// `exact_scalar` proofs cost more: they go one vocabulary size less far.
  case_list(std::string name, suite_verifier<Real> verifier, std::string scalar, bool exact_scalar)
      : verifier_name_(std::move(name)),
        verifier_(std::move(verifier)),
        scalar_(std::move(scalar)),
        less_(exact_scalar ? 1 : 0) {}

  /// Changes each toy before it is used, for instance to temperature 0.
  void set_toys(std::function<proof::toy<Real>(proof::toy<Real>)> change) { change_ = std::move(change); }

  /// Runs two steps on small vocabularies only, for verifiers that make many paths.
  void limit_two_steps(std::size_t largest_vocab) { two_steps_ = largest_vocab; }

  void add(const std::string& name, const suite_builder<Real>& builder, reach far, draft_limits limits = {64, 16}) {
    each_toy(far, limits,
             [&](const proof::toy<Real>& world, const std::string& extent, const proof::proof_options& options) {
               push(name, world, extent, [world, builder, verifier = verifier_, options] {
                 return prove_case(world, builder, verifier, options);
               });
             });
  }
  /// A drafter made for each toy by `make(toy)`.
  template <class Make>
  void add_drafter(const std::string& name, Make make, reach far) {
    each_toy(far, {64, 16},
             [&](const proof::toy<Real>& world, const std::string& extent, const proof::proof_options& options) {
               push(name, world, extent, [world, make, verifier = verifier_, options] {
                 return prove_case(world, suite_drafter<Real>(make(world)), verifier, options);
               });
             });
  }
  /// Runs until exactly `tokens` tokens are emitted, the last step being cut.
  void add_tokens(const std::string& name, const suite_builder<Real>& builder, std::size_t tokens,
                  std::size_t largest_vocab) {
    proof::proof_options options;
    options.tokens = tokens;
    for (const auto& world : toys(largest_vocab)) {
      push(name, world, std::to_string(tokens) + " tokens",
           [world, builder, verifier = verifier_, options] { return prove_case(world, builder, verifier, options); });
    }
  }

  [[nodiscard]] std::vector<exact_case> take() { return std::move(cases_); }

 private:
  [[nodiscard]] std::vector<proof::toy<Real>> toys(std::size_t largest_vocab) const {
    auto list = proof::standard_toys<Real>(largest_vocab - less_);
    if (change_) {
      for (auto& one : list) one = change_(std::move(one));
    }
    return list;
  }
  template <class Visit>
  void each_toy(reach far, draft_limits limits, const Visit& visit) const {
    proof::proof_options options;
    options.limits = limits;
    for (const auto& world : toys(far.one_step)) visit(world, "1 step", options);
    options.steps = 2;
    for (const auto& world : toys(std::min(far.two_steps, two_steps_))) visit(world, "2 steps", options);
  }
  void push(const std::string& drafter, const proof::toy<Real>& world, const std::string& extent,
            std::function<case_result()> run) {
    cases_.push_back({verifier_name_, drafter, world.name, scalar_, extent, std::move(run)});
  }

  std::string verifier_name_;
  suite_verifier<Real> verifier_;
  std::string scalar_;
  std::size_t less_;
  std::size_t two_steps_ = std::numeric_limits<std::size_t>::max();
  std::function<proof::toy<Real>(proof::toy<Real>)> change_;
  std::vector<exact_case> cases_;
};

/// Scalars of the suite, by name.
template <class Real>
struct scalar_traits {
  static constexpr const char* name = "rational";
  static constexpr bool exact = true;
};
template <>
struct scalar_traits<double> {
  static constexpr const char* name = "double";
  static constexpr bool exact = false;
};

template <class Real, class V>
[[nodiscard]] case_list<Real> list_for(const char* name) {
  return {name, V{}, scalar_traits<Real>::name, scalar_traits<Real>::exact};
}

/// Chains of drawn tokens.
template <class List>
void add_drawn_chains(List& list) {
  list.add("chain 1", chain<independent>{1}, long_reach);
  list.add("chain 2", chain<independent>{2}, long_reach);
  list.add("chain 3", chain<independent>{3}, middle_reach);
  list.add("chain 2, distinct draws", chain<without_replacement>{2}, middle_reach);
  list.add("chain 3, at most 2 nodes", chain<independent>{3}, middle_reach, {2, 16});
  list.add("chain 3, at most depth 1", chain<independent>{3}, middle_reach, {64, 1});
  list.add("chain 3, stops at unsure rows", chain<independent>{3, 0.5f}, middle_reach);
  list.add("chain 2, stops at large entropy", chain<independent>{2, 0, 1.0f}, middle_reach);
  list.add("chain 2, scripted", scripted_chain(2), middle_reach);
  auto keeps_then_stops = scripted_chain(3);
  keeps_then_stops.stop = stop_rule::token_unlikely;
  list.add("chain 3, keeps an unlikely token and stops", keeps_then_stops, middle_reach);
  list.add_drafter(
      "no draft", [](const auto&) { return no_drafter{}; }, long_reach);
  list.add_tokens("chain 2", chain<independent>{2}, 3, 4);
  list.add_tokens("chain 3", chain<independent>{3}, 2, 4);
}

template <class Real>
[[nodiscard]] std::vector<exact_case> speculative_sampling_cases() {
  auto list = list_for<Real, speculative_sampling>("speculative_sampling");
  add_drawn_chains(list);
  return list.take();
}

/// Block verification takes chosen tokens in its chains, too.
template <class Real>
[[nodiscard]] std::vector<exact_case> block_verification_cases() {
  using enum draw_kind;
  auto list = list_for<Real, block_verification>("block_verification");
  add_drawn_chains(list);
  list.add("ranked chain 3", chain<ranked>{3}, middle_reach);
  using mixed_chain = scripted_builder<tree_class::counted, true>;
  list.add("chosen, then drawn twice", mixed_chain{"", {{chosen}, {drawn}, {drawn}}}, middle_reach);
  list.add("drawn, chosen, drawn", mixed_chain{"", {{drawn}, {chosen}, {drawn}}}, middle_reach);
  return list.take();
}

/// Trees with true edge laws and settled numbers of draws.
template <class List>
void add_counted_trees(List& list) {
  using enum draw_kind;
  list.add("chain 2", chain<independent>{2}, middle_reach);
  list.add("widths 2, independent", static_widths<independent>{{2}}, long_reach);
  list.add("widths 3, independent", static_widths<independent>{{3}}, middle_reach);
  list.add("widths 2 1, independent", static_widths<independent>{{2, 1}}, middle_reach);
  list.add("widths 1 2, independent", static_widths<independent>{{1, 2}}, middle_reach);
  list.add("widths 2 2, independent", static_widths<independent>{{2, 2}}, short_reach);
  list.add("widths 2, without replacement", static_widths<without_replacement>{{2}}, long_reach);
  list.add("widths 3, without replacement", static_widths<without_replacement>{{3}}, middle_reach);
  list.add("widths 2 1, without replacement", static_widths<without_replacement>{{2, 1}}, middle_reach);
  list.add("widths 1 2, without replacement", static_widths<without_replacement>{{1, 2}}, middle_reach);
  list.add("widths 2 2, without replacement", static_widths<without_replacement>{{2, 2}}, short_reach);
  list.add("widths 3 1, without replacement", static_widths<without_replacement>{{3, 1}}, short_reach);
  list.add("widths 2 2, at most 3 nodes", static_widths<without_replacement>{{2, 2}}, short_reach, {3, 16});
  list.add("widths 2 2, independent, at most 3 nodes", static_widths<independent>{{2, 2}}, short_reach, {3, 16});
  list.add("widths 2 2, ranked", static_widths<ranked>{{2, 2}}, long_reach);
  list.add("widths 3, ranked", static_widths<ranked>{{3}}, middle_reach);
  list.add("paths 0, 1, 0 0, without replacement", static_paths<without_replacement>({{0}, {1}, {0, 0}}), middle_reach);
  list.add("distinct draws by single picks", scripted_widths("", {2, 1}, distinct), middle_reach);
  list.add("repeats as nodes of their own", scripted_widths("", {3}, drawn), middle_reach);
  list.add("repeats recorded again", scripted_widths("", {3}, recorded), middle_reach);
  list.add("chosen then drawn", scripted_builder<>{"", {{chosen, drawn}}}, long_reach);
  list.add("drawn then chosen", scripted_builder<>{"", {{drawn, chosen}}}, long_reach);
  list.add("chosen, drawn, distinct, chosen", scripted_builder<>{"", {{chosen, drawn, distinct, chosen}}},
           middle_reach);
  list.add("chosen above drawn", scripted_builder<>{"", {{chosen}, {distinct, distinct}}}, middle_reach);
  scripted_builder<> flat = scripted_widths("", {2, 1}, distinct);
  flat.stop = stop_rule::row_is_flat;
  list.add("widths 2 1, not below flat rows", flat, middle_reach);
  scripted_builder<> unlikely = scripted_widths("", {2, 1}, distinct);
  unlikely.stop = stop_rule::token_unlikely;
  list.add("widths 2 1, not below unlikely tokens", unlikely, middle_reach);
  scripted_builder<> probed = scripted_widths("", {2, 1}, distinct);
  probed.probes = true;
  list.add("widths 2 1 with probes", probed, middle_reach);
  list.add("top 1 and a draw from the rest, two levels", static_widths<greedy_multi_draft>{{2, 2}}, short_reach);
  list.add("top 2 and a draw from the rest", static_widths<greedy_multi_draft>{{3}}, long_reach);
  list.add("distinct draws and the uniform tail", static_widths<uniform_tail>{{4}}, middle_reach);
  list.add("uniform tail, widths 3 1", static_widths<uniform_tail>{{3, 1}}, short_reach);
  list.add("a drawn child and filler", zoo::with_filler{}, middle_reach);
  list.add_drafter(
      "no draft", [](const auto&) { return no_drafter{}; }, middle_reach);
  list.add_tokens("widths 2 1, without replacement", static_widths<without_replacement>{{2, 1}}, 3, 3);
}

/// Every tree with true edge laws.
template <class List>
void add_true_law_trees(List& list) {
  add_counted_trees(list);
  list.add("threshold tree", zoo::threshold_tree<false>{}, short_reach);
}

/// A child or two from each of two draft laws.
template <class Real>
void add_two_laws(case_list<Real>& list) {
  // The second model proposes by the target's law, which every toy has; it is another law than the first everywhere.
  const auto two_laws = [](duplicate_rule rule, std::int32_t depth) {
    return [=](const proof::toy<Real>& world) {
      return two_law_drafter<Real>(world.draft, alternating(world.target, world.draft), rule, depth);
    };
  };
  list.add_drafter("two laws, repeats as nodes", two_laws(duplicate_rule::keep_both, 1), long_reach);
  list.add_drafter("two laws, repeats recorded", two_laws(duplicate_rule::record_again, 1), long_reach);
  list.add_drafter("two laws, two levels", two_laws(duplicate_rule::keep_both, 2), short_reach);
}

/// Trees of two draft models.
template <class Real>
void add_two_models(case_list<Real>& list) {
  add_two_laws(list);
  const auto merged = [](auto first, auto second, std::int32_t max_nodes) {
    return [=](const proof::toy<Real>& world) {
      auto other = world;
      other.draft = alternating(world.target, world.draft);
      auto a = proof::drafter_of(world, first);
      auto b = proof::drafter_of(other, second);
      return merging_drafter<Real, decltype(a), decltype(b)>(std::move(a), std::move(b), max_nodes);
    };
  };
  list.add_drafter("two chains merged", merged(chain<independent>{2}, chain<independent>{1}, 64), middle_reach);
  list.add_drafter("two chains merged, at most 2 nodes", merged(chain<independent>{2}, chain<independent>{1}, 2),
                   middle_reach);
  list.add_drafter("a ranked chain and distinct draws merged",
                   merged(chain<ranked>{1}, static_widths<without_replacement>{{2}}, 64), middle_reach);
}

/// A verifier of all trees with true edge laws.
template <class Real, class V>
[[nodiscard]] std::vector<exact_case> coupling_cases(const char* name) {
  auto list = list_for<Real, V>(name);
  add_true_law_trees(list);
  add_two_models(list);
  return list.take();
}
template <class Real>
[[nodiscard]] std::vector<exact_case> recursive_rejection_cases() {
  return coupling_cases<Real, recursive_rejection>("recursive_rejection");
}
template <class Real>
[[nodiscard]] std::vector<exact_case> traversal_cases() {
  return coupling_cases<Real, traversal>("traversal");
}

template <class Real>
[[nodiscard]] std::vector<exact_case> membership_cases() {
  return coupling_cases<Real, membership>("membership");
}

/// A verifier that takes the draws of a node together or in an order of its own.
template <class Real, class V>
[[nodiscard]] std::vector<exact_case> counted_cases(const char* name) {
  using enum draw_kind;
  auto list = list_for<Real, V>(name);
  list.limit_two_steps(scalar_traits<Real>::exact ? 3 : 2);
  add_counted_trees(list);
  add_two_laws(list);
  list.add("drawn twice, distinct twice", scripted_builder<>{"", {{drawn, drawn, distinct, distinct}}}, short_reach);
  list.add("distinct, drawn, distinct, drawn", scripted_builder<>{"", {{distinct, drawn, distinct, drawn}}},
           short_reach);
  return list.take();
}
template <class Real>
[[nodiscard]] std::vector<exact_case> k_seq_cases() {
  return counted_cases<Real, k_seq>("k_seq");
}
template <class Real>
[[nodiscard]] std::vector<exact_case> canonical_decomposition_cases() {
  return counted_cases<Real, canonical_decomposition>("canonical_decomposition");
}
template <class Real>
[[nodiscard]] std::vector<exact_case> random_order_cases() {
  return counted_cases<Real, random_order>("random_order");
}

/// Trees that ask nothing of their edges: for match and greedy, every kind, those with false laws included.
template <class List>
void add_any_trees(List& list) {
  using enum draw_kind;
  list.add("ranked chain 3", chain<ranked>{3}, long_reach);
  list.add("ranked chain 3, stops at unsure rows", chain<ranked>{3, 0.5f}, middle_reach);
  list.add("chain 2", chain<independent>{2}, middle_reach);
  list.add("widths 2 2, ranked", static_widths<ranked>{{2, 2}}, long_reach);
  list.add("widths 3 1, ranked", static_widths<ranked>{{3, 1}}, middle_reach);
  list.add("widths 2 1, without replacement", static_widths<without_replacement>{{2, 1}}, middle_reach);
  list.add("widths 2, independent", static_widths<independent>{{2}}, middle_reach);
  list.add("paths 0, 1, 2, 0 0, 0 1, ranked", static_paths<ranked>({{0}, {1}, {2}, {0, 0}, {0, 1}}), middle_reach);
  list.add("drawn and pruned by probability",
           pruned<static_widths<without_replacement>, min_acceptance>{{{2, 1}}, {0.2f}}, middle_reach);
  list.add("drawn and re-ranked", zoo::sampled_then_reranked{}, short_reach);
  list.add("drops improbable tokens", zoo::threshold_tree<true>{}, short_reach);
  list.add("argmax passed off as drawn", zoo::flawed_chain<zoo::argmax_as_drawn>{2}, middle_reach);
  scripted_builder<> probed = scripted_widths("", {2}, drawn);
  probed.probes = true;
  list.add("equal siblings and probes", probed, middle_reach);
  list.add_drafter(
      "no draft", [](const auto&) { return no_drafter{}; }, long_reach);
  list.add_tokens("widths 2 2, ranked", static_widths<ranked>{{2, 2}}, 3, 4);
}

template <class Real>
[[nodiscard]] std::vector<exact_case> match_cases() {
  auto list = list_for<Real, match>("match");
  add_any_trees(list);
  return list.take();
}

template <class Real>
[[nodiscard]] std::vector<exact_case> drafter_invariant_cases() {
  auto list = list_for<Real, drafter_invariant>("drafter_invariant");
  add_any_trees(list);
  return list.take();
}

/// Greedy on targets at temperature 0, whose law it has.
template <class Real>
[[nodiscard]] std::vector<exact_case> greedy_cases() {
  auto list = list_for<Real, greedy>("greedy");
  list.set_toys([](proof::toy<Real> world) {
    world.name += " at T=0";
    world.target = proof::one_hot(world.target);
    return world;
  });
  add_any_trees(list);
  return list.take();
}

inline void append(std::vector<exact_case>& all, std::vector<exact_case> more) {
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

/// The whole suite in one scalar.
template <class Real>
[[nodiscard]] std::vector<exact_case> exact_suite() {
  std::vector<exact_case> all = match_cases<Real>();
  append(all, greedy_cases<Real>());
  append(all, speculative_sampling_cases<Real>());
  append(all, block_verification_cases<Real>());
  append(all, recursive_rejection_cases<Real>());
  append(all, traversal_cases<Real>());
  append(all, membership_cases<Real>());
  append(all, k_seq_cases<Real>());
  append(all, random_order_cases<Real>());
  append(all, canonical_decomposition_cases<Real>());
  append(all, drafter_invariant_cases<Real>());
  return all;
}

/// Deeper and wider trees on larger vocabularies: what the suite leaves out for its time.
template <class List>
void add_deep_chains(List& list) {
  list.add("chain 4", chain<independent>{4}, {5, 2});
  list.add("chain 3", chain<independent>{3}, {5, 3});
  list.add("chain 3, distinct draws", chain<without_replacement>{3}, {5, 3});
  list.add("chain 4, stops at unsure rows", chain<independent>{4, 0.5f}, {5, 2});
  list.add("chain 4, stops at large entropy", chain<independent>{4, 0, 1.0f}, {5, 2});
  list.add("chain 4, at most 3 nodes", chain<independent>{4}, {5, 2}, {3, 16});
  list.add_tokens("chain 2", chain<independent>{2}, 4, 3);
}
template <class List>
void add_deep_trees(List& list) {
  using enum draw_kind;
  list.add("widths 1 1 2, independent", static_widths<independent>{{1, 1, 2}}, {4, 2});
  list.add("widths 2 1 1, independent", static_widths<independent>{{2, 1, 1}}, {3, 2});
  list.add("widths 1 2 1, independent", static_widths<independent>{{1, 2, 1}}, {3, 2});
  list.add("widths 3 1, independent", static_widths<independent>{{3, 1}}, {3, 2});
  list.add("widths 1 1 2, without replacement", static_widths<without_replacement>{{1, 1, 2}}, {5, 2});
  list.add("widths 2 1 1, without replacement", static_widths<without_replacement>{{2, 1, 1}}, {4, 2});
  list.add("widths 1 2 1, without replacement", static_widths<without_replacement>{{1, 2, 1}}, {4, 2});
  list.add("widths 2 1, without replacement", static_widths<without_replacement>{{2, 1}}, {5, 2});
  list.add("widths 3 1, without replacement", static_widths<without_replacement>{{3, 1}}, {4, 2});
  list.add("widths 4, without replacement", static_widths<without_replacement>{{4}}, {5, 2});
  list.add("widths 3, independent", static_widths<independent>{{3}}, {5, 2});
  list.add("widths 2 2 1, ranked", static_widths<ranked>{{2, 2, 1}}, {5, 3});
  list.add("top 1 and a draw, three levels", static_widths<greedy_multi_draft>{{2, 2, 1}}, {3, 2});
  list.add("uniform tail, widths 5", static_widths<uniform_tail>{{5}}, {5, 2});
  list.add("paths of depth 3, without replacement",
           static_paths<without_replacement>({{0}, {1}, {0, 0}, {0, 1}, {0, 0, 0}}), {3, 2});
  list.add("chosen, drawn, distinct; then distinct", scripted_builder<>{"", {{chosen, drawn, distinct}, {distinct}}},
           {3, 2});
  list.add("chosen above drawn above chosen", scripted_builder<>{"", {{chosen}, {distinct, drawn}, {chosen}}}, {4, 2});
}

/// Deep trees of one verifier.
template <class Real, class V>
[[nodiscard]] std::vector<exact_case> deep_cases(const char* name) {
  auto list = list_for<Real, V>(name);
  add_deep_chains(list);
  if constexpr (V::shape == shape_needs::any_tree) add_deep_trees(list);
  return list.take();
}

/// The suite and the deep trees: for a nightly run.
template <class Real>
[[nodiscard]] std::vector<exact_case> nightly_suite() {
  std::vector<exact_case> all = exact_suite<Real>();
  append(all, deep_cases<Real, match>("match"));
  append(all, deep_cases<Real, speculative_sampling>("speculative_sampling"));
  append(all, deep_cases<Real, block_verification>("block_verification"));
  append(all, deep_cases<Real, recursive_rejection>("recursive_rejection"));
  append(all, deep_cases<Real, traversal>("traversal"));
  append(all, deep_cases<Real, membership>("membership"));
  append(all, deep_cases<Real, k_seq>("k_seq"));
  append(all, deep_cases<Real, random_order>("random_order"));
  append(all, deep_cases<Real, canonical_decomposition>("canonical_decomposition"));
  append(all, deep_cases<Real, drafter_invariant>("drafter_invariant"));
  return all;
}

}  // namespace decant_test

#endif
