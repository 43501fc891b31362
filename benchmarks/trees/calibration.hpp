// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the static trees are built from, measured in the world they are used in, as their papers do: how often the j-th
// drawn sibling is the accepted one (Sequoia), and how often the r-th ranked token is the target's choice (Medusa).
#ifndef DECANT_BENCHMARKS_TREES_CALIBRATION_HPP
#define DECANT_BENCHMARKS_TREES_CALIBRATION_HPP

#include "study.hpp"

#include <decant/tree/static_widths.hpp>

#include <map>

namespace trees {

/// How much a drafter knows of the target at temperature 1, at the first token of all sites.
struct draft_quality {
  double overlap = 0;   ///< sum of min(p, q): what speculative sampling accepts of one token
  double same_top = 0;  ///< share of sites where both find the same token most probable
};

[[nodiscard]] inline draft_quality measure(world& place) {
  draft_quality seen;
  raw_row row;
  distribution<float> target;
  distribution<float> drafter;
  const token_tree tree(0);
  const auto sites = static_cast<double>(place.site_count());
  for (std::size_t site = 0; site < place.site_count(); ++site) {
    place.prepare(site, tree, tree.all());
    place.row(site, {}, row);
    write_law(row.ids, row.target, 1, place.vocab_size(), target);
    write_law(row.ids, row.draft, 1, place.vocab_size(), drafter);
    seen.overlap += (1 - total_variation(target.view(), drafter.view())) / sites;
    seen.same_top += (argmax(target.view()) == argmax(drafter.view())) / sites;
  }
  return seen;
}

class rank_meter {
 public:
  static constexpr std::int32_t siblings = 16;

  static constexpr std::size_t deepest = 16;

  rank_meter(world& place, const study_settings& settings)
      : place_(place),
        seat_(place, settings),
        largest_(index(*std::max_element(settings.budgets.begin(), settings.budgets.end())) + 1) {}

  [[nodiscard]] rank_calibration measure(double temperature, int repetitions) {
    const contestant drawn{"", static_widths<without_replacement>{{siblings}}};
    const contestant ranked_children{"", static_widths<ranked>{{siblings}}};
    std::vector<double> accepted = shares(drawn, temperature, repetitions, &rank_meter::accepted_by_rejection);
    return {shares(ranked_children, temperature, 1, &rank_meter::chosen_by_match),
            std::make_shared<const sequoia_trees>(std::move(accepted), largest_, deepest)};
  }

 private:
  using meter = void (rank_meter::*)(std::vector<double>&, double);

  [[nodiscard]] std::vector<double> shares(const contestant& one, double temperature, int repetitions, meter add) {
    std::vector<double> sums(siblings, 0.0);
    std::vector<double> no_costs;
    seat_.renew_builder_work();
    for (std::size_t site = 0; site < place_.site_count(); ++site) {
      philox_chance chance{site + 1, 9};
      for (int r = 0; r < repetitions; ++r) {
        const auto position = static_cast<std::uint64_t>(r) << 20;
        (void)seat_.draft(one, site, siblings, draft_temperature(one, temperature), position, chance, no_costs);
        seat_.laws().reset(place_, site, seat_.last_draft().tree, temperature);
        (this->*add)(sums, 1.0 / (static_cast<double>(place_.site_count()) * repetitions));
      }
    }
    return sums;
  }

  void accepted_by_rejection(std::vector<double>& sums, double weight) {
    reached_nodes(seat_.last_draft(), seat_.laws(), reached_);
    for (std::size_t n = 1; n < reached_.size(); ++n) sums[n - 1] += weight * reached_[n];
  }
  void chosen_by_match(std::vector<double>& sums, double weight) {
    const token_tree& tree = seat_.last_draft().tree;
    const auto law = seat_.laws().law(0)->view();
    for (std::size_t n = 1; n < tree.size(); ++n) {
      sums[n - 1] += weight * law.probability(tree.token_of(static_cast<node_id>(n)));
    }
  }

  world& place_;
  bench_seat seat_;
  std::size_t largest_;  // nodes of the largest tree, root included
  std::vector<double> reached_;
};

using calibration = std::map<double, rank_calibration>;

[[nodiscard]] inline calibration calibrate_ranks(world& place, const study_settings& settings, int repetitions) {
  calibration known;
  rank_meter meter(place, settings);
  for (const double temperature : settings.temperatures) known[temperature] = meter.measure(temperature, repetitions);
  return known;
}

}  // namespace trees

#endif
