// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/model/law_model.hpp>
#include <decant/model/laws.hpp>
#include <decant/proof/faulty_models.hpp>
#include <decant/sample/sampler.hpp>

#include <vector>

#include "tests/support/test_kit.hpp"

using namespace decant;
using proof::row_fault;

namespace {

auto weights_model() { return make_law_model(shifted_law<float>::toy_a_target(0), 32); }
auto logits_model() { return make_law_model<row_content::logits>(shifted_law<float>::toy_a_target(0), 32); }

/// What a sampler and a size check say about a row.
template <class S>
error_code judged(const S& sampler, std::span<const float> row, std::size_t vocab_size) {
  if (row.empty()) return error_code::row_unavailable;
  if (row.size() != vocab_size) return error_code::row_wrong_size;
  typename S::template scratch_type<float> scratch{};
  distribution<float> law;
  return sampler.law(row, sampler.initial_state(), scratch, law);
}

/// Asks for three rows, number 1 of which is faulty.
template <class Make, class S>
void check_fault(Make make, const S& sampler, row_fault fault) {
  proof::corrupt_rows_model m(make(), 1, fault);
  token_tree tree(0);
  tree.append(0, 1);
  tree.append(0, 2);
  auto rows = m.evaluate(tree, tree.all());
  REQUIRE(rows);
  CHECK(judged(sampler, rows->row(0), 4) == error_code::none);
  CHECK_FALSE(m.fired());
  CHECK(judged(sampler, rows->row(2), 4) == expected_error(fault));
  CHECK(m.fired());
  CHECK(judged(sampler, rows->row(1), 4) == error_code::none);
  CHECK(judged(sampler, rows->row(2), 4) == error_code::none);
  CHECK(m.rows_asked() == 4);
}

}  // namespace

TEST_CASE("a failing model fails at the chosen call and only there") {
  const token_tree tree(1);
  const std::vector<token> prompt{0, 1};
  const std::vector<error_code> sound(3, error_code::none);
  for (std::size_t n = 0; n < 4; ++n) {
    auto inner = weights_model();
    proof::failing_model m(inner, n);
    std::vector<error_code> seen;
    seen.push_back(m.prefill(prompt).code());
    seen.push_back(m.evaluate(tree, tree.all()).code());
    const bool pending = seen.back() == error_code::none;
    seen.push_back(m.commit(pending ? tree.all() : node_span{}).code());
    std::vector<error_code> expected = sound;
    if (n < 3) expected[n] = error_code::model_failed;
    CHECK(seen == expected);
    CHECK(m.calls() == 3);
    CHECK(m.fired() == (n < 3));
    CHECK(m.truncate(0));
    CHECK(m.calls() == 3);
    CHECK(m.length() == 0);
  }
}

TEST_CASE("the call that fails is not seen by the wrapped model") {
  auto inner = weights_model();
  proof::failing_model m(inner, 1);
  const std::vector<token> prompt{0, 1};
  REQUIRE(m.prefill(prompt));
  CHECK(m.prefill(prompt).code() == error_code::model_failed);
  CHECK(inner.length() == 2);
  REQUIRE(m.prefill(prompt));
  CHECK(inner.length() == 4);
}

TEST_CASE("a failing model may fail with another error") {
  proof::failing_model m(weights_model(), 0, proof::returned_fault{error_code::context_full});
  const std::vector<token> prompt{0};
  CHECK(m.prefill(prompt).code() == error_code::context_full);
}

TEST_CASE("a throwing model throws at the chosen call and only there") {
  auto inner = weights_model();
  proof::throwing_model m(inner, 1);
  const token_tree tree(1);
  const std::vector<token> prompt{0, 1};
  REQUIRE(m.prefill(prompt));
  CHECK_THROWS_AS(m.evaluate(tree, tree.all()), proof::injected_failure);
  CHECK(m.fired());
  CHECK(inner.length() == 2);
  REQUIRE(m.evaluate(tree, tree.all()));
  REQUIRE(m.commit(tree.all()));
  CHECK(m.length() == 3);
}

TEST_CASE("a model that never fails is the model it wraps") {
  auto inner = logits_model();
  proof::corrupt_rows_model rows_of(inner, proof::never, row_fault::nan);
  proof::failing_model m(rows_of, proof::never);
  const token_tree tree(1);
  auto rows = m.evaluate(tree, tree.all());
  REQUIRE(rows);
  CHECK(judged(sampler_chain<>{}, rows->row(0), 4) == error_code::none);
  CHECK_FALSE(m.fired());
  CHECK_FALSE(rows_of.fired());
}

TEST_CASE("every fault of a logits row is seen for what it is") {
  for (const row_fault fault : proof::logits_faults) check_fault(logits_model, sampler_chain<>{}, fault);
}

TEST_CASE("every fault of a weights row is seen for what it is") {
  for (const row_fault fault : proof::weights_faults) check_fault(weights_model, given_law{}, fault);
}
