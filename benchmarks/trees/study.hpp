// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Studies single steps: at every site of a world each builder drafts trees of a given budget, and every verifier that
// may judge them says how many tokens the step gives.
#ifndef DECANT_BENCHMARKS_TREES_STUDY_HPP
#define DECANT_BENCHMARKS_TREES_STUDY_HPP

#include "contestants.hpp"
#include "expected_tokens.hpp"

#include <decant/control/cost_curve.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace trees {

/// What passes cost, in units of one plain pass of the target.
struct named_curve {
  std::string name;
  cost_curve curve;
};

struct study_settings {
  std::vector<std::int32_t> budgets{4, 8, 16, 32, 64, 128, 768};
  std::vector<double> temperatures{0, 0.6, 1.0};
  std::int32_t depth = 24;
  double draft_cost = 0.1;  ///< a draft pass over n nodes costs this part of a target pass over n nodes
  int trials = 4;           ///< runs of a verifier without closed form, per tree
  std::vector<named_curve> curves;

  /// Drafts per site: many where trees are small, so that every budget takes about the same time.
  [[nodiscard]] static int repetitions(int base, std::int32_t budget) { return std::max(1, base * 16 / (budget + 12)); }
};

/// 0.6 for targets at or below it, so that there are second choices; a hotter target gets a drafter as hot.
[[nodiscard]] inline double draft_temperature(double target) { return std::max(0.6, target); }
[[nodiscard]] inline double draft_temperature(const contestant& one, double target) {
  return one.draft_temperature > 0 ? one.draft_temperature : draft_temperature(target);
}

/// Means over sites, one value per site, so that two cells can be compared site by site.
struct cell {
  std::vector<double> tokens;  // per site
  double nodes = 0;
  double passes = 0;
  std::vector<double> speeds;  // per curve, against plain decoding

  [[nodiscard]] double mean() const {
    double sum = 0;
    for (const double t : tokens) sum += t;
    return tokens.empty() ? 0 : sum / static_cast<double>(tokens.size());
  }
};

/// Mean of a - b over sites and its standard error.
struct difference {
  double mean = 0;
  double error = 0;

  [[nodiscard]] static difference of(const std::vector<double>& a, const std::vector<double>& b) {
    difference d;
    const auto count = static_cast<double>(a.size());
    for (std::size_t i = 0; i < a.size(); ++i) d.mean += (a[i] - b[i]) / count;
    double square = 0;
    for (std::size_t i = 0; i < a.size(); ++i) square += std::pow(a[i] - b[i] - d.mean, 2);
    d.error = a.size() > 1 ? std::sqrt(square / (count - 1) / count) : 0;
    return d;
  }
};

/// World, temperature, budget, builder, verifier.
struct cell_key {
  std::string world;
  double temperature = 1;
  std::int32_t budget = 0;
  std::string builder;
  std::string verifier;

  friend auto operator<=>(const cell_key&, const cell_key&) = default;
};
using cell_table = std::map<cell_key, cell>;

/// The reused memory of one thread, and the drafting and judging done with it.
class bench_seat {
 public:
  bench_seat(world& place, const study_settings& settings) : place_(place), settings_(settings) {}

  /// Drafts one tree; returns the number of draft passes. `costs` grows by what they cost, per curve.
  template <class Chance>
  std::size_t draft(const contestant& one, std::size_t site, std::int32_t budget, double temperature,
                    std::uint64_t position, Chance& chance, std::vector<double>& costs) {
    draft_.reset(place_.root(site));
    one.builder.start(builder_work_, draft_, {budget, settings_.depth});
    std::size_t passes = 0;
    for (;; ++passes) {
      const node_span wanted = one.builder.wanted(builder_work_);
      if (wanted.empty()) break;
      wanted_.assign(wanted.begin(), wanted.end());
      place_.prepare(site, draft_.tree, wanted_);
      for (const node_id n : wanted_) {
        draft_.tree.path_tokens(n, path_);
        place_.row(site, path_, row_);
        write_law(row_.ids, row_.draft, temperature, place_.vocab_size(), draft_.add_row_after(n));
      }
      for (std::size_t c = 0; c < costs.size(); ++c) {
        costs[c] += settings_.draft_cost * settings_.curves[c].curve.time(wanted_.size());
      }
      one.builder.grow(builder_work_, draft_, position, chance);
    }
    return passes;
  }

  [[nodiscard]] double tokens(const judge& by, std::size_t site, double temperature, std::uint64_t position,
                              philox_chance& chance) {
    laws_.reset(place_, site, draft_.tree, temperature);
    switch (by.form) {
      case closed_form::match: return expected_by_match(draft_, laws_);
      case closed_form::rejection: return expected_by_rejection(draft_, laws_);
      case closed_form::block: return expected_by_judging_paths<block_verification>(draft_, laws_);
      case closed_form::traversal: return expected_by_judging_paths<traversal>(draft_, laws_);
      case closed_form::one_trial:
      case closed_form::none: break;
    }
    const int trials = by.form == closed_form::one_trial ? 1 : settings_.trials;
    return expected_by_trials(by.verifier, draft_, laws_, chance, position, trials, verifier_work_[by.name], verdict_);
  }

  [[nodiscard]] std::size_t drafted() const { return draft_.tree.size() - 1; }
  [[nodiscard]] token_draft<float>& last_draft() { return draft_; }
  [[nodiscard]] site_laws& laws() { return laws_; }
  void renew_builder_work() { builder_work_ = {}; }

 private:
  world& place_;
  const study_settings& settings_;
  token_draft<float> draft_;
  site_laws laws_;
  owning_ptr<erased_work> builder_work_;
  std::map<std::string, owning_ptr<erased_work>> verifier_work_;
  std::vector<node_id> wanted_;
  std::vector<token> path_;
  raw_row row_;
  verdict verdict_;
};

/// One builder at one budget and temperature, over all sites.
class duel {
 public:
  duel(world& place, const study_settings& settings, const contestant& one, std::int32_t budget, double temperature,
       int repetitions)
      : place_(place),
        settings_(settings),
        one_(one),
        budget_(budget),
        temperature_(temperature),
        repetitions_(one.is_deterministic() ? 1 : repetitions) {}

  void run(const std::vector<judge>& judges, cell_table& table) {
    for (const judge& by : judges) {
      if (one_.fits(by)) judging_.push_back(&by);
    }
    const std::size_t sites = place_.site_count();
    tokens_.assign(judging_.size(), std::vector<double>(sites, 0.0));
    const std::size_t workers = place_.concurrent() ? std::max(1u, std::thread::hardware_concurrency()) : 1;
    sums_.assign(workers, sums(settings_.curves.size()));
    std::vector<std::thread> threads;
    for (std::size_t w = 1; w < workers; ++w) threads.emplace_back([this, w, workers] { work(w, workers); });
    work(0, workers);
    for (std::thread& t : threads) t.join();
    report(table);
  }

 private:
  struct sums {
    explicit sums(std::size_t curves) : costs(curves, 0.0) {}
    double nodes = 0;
    double passes = 0;
    std::vector<double> costs;
  };

  void work(std::size_t first, std::size_t stride) {
    bench_seat seat(place_, settings_);
    for (std::size_t site = first; site < place_.site_count(); site += stride) {
      // Builders share the noise, and so do verifiers.
      philox_chance chance{site + 1, 5};
      for (int r = 0; r < repetitions_; ++r) {
        const std::uint64_t position = (static_cast<std::uint64_t>(r) + 1) << 20;
        sums& mine = sums_[first];
        mine.passes += static_cast<double>(
            seat.draft(one_, site, budget_, draft_temperature(one_, temperature_), position, chance, mine.costs));
        mine.nodes += static_cast<double>(seat.drafted());
        for (std::size_t c = 0; c < settings_.curves.size(); ++c) {
          mine.costs[c] += settings_.curves[c].curve.time(seat.drafted() + 1);
        }
        for (std::size_t j = 0; j < judging_.size(); ++j) {
          tokens_[j][site] += seat.tokens(*judging_[j], site, temperature_, position, chance) / repetitions_;
        }
      }
    }
  }

  void report(cell_table& table) const {
    const double steps = static_cast<double>(place_.site_count()) * repetitions_;
    for (std::size_t j = 0; j < judging_.size(); ++j) {
      cell& out = table[{place_.name(), temperature_, budget_, one_.name, judging_[j]->name}];
      out.tokens = tokens_[j];
      out.speeds.assign(settings_.curves.size(), 0.0);
      for (const sums& each : sums_) {
        out.nodes += each.nodes / steps;
        out.passes += each.passes / steps;
        for (std::size_t c = 0; c < out.speeds.size(); ++c) out.speeds[c] += each.costs[c] / steps;
      }
      for (double& speed : out.speeds) speed = out.mean() / speed;
    }
  }

  world& place_;
  const study_settings& settings_;
  const contestant& one_;
  std::int32_t budget_;
  double temperature_;
  int repetitions_;
  std::vector<const judge*> judging_;
  std::vector<std::vector<double>> tokens_;
  std::vector<sums> sums_;
};

}  // namespace trees

#endif
