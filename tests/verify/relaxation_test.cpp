// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What all relaxed verifiers share, and what holds for all of them: sparse and dense rows, float and double, no
// allocations.
#include <decant/core/philox.hpp>
#include <decant/verify/any_verifier.hpp>
#include <decant/verify/block_verification.hpp>
#include <decant/verify/cascades.hpp>
#include <decant/verify/divergence_gate.hpp>
#include <decant/verify/judge.hpp>
#include <decant/verify/lenience.hpp>
#include <decant/verify/loose_window.hpp>
#include <decant/verify/margin_acceptance.hpp>
#include <decant/verify/mentored.hpp>
#include <decant/verify/reflective.hpp>
#include <decant/verify/top_k_acceptance.hpp>
#include <decant/verify/traversal.hpp>
#include <decant/verify/typical_acceptance.hpp>

#include "tests/support/allocation_counter.hpp"
#include "tests/verify/relaxed_kit.hpp"

namespace decant_test {
namespace {

/// One number per node, the same in every draft.
struct node_numbers {
  std::array<float, 64> numbers{};

  node_numbers() {
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i % 5) - 2;
  }
  [[nodiscard]] std::span<const float> hidden(node_id n) const {
    return std::span<const float>(numbers).subspan(index(n), 1);
  }
};
const node_numbers hidden_numbers;

template <class Real>
struct named_verifier {
  const char* name;
  any_verifier<Real> verifier;
};

template <class Real>
[[nodiscard]] std::vector<named_verifier<Real>> all_relaxed() {
  const end_tokens ends{{3, 4}};
  const judge_test<node_numbers> judging{{{1}, .2}, .5, {&hidden_numbers}};
  return {
      {"lenience", lenient_verification<>{{.6}}},
      {"lenience, scaled, guarded", lenient_verification<traversal>{{.6, lenient_residual::scaled}, {}, ends}},
      {"mentored", mentored_decoding<>{{.1}}},
      {"mentored by block", mentored_decoding<block_verification>{{.1}}},
      {"gate", fuzzy_verification<>{{.2}, {}, ends}},
      {"cascade", speculative_cascade<>{{cascade_rule::optimal, .1}}},
      {"token cascade", speculative_cascade<>{{cascade_rule::token_v3, .5}}},
      {"greedy cascade", speculative_cascade<>{{cascade_rule::token_v1, .1, false, true}}},
      {"reflective", reflective_verification<>{{.4}}},
      {"typical", typical_walk<>{{}, correction_rule::draw, ends}},
      {"top-k", top_k_acceptance<>{{5}}},
      {"top-k or coin", top_k_acceptance<standard_test::rejection>{{5}}},
      {"margin", margin_acceptance<standard_test::greedy>{{.3}}},
      {"judge", judge<standard_test::rejection, node_numbers>{judging, correction_rule::residual, ends}},
      {"greedy judge", judge<standard_test::greedy, node_numbers>{judging}},
      {"loose window", loose_speculation{{2}}},
  };
}

template <class Real>
void write_row(distribution<Real>& out, const std::vector<double>& row, bool sparse) {
  if (sparse) {
    out.begin_sparse(row.size());
    for (std::size_t v = 0; v < row.size(); ++v) {
      if (row[v] > 0) out.push(static_cast<token>(v), static_cast<Real>(row[v]));
    }
  } else {
    const std::span<Real> weights = out.begin_dense(row.size());
    for (std::size_t v = 0; v < row.size(); ++v) weights[v] = static_cast<Real>(row[v]);
  }
  REQUIRE(out.finish() == error_code::none);
}

/// A drawn chain of four and its target laws; number `number` of an endless list.
template <class Real>
struct random_step {
  using value_type = Real;

  token_draft<Real> draft;
  std::array<distribution<Real>, 5> target;

  random_step(std::uint64_t number, bool sparse_target, bool sparse_draft) {
    constexpr std::size_t vocab_size = 12;
    std::uint64_t state = 1000 + number;
    const philox_chance chance{number};
    draft.reset(0);
    for (node_id n = 0; n < 5; ++n) {
      write_row(target[index(n)], random_row(state, vocab_size, true), sparse_target);
      const auto q = random_row(state, vocab_size, true);
      if (n == 4) break;
      write_row(draft.add_row_after(n), q, sparse_draft);
      const std::int32_t row = draft.row_after(n);
      const token drawn = chance.pick(draft_key(10, n), draft.rows.row(row));
      (void)draft.tree.append(n, drawn, {edge_law::independent, row});
    }
  }

  [[nodiscard]] const distribution<Real>* law(node_id n) { return &target[index(n)]; }
  [[nodiscard]] error_code status() const { return error_code::none; }
};

template <class Real>
[[nodiscard]] verdict verdict_of(const any_verifier<Real>& verifier, random_step<Real> step, std::uint64_t seed) {
  philox_chance chance{seed};
  typename any_verifier<Real>::template work<Real> work;
  verdict made;
  REQUIRE(verifier.verify(step.draft, step, chance, 10, work, made) == error_code::none);
  return made;
}

}  // namespace

TEST_CASE("end tokens are guarded unless that is waived") {
  CHECK(end_tokens{{2, 5}}.guards(5));
  CHECK_FALSE(end_tokens{{2, 5}}.guards(3));
  CHECK_FALSE(end_tokens{{2, 5}, true}.guards(5));
  CHECK_FALSE(end_tokens{}.guards(0));
}

TEST_CASE("a draw may be refused when its drafter likes it better than the target does") {
  for (const token drawn : {0, 1, 2}) {
    const verify_case given = drawn_case(drawn);
    CHECK(detail::may_be_refused(given.draft, 1, view_of(golden_p)) == (drawn == 2));
  }
  verify_case chosen;
  (void)chosen.add(0, 0);
  CHECK(detail::may_be_refused(chosen.draft, 1, view_of(golden_p)));
  const std::vector<double> certain{3, 0};
  CHECK_FALSE(detail::may_be_refused(chosen.draft, 1, view_of(certain)));
}

TEMPLATE_TEST_CASE("every relaxed verifier decides alike over sparse and dense rows", "", float, double) {
  for (const auto& [name, verifier] : all_relaxed<TestType>()) {
    INFO(name);
    std::size_t relaxed = 0;
    for (std::uint64_t number = 0; number < 150; ++number) {
      const verdict dense = verdict_of(verifier, random_step<TestType>(number, false, false), number);
      relaxed += dense.relaxed.size();
      for (const auto& [sparse_target, sparse_draft] : {std::pair{true, true}, {true, false}, {false, true}}) {
        const verdict other = verdict_of(verifier, random_step<TestType>(number, sparse_target, sparse_draft), number);
        REQUIRE(other.path == dense.path);
        REQUIRE(other.last == dense.last);
        REQUIRE(other.kind == dense.kind);
        REQUIRE(other.relaxed == dense.relaxed);
        REQUIRE(near(other.loss.total_variation, dense.loss.total_variation, 1e-6));
        REQUIRE(other.loss.tokens == dense.loss.tokens);
      }
    }
    if (verifier.needs_value() != edge_needs::nothing && std::string(name) != "reflective") CHECK(relaxed > 0);
  }
}

TEST_CASE("every relaxed verifier decides alike in float and double") {
  const auto in_float = all_relaxed<float>();
  const auto in_double = all_relaxed<double>();
  std::size_t different = 0;
  std::size_t compared = 0;
  for (std::size_t i = 0; i < in_float.size(); ++i) {
    for (std::uint64_t number = 0; number < 150; ++number) {
      const verdict a = verdict_of(in_float[i].verifier, random_step<float>(number, false, false), number);
      const verdict b = verdict_of(in_double[i].verifier, random_step<double>(number, false, false), number);
      ++compared;
      different += a.path != b.path || a.last != b.last;
    }
  }
  CHECK(compared == in_float.size() * 150);
  CHECK(different <= 2);  // a coin within rounding of its threshold
}

TEST_CASE("no relaxed verifier allocates once it is warm") {
  std::vector<random_step<float>> steps;
  for (std::uint64_t number = 0; number < 60; ++number) steps.emplace_back(number, number % 2 == 0, number % 3 == 0);
  for (const auto& [name, verifier] : all_relaxed<float>()) {
    any_verifier<float>::work<float> work;
    verdict made;
    philox_chance chance{};
    const auto run_all = [&, &by = verifier] {
      for (auto& step : steps) {
        chance.seed++;
        (void)by.verify(step.draft, step, chance, 10, work, made);
      }
    };
    for (int i = 0; i < 8; ++i) run_all();  // rare paths too must have been taken
    INFO(name);
    CHECK(allocations_of(run_all) == 0);
    CHECK(allocations_of(run_all) == 0);
    CHECK(allocations_of(run_all) == 0);
  }
}

TEST_CASE("every relaxed verifier counts its tokens and the relaxed ones among them") {
  for (const auto& [name, verifier] : all_relaxed<double>()) {
    INFO(name);
    relaxed_loss sum;
    for (std::uint64_t number = 0; number < 50; ++number) {
      const verdict made = verdict_of(verifier, random_step<double>(number, false, false), number);
      CHECK(made.loss.passes == 1);
      CHECK(made.loss.tokens == made.path.size());
      CHECK(made.loss.relaxed == made.relaxed.size());
      CHECK(made.loss.regrets == made.relaxed.size());
      CHECK(made.loss.total_variation <= static_cast<double>(made.loss.positions) + 1e-12);
      sum.merge(made.loss);
    }
    CHECK(sum.passes == 50);
    CHECK(sum.relaxed_share() <= 1);
  }
}

}  // namespace decant_test
