// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Where the shoot-out of trees takes place: sites (contexts in which one step is studied), and at every context below a
// site the rows of the target and of a drafter of known quality.
#ifndef DECANT_BENCHMARKS_TREES_WORLDS_HPP
#define DECANT_BENCHMARKS_TREES_WORLDS_HPP

#include <decant/core/token_draft.hpp>
#include <decant/model/hashed_law.hpp>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

namespace trees {

using namespace decant;  // NOLINT: a program's own namespace

/// Both laws after a context at temperature 1, as weights of which the largest is 1. Tokens ascend.
struct raw_row {
  std::vector<token> ids;
  std::vector<float> target;
  std::vector<float> draft;
};

/// Writes a law at a temperature; at 0 the whole mass is on the most probable token.
inline void write_law(std::span<const token> ids, std::span<const float> weights, double temperature,
                      std::size_t vocab_size, distribution<float>& out) {
  if (temperature == 0) {
    const auto best = std::max_element(weights.begin(), weights.end());
    out.assign_one_hot(ids[static_cast<std::size_t>(best - weights.begin())], vocab_size);
    return;
  }
  out.begin_sparse(vocab_size);
  const auto power = static_cast<float>(1 / temperature);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const float w = power == 1.0f ? weights[i] : std::pow(weights[i], power);
    if (w > 0) out.push(ids[i], w);
  }
  (void)out.finish();
}

class world {
 public:
  world() = default;
  world(const world&) = delete;
  world& operator=(const world&) = delete;
  virtual ~world() = default;

  [[nodiscard]] virtual std::string name() const = 0;
  [[nodiscard]] virtual std::size_t vocab_size() const = 0;
  [[nodiscard]] virtual std::size_t site_count() const = 0;
  /// The last token of a site's context.
  [[nodiscard]] virtual token root(std::size_t site) const = 0;
  /// Makes the rows of these nodes known, all of them in one pass of the model where there is one.
  virtual void prepare(std::size_t site, const token_tree& tree, node_span nodes) = 0;
  /// The rows after a node whose path holds `path`. Only for prepared contexts.
  virtual void row(std::size_t site, token_span path, raw_row& out) = 0;
  /// Whether several threads may study sites at once.
  [[nodiscard]] virtual bool concurrent() const { return false; }
};

/// Pseudo-random laws that depend on the last tokens; the draft law is the target's mixed with another one.
class toy_world final : public world {
 public:
  /// `share`: the part of the draft law that knows nothing of the target.
  toy_world(std::size_t vocabulary, std::size_t sites, double share)
      : share_(static_cast<float>(share)), sites_(sites) {
    target_.seed = 11;
    other_.seed = 12;
    target_.vocabulary = other_.vocabulary = vocabulary;
    target_.context = other_.context = 3;
    target_.sharpness = other_.sharpness = 2;
  }

  [[nodiscard]] std::string name() const override {
    char text[32];
    std::snprintf(text, sizeof text, "toy %.1f", static_cast<double>(share_));
    return text;
  }
  [[nodiscard]] std::size_t vocab_size() const override { return target_.vocabulary; }
  [[nodiscard]] std::size_t site_count() const override { return sites_; }
  [[nodiscard]] token root(std::size_t site) const override { return static_cast<token>(site % vocab_size()); }
  void prepare(std::size_t, const token_tree&, node_span) override {}
  void row(std::size_t site, token_span path, raw_row& out) override {
    // The site's number and its root stand for the context before the path.
    thread_local std::vector<token> context;
    context.assign({static_cast<token>(site / vocab_size()), static_cast<token>(site), root(site)});
    context.insert(context.end(), path.begin(), path.end());
    const std::size_t size = vocab_size();
    if (out.ids.size() != size) {
      out.ids.resize(size);
      for (std::size_t v = 0; v < size; ++v) out.ids[v] = static_cast<token>(v);
    }
    out.target.resize(size);
    out.draft.resize(size);
    target_.weights(context, out.target);
    other_.weights(context, out.draft);
    normalise(out.target);
    normalise(out.draft);
    for (std::size_t v = 0; v < size; ++v) out.draft[v] = (1 - share_) * out.target[v] + share_ * out.draft[v];
  }
  [[nodiscard]] bool concurrent() const override { return true; }

 private:
  static void normalise(std::vector<float>& weights) {
    double sum = 0;
    for (const float w : weights) sum += static_cast<double>(w);
    for (float& w : weights) w = static_cast<float>(static_cast<double>(w) / sum);
  }

  hashed_law<float> target_;
  hashed_law<float> other_;
  float share_;
  std::size_t sites_;
};

}  // namespace trees

#endif
