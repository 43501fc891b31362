// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Typical acceptance is lossy: its law is not the target's but the one its rule documents. The rule is written here a
// second time, as a plain recursion over the top-k tree, and the enumerated law of the policy must equal it.
#include <decant/verify/typical_acceptance.hpp>

#include "tests/proof/configurations.hpp"
#include "tests/support/test_kit.hpp"

namespace decant_test {
namespace {

/// The parameters of the rule, by name.
struct rule {
  double epsilon;
  double delta;
  bool greedy_last;
};

/// Medusa's documentation and Medusa's helper functions; see the header.
constexpr rule documented{0.09, 0.3, false};
constexpr rule swapped{0.3, 0.09, false};

class rule_law {
 public:
  rule_law(const proof::toy<double>& world, std::vector<std::size_t> widths, rule parameters)
      : world_(world), widths_(std::move(widths)), rule_(parameters) {
    visit({}, 0);
  }

  /// The law of one step.
  [[nodiscard]] proof::sequence_law<double> law() const {
    proof::sequence_law<double> result;
    std::vector<double> p = row(world_.target, best_);
    if (rule_.greedy_last) {
      const auto top = std::max_element(p.begin(), p.end());
      std::fill(p.begin(), top, 0.0);
      std::fill(top + 1, p.end(), 0.0);
    } else {
      const double limit = threshold(p);
      const bool any = std::any_of(p.begin(), p.end(), [&](double x) { return x > limit; });
      for (double& x : p) {
        if (any && !(x > limit)) x = 0;
      }
    }
    p = zoo::normalised(p);
    for (std::size_t v = 0; v < p.size(); ++v) {
      if (!(p[v] > 0)) continue;
      std::vector<token> emitted = best_;
      emitted.push_back(static_cast<token>(v));
      result.add(emitted, p[v]);
    }
    return result;
  }

 private:
  [[nodiscard]] std::vector<double> row(const proof::erased_law<double>& law, const std::vector<token>& path) const {
    std::vector<token> context = world_.prompt;
    context.insert(context.end(), path.begin(), path.end());
    std::vector<double> weights(law.vocab_size());
    law.weights(context, weights);
    return zoo::normalised(weights);
  }

  [[nodiscard]] double threshold(const std::vector<double>& p) const {
    double entropy_with_offset = 0;
    for (const double x : p) entropy_with_offset -= x * std::log(x + 1e-5);
    return std::min(rule_.epsilon, rule_.delta * std::exp(-entropy_with_offset));
  }

  /// Visits the acceptable paths; longer ones win, then likelier ones, then earlier ones.
  void visit(const std::vector<token>& path, double log_probability) {
    const bool better =
        path.size() > best_.size() || (path.size() == best_.size() && log_probability > best_log_probability_);
    if (better) {
      best_ = path;
      best_log_probability_ = log_probability;
    }
    if (path.size() == widths_.size()) return;
    const std::vector<double> p = row(world_.target, path);
    std::vector<double> q = row(world_.draft, path);
    for (std::size_t i = 0; i < widths_[path.size()]; ++i) {
      const auto top = std::max_element(q.begin(), q.end());
      if (!(*top > 0)) return;
      *top = 0;
      const auto t = static_cast<std::size_t>(top - q.begin());
      if (!(p[t] > threshold(p))) continue;
      std::vector<token> longer = path;
      longer.push_back(static_cast<token>(t));
      visit(longer, log_probability + std::log(p[t]));
    }
  }

  const proof::toy<double>& world_;
  std::vector<std::size_t> widths_;
  rule rule_;
  std::vector<token> best_;
  double best_log_probability_ = 0;
};

[[nodiscard]] typical_acceptance verifier_of(rule parameters) {
  return {parameters.epsilon, parameters.delta, parameters.greedy_last};
}

[[nodiscard]] proof::proof_report<double> proof_of(const proof::toy<double>& world, rule law, rule policy) {
  return proof::prove_documented(world, proof::drafter_of(world, static_widths<ranked>{{2, 2}}), verifier_of(policy),
                                 rule_law(world, {2, 2}, law).law());
}

}  // namespace

TEST_CASE("typical acceptance follows its documented rule") {
  std::size_t proofs = 0;
  for (const auto& world : proof::standard_toys<double>(5)) {
    for (rule parameters : {documented, swapped, rule{0.05, 0.5, false}}) {
      for (const bool greedy_last : {false, true}) {
        parameters.greedy_last = greedy_last;
        const auto report = proof_of(world, parameters, parameters);
        INFO("toy " << world.name << ", epsilon " << parameters.epsilon << ": " << report.describe());
        CHECK(report.exact());
        ++proofs;
      }
    }
  }
  CHECK(proofs == 132);
}

TEST_CASE("typical acceptance names the two published pairs") {
  CHECK(typical_acceptance::documented() == verifier_of(documented));
  CHECK(typical_acceptance::swapped() == verifier_of(swapped));
}

TEST_CASE("swapped constants of typical acceptance are noticed") {
  std::size_t noticed = 0;
  for (const auto& world : proof::standard_toys<double>(5)) noticed += !proof_of(world, documented, swapped).exact();
  CHECK(noticed >= 4);
}

TEST_CASE("typical acceptance does not have the target's law") {
  std::size_t lossy = 0;
  for (const auto& world : proof::standard_toys<double>(5)) {
    lossy += !proof::prove_steps(world, chain<ranked>{2}, typical_acceptance::documented()).exact();
  }
  CHECK(lossy >= 10);
}

}  // namespace decant_test
