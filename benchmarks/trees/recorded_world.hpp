// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rows of a real model below the middle of real texts, recorded as they are asked for: the 64 most probable tokens of
// every context, which is the target's law here (top-k 64). The drafter sees the same logits with noise added that
// depends on the context and the token alone, so that it errs as a weaker model would: always in the same way.
#ifndef DECANT_BENCHMARKS_TREES_RECORDED_WORLD_HPP
#define DECANT_BENCHMARKS_TREES_RECORDED_WORLD_HPP

#include "worlds.hpp"

#include <decant/core/philox.hpp>
#include <decant/reference/reference_model.hpp>

#include <algorithm>
#include <map>
#include <unordered_map>

namespace trees {

/// The sites: contexts of one model, whose rows are shared by all worlds made from them.
class row_recorder {
 public:
  static constexpr std::size_t kept = 64;

  struct recorded {
    std::vector<token> ids;  // ascending
    std::vector<float> logits;
    std::uint64_t name = 0;  // of the context, for the drafter's noise
  };

  /// Every context gets a fork of the model, which keeps what it has evaluated.
  row_recorder(reference_model& model, const std::vector<std::vector<token>>& contexts)
      : vocab_size_(model.vocab_size()) {
    for (const std::vector<token>& context : contexts) {
      model.truncate(0).value_or_throw();
      model.prefill(token_span(context).first(context.size() - 1)).value_or_throw();
      sites_.push_back({context, model.fork().value_or_throw(), {}});
    }
    model.truncate(0).value_or_throw();
  }

  [[nodiscard]] std::size_t site_count() const noexcept { return sites_.size(); }
  [[nodiscard]] std::size_t vocab_size() const noexcept { return vocab_size_; }
  [[nodiscard]] token root(std::size_t number) const noexcept { return sites_[number].context.back(); }
  [[nodiscard]] std::size_t row_count() const noexcept { return rows_; }

  /// Nodes are asked for level by level: what this draft has had evaluated stays pending until the next one begins.
  void prepare(std::size_t number, const token_tree& tree, node_span nodes) {
    site& here = sites_[number];
    if (nodes.front() == 0) {
      here.model.truncate(here.context.size() - 1).value_or_throw();
      request_.reset(here.context.back());
      request_of_.assign(1, no_node);
    }
    request_of_.resize(tree.size(), no_node);
    fresh_.clear();
    for (const node_id n : nodes) {
      tree.path_tokens(n, path_);
      if (here.rows.count(path_) == 0) add_to_request(tree, n);
    }
    if (!fresh_.empty()) record(here);
  }

  /// Null when the context was never prepared.
  [[nodiscard]] const recorded* find(std::size_t number, token_span path) {
    path_.assign(path.begin(), path.end());
    const auto found = sites_[number].rows.find(path_);
    return found == sites_[number].rows.end() ? nullptr : &found->second;
  }

 private:
  struct path_hash {
    std::size_t operator()(const std::vector<token>& path) const noexcept {
      std::uint64_t h = 1469598103934665603ULL;
      for (const token t : path) h = (h ^ static_cast<std::uint64_t>(t)) * 1099511628211ULL;
      return static_cast<std::size_t>(h);
    }
  };
  struct site {
    std::vector<token> context;
    reference_model model;
    std::unordered_map<std::vector<token>, recorded, path_hash> rows;
  };

  void add_to_request(const token_tree& tree, node_id n) {
    if (request_of_[index(n)] != no_node) return;
    if (n == 0) {
      request_of_[0] = 0;
    } else {
      const node_id parent = tree.parent(n);
      add_to_request(tree, parent);
      request_of_[index(n)] = request_.append(request_of_[index(parent)], tree.token_of(n));
    }
    fresh_.push_back(request_of_[index(n)]);
  }

  void record(site& here) {
    const auto rows = here.model.evaluate(request_, fresh_).value_or_throw();
    for (const node_id n : fresh_) {
      request_.path_tokens(n, path_);
      auto [slot, is_new] = here.rows.try_emplace(path_);
      if (!is_new) continue;
      keep_best(rows.row(n), slot->second);
      slot->second.name = (static_cast<std::uint64_t>(&here - sites_.data()) << 48) ^ path_hash {}(path_);
      ++rows_;
    }
  }

  void keep_best(std::span<const float> row, recorded& out) {
    order_.resize(row.size());
    for (std::size_t v = 0; v < row.size(); ++v) order_[v] = static_cast<token>(v);
    const auto likelier = [&](token a, token b) {
      return row[index(a)] != row[index(b)] ? row[index(a)] > row[index(b)] : a < b;
    };
    const std::size_t count = std::min(kept, row.size());
    std::nth_element(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(count) - 1, order_.end(), likelier);
    out.ids.assign(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(count));
    std::sort(out.ids.begin(), out.ids.end());
    out.logits.clear();
    for (const token id : out.ids) out.logits.push_back(row[index(id)]);
  }

  std::size_t vocab_size_;
  std::vector<site> sites_;
  std::size_t rows_ = 0;
  token_tree request_;
  std::vector<node_id> request_of_;  // by node of the draft: its node in `request_`
  std::vector<node_id> fresh_;       // nodes of `request_` to evaluate
  std::vector<token> path_;
  std::vector<token> order_;
};

class recorded_world final : public world {
 public:
  /// `noise`: standard deviation that is added to every logit of the drafter.
  recorded_world(row_recorder& rows, double noise) : rows_(rows), noise_(noise) {}

  [[nodiscard]] std::string name() const override {
    char text[32];
    std::snprintf(text, sizeof text, "text, noise %.1f", noise_);
    return text;
  }
  [[nodiscard]] std::size_t vocab_size() const override { return rows_.vocab_size(); }
  [[nodiscard]] std::size_t site_count() const override { return rows_.site_count(); }
  [[nodiscard]] token root(std::size_t site) const override { return rows_.root(site); }
  void prepare(std::size_t site, const token_tree& tree, node_span nodes) override { rows_.prepare(site, tree, nodes); }

  void row(std::size_t site, token_span path, raw_row& out) override {
    const row_recorder::recorded& seen = *rows_.find(site, path);
    out.ids = seen.ids;
    out.target = seen.logits;
    out.draft.resize(seen.ids.size());
    for (std::size_t i = 0; i < seen.ids.size(); ++i) {
      out.draft[i] = seen.logits[i] + static_cast<float>(noise_ * normal(seen.name, seen.ids[i]));
    }
    exponentiate(out.target);
    exponentiate(out.draft);
  }

 private:
  /// A normal deviate that belongs to a context and a token (Box and Muller's transform of two Philox words).
  [[nodiscard]] static double normal(std::uint64_t name, token id) {
    const philox_block bits = philox4x32(
        {static_cast<std::uint32_t>(id), 77, static_cast<std::uint32_t>(name), static_cast<std::uint32_t>(name >> 32)},
        21);
    const double u = (bits[0] + 0.5) / 4294967296.0;
    const double v = (bits[1] + 0.5) / 4294967296.0;
    return std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * v);
  }

  static void exponentiate(std::vector<float>& logits) {
    const float largest = *std::max_element(logits.begin(), logits.end());
    for (float& x : logits) x = std::exp(x - largest);
  }

  row_recorder& rows_;
  double noise_;
};

}  // namespace trees

#endif
