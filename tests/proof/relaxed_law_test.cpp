// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every relaxed verifier emits exactly the law it documents.
#include <decant/verify/block_verification.hpp>
#include <decant/verify/cascades.hpp>
#include <decant/verify/divergence_gate.hpp>
#include <decant/verify/judge.hpp>
#include <decant/verify/lenience.hpp>
#include <decant/verify/loose_window.hpp>
#include <decant/verify/margin_acceptance.hpp>
#include <decant/verify/mentored.hpp>
#include <decant/verify/speculative_sampling.hpp>
#include <decant/verify/top_k_acceptance.hpp>
#include <decant/verify/traversal.hpp>
#include <decant/verify/typical_acceptance.hpp>

#include "tests/proof/documented_laws.hpp"

namespace decant_test {
namespace {

[[nodiscard]] std::vector<proof::toy<double>> toys(std::size_t largest_vocab) {
  return proof::standard_toys<double>(largest_vocab);
}

const tree_form short_chain{made::independent, {1, 1}};
const tree_form one_draw{made::independent, {1}};

// --- Transforms ---

/// A rule and the law it documents.
struct transform_case {
  std::string name;
  position_law law;
  proved_verifier on_rejection;
};

template <class Rule>
[[nodiscard]] transform_case transform_of(std::string name, const Rule& rule, position_law law) {
  return {std::move(name), std::move(law), transform_verifier<Rule>{rule}};
}

[[nodiscard]] plain_row lenient_law(const plain_row& p, const plain_row& q, double l, bool is_scaled) {
  plain_row law(p.size());
  plain_row left(p.size());
  double accepted = 0;
  for (std::size_t v = 0; v < p.size(); ++v) {
    if (q[v] > 0) law[v] = q[v] * std::min(1.0, p[v] / (l * q[v]));
    accepted += law[v];
    left[v] = std::max(p[v] - (is_scaled ? l : 1.0) * q[v], 0.0);
  }
  if (!has_mass(left)) return normalise(law);
  left = normalise(left);
  for (std::size_t v = 0; v < p.size(); ++v) law[v] += std::max(1 - accepted, 0.0) * left[v];
  return law;
}

[[nodiscard]] double plain_kl(const plain_row& a, const plain_row& b) {
  double sum = 0;
  for (std::size_t v = 0; v < a.size(); ++v) {
    if (a[v] > 0) sum += b[v] > 0 ? a[v] * std::log(a[v] / b[v]) : std::numeric_limits<double>::infinity();
  }
  return sum;
}
[[nodiscard]] double plain_tv(const plain_row& a, const plain_row& b) {
  double sum = 0;
  for (std::size_t v = 0; v < a.size(); ++v) sum += std::abs(a[v] - b[v]) / 2;
  return sum;
}
[[nodiscard]] double plain_divergence(divergence_kind kind, const plain_row& p, const plain_row& q) {
  if (kind == divergence_kind::target_from_draft) return plain_kl(p, q);
  if (kind == divergence_kind::draft_from_target) return plain_kl(q, p);
  if (kind == divergence_kind::total_variation) return plain_tv(p, q);
  plain_row middle(p.size());
  for (std::size_t v = 0; v < p.size(); ++v) middle[v] = (p[v] + q[v]) / 2;
  return (plain_kl(p, middle) + plain_kl(q, middle)) / 2;
}

/// Two nested bisections, where the library sorts.
[[nodiscard]] plain_row mentored_law(const plain_row& p, const plain_row& q, double budget) {
  if (plain_kl(p, q) <= budget) return q;
  const auto clipped = [&](double a, double b) {
    plain_row law(p.size());
    for (std::size_t v = 0; v < p.size(); ++v) law[v] = std::clamp(q[v], p[v] / b, p[v] / a);
    return law;
  };
  const auto for_lower = [&](double a) {
    double low = 0;  // in terms of 1 / b
    double high = 1;
    for (int i = 0; i < 200; ++i) {
      const double middle = (low + high) / 2;
      double sum = 0;
      for (const double x : clipped(a, 1 / middle)) sum += x;
      (sum < 1 ? low : high) = middle;
    }
    return clipped(a, 1 / high);
  };
  double low = 0;
  double high = 1;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    (plain_kl(p, normalise(for_lower(middle))) > budget ? low : high) = middle;
  }
  return normalise(for_lower(high));
}

[[nodiscard]] plain_row cascade_law(const cascade& with, const plain_row& p, const plain_row& q) {
  const double top_p = p[top_of(p)];
  const double top_q = q[top_of(q)];
  double entropy_q = 0;
  for (const double x : q) entropy_q -= x > 0 ? x * std::log(x) : 0.0;
  const double alpha = with.alpha;
  std::vector<bool> deferred(p.size());
  switch (with.rule) {
    case cascade_rule::chow: return top_q < 1 - alpha ? p : q;
    case cascade_rule::chow_log: return entropy_q > alpha ? p : q;
    case cascade_rule::difference: return top_q < top_p - alpha ? p : q;
    case cascade_rule::optimal: return top_q < top_p - alpha * plain_tv(p, q) ? p : q;
    case cascade_rule::token_v1:
      for (std::size_t v = 0; v < p.size(); ++v) deferred[v] = q[v] < top_p - alpha;
      break;
    case cascade_rule::token_v2:
      for (std::size_t v = 0; v < p.size(); ++v) deferred[v] = p[v] < top_p - alpha;
      break;
    case cascade_rule::token_v3:
      for (std::size_t v = 0; v < p.size(); ++v) deferred[v] = p[v] < (1 - alpha) * top_p;
      break;
  }
  plain_row law(p.size());
  double eta = 0;
  for (std::size_t v = 0; v < p.size(); ++v) eta += deferred[v] ? q[v] : 0.0;
  for (std::size_t v = 0; v < p.size(); ++v) law[v] = (deferred[v] ? 0.0 : q[v]) + eta * p[v];
  return law;
}

[[nodiscard]] std::vector<transform_case> transform_cases() {
  std::vector<transform_case> all;
  for (const double l : {0.9, 0.8, 0.3}) {
    for (const bool is_scaled : {false, true}) {
      const auto residual = is_scaled ? lenient_residual::scaled : lenient_residual::stock;
      all.push_back(transform_of(
          "lenience " + std::to_string(l) + (is_scaled ? " scaled" : " stock"), lenience{l, residual},
          [=](const plain_row& p, const plain_row& q, token_span) { return lenient_law(p, q, l, is_scaled); }));
    }
  }
  for (const double budget : {0.01, 0.05, 0.3}) {
    all.push_back(
        transform_of("mentored " + std::to_string(budget), mentored{budget},
                     [=](const plain_row& p, const plain_row& q, token_span) { return mentored_law(p, q, budget); }));
  }
  for (const auto kind : {divergence_kind::jensen_shannon, divergence_kind::target_from_draft,
                          divergence_kind::draft_from_target, divergence_kind::total_variation}) {
    for (const double threshold : {0.05, 0.31}) {
      all.push_back(transform_of("gate " + std::to_string(static_cast<int>(kind)) + " " + std::to_string(threshold),
                                 divergence_gate{threshold, kind},
                                 [=](const plain_row& p, const plain_row& q, token_span) {
                                   return plain_divergence(kind, p, q) < threshold ? q : p;
                                 }));
    }
  }
  for (const auto rule : {cascade_rule::chow, cascade_rule::chow_log, cascade_rule::difference, cascade_rule::optimal,
                          cascade_rule::token_v1, cascade_rule::token_v2, cascade_rule::token_v3}) {
    for (const double alpha : {0.0, 0.17, 0.62}) {
      const cascade with{rule, alpha};
      all.push_back(
          transform_of("cascade " + std::to_string(static_cast<int>(rule)) + " " + std::to_string(alpha), with,
                       [=](const plain_row& p, const plain_row& q, token_span) { return cascade_law(with, p, q); }));
    }
  }
  const cascade greedy_cascade{cascade_rule::token_v3, 0.4, false, true};
  all.push_back(transform_of("greedy cascade", greedy_cascade, [=](const plain_row& p, const plain_row& q, token_span) {
    return point(top_of(cascade_law(greedy_cascade, p, q)), p.size());
  }));
  const lenience guarded{0.4};
  all.push_back({"lenience with end tokens",
                 [=](const plain_row& p, const plain_row& q, token_span) {
                   plain_row law = lenient_law(p, q, 0.4, false);
                   const double end_0 = std::min(law[0], p[0]);
                   const double end_1 = std::min(law[1], p[1]);
                   const bool is_changed = p[0] < law[0] || p[1] < law[1];
                   if (!is_changed) return law;
                   law[0] = law[1] = 0;
                   if (!has_mass(law)) return p;
                   law = normalise(law);
                   for (double& x : law) x *= 1 - end_0 - end_1;
                   law[0] = end_0;
                   law[1] = end_1;
                   return law;
                 },
                 transform_verifier<lenience>{guarded, {}, {{0, 1}}}});
  return all;
}

/// A rule of the target's law alone: it holds at bonus positions too, so whole texts can be compared.
struct sharpened {
  static constexpr bool needs_draft_row = false;
  template <class Real>
  using work = no_work<Real>;

  template <class Real, class Laws>
  [[nodiscard]] emitted_law transform(const transform_site<Real, Laws>& site, no_work<Real>&,
                                      distribution<Real>& out) const {
    return detail::write_pairwise(site.target, site.target, out, [](const Real& p, const Real&) { return p * p; });
  }
};

[[nodiscard]] plain_row square(const plain_row& p) {
  plain_row law(p.size());
  for (std::size_t v = 0; v < p.size(); ++v) law[v] = p[v] * p[v];
  return normalise(law);
}

// --- Predicates ---

/// Whether the predicate accepts a token after a context.
using plain_predicate = std::function<bool(const plain_row& p, std::size_t v, token_span context)>;

[[nodiscard]] plain_predicate typical(double epsilon, double delta) {
  return [=](const plain_row& p, std::size_t v, token_span) {
    double entropy_with_offset = 0;
    for (const double x : p) entropy_with_offset -= x * std::log(x + 1e-5);
    return p[v] > std::min(epsilon, delta * std::exp(-entropy_with_offset));
  };
}
[[nodiscard]] plain_predicate among_best(std::size_t k) {
  return [=](const plain_row& p, std::size_t v, token_span) {
    std::size_t better = 0;
    for (std::size_t u = 0; u < p.size(); ++u) better += p[u] > p[v] || (p[u] == p[v] && u < v);
    return p[v] > 0 && better < k;
  };
}
[[nodiscard]] plain_predicate within_margin(double margin) {
  return [=](const plain_row& p, std::size_t v, token_span context) {
    if (among_best(1)(p, v, context)) return true;
    return among_best(2)(p, v, context) && p[v] > p[top_of(p)] * std::exp(-margin);
  };
}

/// The law that draws in sequence, the predicate, the standard test and the correction make together at one node.
class walk_law {
 public:
  walk_law(made children, std::int32_t width, plain_predicate accepts, standard_test standard,
           correction_rule correction)
      : children_(children),
        width_(width),
        accepts_(std::move(accepts)),
        standard_(standard),
        correction_(correction) {}

  [[nodiscard]] plain_row operator()(const plain_row& p, const plain_row& q, token_span context) const {
    plain_row law(p.size());
    test(state{p, context}, p, q, width_, 1, law);
    return law;
  }

 private:
  struct state {
    const plain_row& p;
    token_span context;
  };

  void test(const state& at, const plain_row& running, const plain_row& q, std::int32_t left, double weight,
            plain_row& law) const {
    if (left == 0 || !has_mass(q)) return correct(at, running, weight, law);
    if (children_ == made::ranked) return try_token(at, running, q, left, top_of(q), weight, law);
    for (std::size_t v = 0; v < q.size(); ++v) {
      if (q[v] > 0) try_token(at, running, q, left, v, weight * q[v], law);
    }
  }

  void try_token(const state& at, const plain_row& running, const plain_row& q, std::int32_t left, std::size_t v,
                 double weight, plain_row& law) const {
    const plain_row proposal = children_ == made::ranked ? point(v, q.size()) : q;
    const double by_standard = standard_ == standard_test::rejection ? std::min(1.0, running[v] / proposal[v])
                               : standard_ == standard_test::greedy  ? (v == top_of(at.p) ? 1.0 : 0.0)
                                                                     : 0.0;
    const double accepted = accepts_(at.p, v, at.context) ? 1.0 : by_standard;
    law[v] += weight * accepted;
    if (!(accepted < 1)) return;
    plain_row next = q;
    if (children_ != made::independent) next[v] = 0;
    if (children_ == made::distinct && has_mass(next)) next = normalise(next);
    test(at, residual_of(running, proposal), next, left - 1, weight * (1 - accepted), law);
  }

  void correct(const state& at, const plain_row& running, double weight, plain_row& law) const {
    const bool by_residual = correction_ == correction_rule::residual && standard_ == standard_test::rejection;
    const plain_row last = correction_ == correction_rule::argmax ? point(top_of(at.p), at.p.size())
                           : by_residual                          ? running
                                                                  : at.p;
    for (std::size_t v = 0; v < law.size(); ++v) law[v] += weight * last[v];
  }

  made children_;
  std::int32_t width_;
  plain_predicate accepts_;
  standard_test standard_;
  correction_rule correction_;
};

/// All trees, tests and corrections of one predicate.
class predicate_suite {
 public:
  predicate_suite(std::string name, plain_predicate accepts) : name_(std::move(name)), accepts_(std::move(accepts)) {}

  template <class Make>
  void prove(const Make& make) {
    using enum standard_test;
    using enum correction_rule;
    for (const correction_rule correction : {draw, argmax}) {
      prove_trees(make(std::integral_constant<standard_test, none>{}, correction), none, correction);
      prove_trees(make(std::integral_constant<standard_test, greedy>{}, correction), greedy, correction);
    }
    for (const correction_rule correction : {residual, draw}) {
      prove_trees(make(std::integral_constant<standard_test, rejection>{}, correction), rejection, correction);
    }
  }

  proof_tally tally{};

 private:
  void prove_trees(const proved_verifier& verifier, standard_test standard, correction_rule correction) {
    for (const tree_form& form : {short_chain, tree_form{made::ranked, {2, 2}}, tree_form{made::independent, {2}},
                                  tree_form{made::distinct, {2, 1}}}) {
      for (const auto& world : toys(form.widths.size() > 1 && form.children != made::ranked ? 3 : 4)) {
        const auto level = [&](std::size_t depth) {
          return walk_law(form.children, form.widths[depth], accepts_, standard, correction);
        };
        const std::size_t prompt = world.prompt.size();
        tally.add(
            name_ + " test " + std::to_string(static_cast<int>(standard)) + " correction " +
                std::to_string(static_cast<int>(correction)),
            world, form, verifier,
            [&](const plain_row& p, const plain_row& q, token_span context) {
              return level(context.size() - prompt)(p, q, context);
            },
            correction == correction_rule::argmax ? most_probable() : keeps_target());
      }
    }
  }

  std::string name_;
  plain_predicate accepts_;
};

template <class Test>
[[nodiscard]] auto verifier_maker(const Test& test) {
  return [test](auto standard, correction_rule correction) -> proved_verifier {
    return predicate_verifier<Test, standard.value>{test, correction};
  };
}

// --- Judges ---

/// Hidden rows of a toy: two numbers made of a token and the one before it. Knows the tree of the step under way.
struct token_features {
  mutable const token_tree* tree = nullptr;
  mutable std::array<float, 2> row{};

  [[nodiscard]] static std::array<float, 2> of(token before, token id) {
    return {static_cast<float>((before + 2 * id) % 3) - 1.0f, static_cast<float>((3 * before + id) % 5) - 2.0f};
  }
  [[nodiscard]] std::span<const float> hidden(node_id n) const {
    row = of(tree->token_of(tree->parent(n)), tree->token_of(n));
    return row;
  }
};

/// Shows the tree to the features before the judge looks at them.
template <class Judge>
struct over_toy_features {
  static constexpr guarantee promises = Judge::promises;
  static constexpr edge_needs needs = Judge::needs;
  static constexpr shape_needs shape = Judge::shape;
  template <class Real>
  using work = typename Judge::template work<Real>;

  Judge judge;
  const token_features* features;

  template <class Real, class Laws, class Chance>
  [[nodiscard]] error_code verify(const token_draft<Real>& draft, Laws& target, Chance& chance,
                                  std::uint64_t root_position, work<Real>& scratch, verdict& out) const {
    features->tree = &draft.tree;
    return judge.verify(draft, target, chance, root_position, scratch, out);
  }
};

// --- Windows ---

/// The one text of a step of loose speculation on a greedy chain.
[[nodiscard]] proof::sequence_law<double> loose_law(const proof::toy<double>& world, std::size_t length,
                                                    const loose_window& rule) {
  std::vector<plain_row> laws;
  std::vector<token> drafted;
  std::vector<token> context = world.prompt;
  for (std::size_t i = 0; i <= length; ++i) {
    plain_row p(world.vocab_size());
    plain_row q(world.vocab_size());
    world.target.weights(context, p);
    world.draft.weights(context, q);
    laws.push_back(normalise(p));
    drafted.push_back(static_cast<token>(top_of(q)));
    context.push_back(drafted.back());
  }
  const auto agrees = [&](std::size_t i) { return static_cast<token>(top_of(laws[i])) == drafted[i]; };
  std::size_t accepted = 0;
  for (; accepted < length; ++accepted) {
    if (agrees(accepted)) continue;
    bool is_harmless = accepted + rule.window < length;
    for (std::size_t j = 1; is_harmless && j < rule.window; ++j) is_harmless = agrees(accepted + j);
    plain_row sorted = laws[accepted];
    std::sort(sorted.rbegin(), sorted.rend());
    sorted.resize(std::min<std::size_t>(3, sorted.size()));
    double entropy_of_three = 0;
    for (const double x : sorted) entropy_of_three -= x > 0 ? x * std::log(x) : 0.0;
    const bool is_gated = rule.min_entropy > 0.01 && entropy_of_three < rule.min_entropy;
    if (!is_harmless || is_gated) break;
  }
  std::vector<token> text(drafted.begin(), drafted.begin() + static_cast<std::ptrdiff_t>(accepted));
  text.push_back(static_cast<token>(top_of(laws[accepted])));
  proof::sequence_law<double> law;
  law.add(text, 1);
  return law;
}

}  // namespace

TEST_CASE("transform verifiers emit the law their rule documents on chains") {
  proof_tally tally;
  for (const transform_case& one : transform_cases()) {
    for (const auto& world : toys(4)) {
      tally.add(one.name, world, short_chain, one.on_rejection, one.law, keeps_target());
    }
  }
  CHECK(tally.proofs >= 500);
  CHECK(tally.farthest_from_target > 0.2);
}

TEST_CASE("transform verifiers emit the law their rule documents on trees") {
  proof_tally tally;
  for (const transform_case& one : transform_cases()) {
    for (const tree_form& form :
         {tree_form{made::ranked, {2, 1}}, tree_form{made::independent, {2}}, tree_form{made::distinct, {2, 1}}}) {
      for (const auto& world : toys(3)) tally.add(one.name, world, form, one.on_rejection, one.law, keeps_target());
    }
  }
  CHECK(tally.proofs >= 600);
}

TEST_CASE("transform verifiers take any exact verifier as their base") {
  proof_tally tally;
  const position_law lenient = [](const plain_row& p, const plain_row& q, token_span) {
    return lenient_law(p, q, 0.7, true);
  };
  const position_law mentor = [](const plain_row& p, const plain_row& q, token_span) {
    return mentored_law(p, q, 0.1);
  };
  const lenience l{0.7, lenient_residual::scaled};
  const mentored m{0.1};
  const tree_form long_chain{made::independent, {1, 1, 1}};
  for (const auto& world : toys(3)) {
    tally.add("lenience, token by token", world, long_chain, transform_verifier<lenience, speculative_sampling>{l},
              lenient, keeps_target());
    tally.add("lenience, block", world, long_chain, transform_verifier<lenience, block_verification>{l}, lenient,
              keeps_target());
    tally.add("mentored, block", world, long_chain, transform_verifier<mentored, block_verification>{m}, mentor,
              keeps_target());
    for (const tree_form& form : {tree_form{made::distinct, {2, 1}}, tree_form{made::independent, {1, 2}}}) {
      tally.add("lenience, traversal", world, form, transform_verifier<lenience, traversal>{l}, lenient,
                keeps_target());
      tally.add("mentored, traversal", world, form, transform_verifier<mentored, traversal>{m}, mentor, keeps_target());
    }
  }
  CHECK(tally.proofs >= 60);
}

TEST_CASE("transformed laws do not leak from one step to the next") {
  const position_law sharp = [](const plain_row& p, const plain_row&, token_span) { return square(p); };
  std::size_t proofs = 0;
  for (const auto& world : toys(3)) {
    const auto documented = documented_law(world, 0, sharp, sharp);
    for (const tree_form& form : {short_chain, tree_form{made::distinct, {2}}}) {
      const auto two_steps =
          prove_position_law(world, form.builder(), transform_verifier<sharpened>{}, documented, {2});
      INFO(form.name() << ", toy " << world.name << ": " << two_steps.describe());
      CHECK(two_steps.exact());
      ++proofs;
    }
    proof::proof_options three_tokens;
    three_tokens.tokens = 3;
    const auto texts =
        prove_position_law(world, short_chain.builder(), transform_verifier<sharpened>{}, documented, three_tokens);
    INFO("toy " << world.name << ": " << texts.describe());
    CHECK(texts.exact());
    ++proofs;
  }
  CHECK(proofs >= 20);
}

TEST_CASE("typical acceptance in draw order emits the law it documents") {
  for (const auto& [epsilon, delta] : {std::pair{0.09, 0.3}, std::pair{0.3, 0.09}, std::pair{0.35, 0.9}}) {
    predicate_suite suite("typical", typical(epsilon, delta));
    suite.prove(verifier_maker(typical_test{epsilon, delta}));
    CHECK(suite.tally.proofs >= 250);
    CHECK(suite.tally.farthest_from_target > 0.2);
  }
}

TEST_CASE("top-k acceptance emits the law it documents") {
  for (const std::size_t k : {std::size_t{1}, std::size_t{2}, std::size_t{3}}) {
    predicate_suite suite("top-k", among_best(k));
    suite.prove(verifier_maker(top_k_test{k}));
    CHECK(suite.tally.proofs >= 250);
    CHECK(suite.tally.farthest_from_target > 0.2);
  }
}

TEST_CASE("margin acceptance emits the law it documents") {
  for (const double margin : {0.1, 0.5, 2.0}) {
    predicate_suite suite("margin", within_margin(margin));
    suite.prove(verifier_maker(margin_test{margin}));
    CHECK(suite.tally.proofs >= 250);
    CHECK(suite.tally.farthest_from_target > 0.2);
  }
}

TEST_CASE("a judge emits the law it documents") {
  const token_features features;
  const linear_head head{{0.8f, -0.6f}, 0.3};
  for (const double threshold : {0.0, 0.3, 0.6, 1.0}) {
    const double limit = std::log(threshold / (1 - threshold));
    predicate_suite suite("judge", [&](const plain_row&, std::size_t v, token_span context) {
      const auto h = token_features::of(context.back(), static_cast<token>(v));
      return 0.8f * h[0] - 0.6f * h[1] + 0.3 > limit;
    });
    suite.prove([&](auto standard, correction_rule correction) -> proved_verifier {
      using judge_type = judge<standard.value, token_features>;
      return over_toy_features<judge_type>{{{head, threshold, {&features}}, correction}, &features};
    });
    CHECK(suite.tally.proofs >= 250);
  }
}

TEST_CASE("end tokens are left to the standard test") {
  proof_tally tally;
  using judge_type = judge<standard_test::rejection, token_features>;
  const token_features features;
  const plain_predicate all_but_one = [](const plain_row&, std::size_t v, token_span) { return v != 1; };
  const walk_law law(made::independent, 1, all_but_one, standard_test::rejection, correction_rule::residual);
  for (const auto& world : toys(4)) {
    const over_toy_features<judge_type> verifier{
        {{linear_head{{0, 0}, 0}, 0, {&features}}, correction_rule::residual, {{1}}}, &features};
    tally.add("judge that accepts all", world, short_chain, verifier, law, keeps_target());
  }
  CHECK(tally.proofs >= 10);
}

TEST_CASE("loose speculation emits the text its rule documents") {
  std::size_t proofs = 0;
  std::size_t relaxed = 0;
  for (const auto& world : toys(5)) {
    for (const loose_window& rule : {loose_window{1}, loose_window{2}, loose_window{3, 0.9}, loose_window{2, 1.0}}) {
      const auto documented = loose_law(world, 7, rule);
      const auto report = proof::prove_documented(world, proof::drafter_of(world, proved_builder(chain<ranked>{7})),
                                                  proved_verifier(loose_speculation{rule}), documented);
      INFO("toy " << world.name << ", window " << rule.window << ": " << report.describe());
      CHECK(report.exact());
      ++proofs;
      relaxed += documented.longest() > loose_law(world, 7, loose_window{7}).longest();
    }
  }
  CHECK(proofs >= 80);
  CHECK(relaxed >= 20);
}

TEST_CASE("the wrong documented law is noticed") {
  std::size_t noticed = 0;
  const position_law stock = [](const plain_row& p, const plain_row& q, token_span) {
    return lenient_law(p, q, 0.8, false);
  };
  for (const auto& world : toys(4)) {
    const auto documented = documented_law(world, 1, stock, keeps_target());
    const transform_verifier<lenience> scaled{{0.8, lenient_residual::scaled}};
    noticed += !prove_position_law(world, one_draw.builder(), scaled, documented).exact();
  }
  CHECK(noticed >= 4);
}

}  // namespace decant_test
