// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What verifying and building a tree of 64 nodes costs, for every verifier that needs laws only and for the builders,
// from rows like a language model's; the layouts of large trees; and the ways to draw several tokens from one row.
//   bench_verify [--json FILE] [layouts] [draws] [builders] [sparse] [dense]
// Without a list of parts all are measured.
// Everything that is compared is measured in turn, round by round (benchmarks/verify/interleaved.hpp).
#include "verify/drafts.hpp"

#include <decant/sample/node_laws.hpp>
#include <decant/tree/dyspec_threshold.hpp>
#include <decant/tree/expand_and_rerank.hpp>
#include <decant/tree/layout.hpp>
#include <decant/tree/opt_tree.hpp>
#include <decant/tree/stochastic_beam.hpp>
#include <decant/verify/any_verifier.hpp>
#include <decant/verify/block_verification.hpp>
#include <decant/verify/canonical_decomposition.hpp>
#include <decant/verify/cascades.hpp>
#include <decant/verify/divergence_gate.hpp>
#include <decant/verify/drafter_invariant.hpp>
#include <decant/verify/greedy.hpp>
#include <decant/verify/k_seq.hpp>
#include <decant/verify/lenience.hpp>
#include <decant/verify/loose_window.hpp>
#include <decant/verify/margin_acceptance.hpp>
#include <decant/verify/match.hpp>
#include <decant/verify/membership.hpp>
#include <decant/verify/mentored.hpp>
#include <decant/verify/random_order.hpp>
#include <decant/verify/recursive_rejection.hpp>
#include <decant/verify/speculative_sampling.hpp>
#include <decant/verify/top_k_acceptance.hpp>
#include <decant/verify/traversal.hpp>
#include <decant/verify/typical_acceptance.hpp>

namespace {

using namespace bench;

/// Time of a pass of the everyday model over one token, the draft pass that building is compared with (bench_model).
constexpr double draft_pass_us = 6000;

/// Half width of what a target's logit differs from the draft's.
constexpr double noise_of_target = 2.5;

enum class needed_rows { one_path, all_with_a_chance };

struct named_verifier {
  std::string name;
  any_verifier<> verifier;
  needed_rows rows = needed_rows::one_path;

  [[nodiscard]] bool fits(const made_draft& draft) const {
    return check_pairing(draft.made, draft.is_chain, verifier.needs_value(), verifier.shape_value()) ==
           pairing_verdict::fits;
  }
  /// The trees, or the chains, that it can verify.
  [[nodiscard]] std::vector<std::size_t> cases_among(const std::vector<made_draft>& drafts, bool chains) const {
    std::vector<std::size_t> fitting;
    for (std::size_t i = 0; i < drafts.size(); ++i) {
      if (drafts[i].is_chain == chains && fits(drafts[i])) fitting.push_back(i);
    }
    return fitting;
  }
};

/// The exact ones, and the relaxed ones that need laws only: the decision alone, and with its loss measured as it is by
/// default.
std::vector<named_verifier> all_verifiers(bool with_loss) {
  std::vector<named_verifier> all = {{"greedy", greedy{}},
                                     {"match", match{}},
                                     {"drafter_invariant", drafter_invariant{}},
                                     {"speculative_sampling", speculative_sampling{}},
                                     {"recursive_rejection", recursive_rejection{}},
                                     {"membership", membership{}},
                                     {"k_seq", k_seq{}},
                                     {"random_order", random_order{}},
                                     {"canonical_decomposition", canonical_decomposition{}},
                                     {"block_verification", block_verification{}, needed_rows::all_with_a_chance},
                                     {"traversal", traversal{}, needed_rows::all_with_a_chance},
                                     {"typical_acceptance", typical_acceptance{}, needed_rows::all_with_a_chance}};
  const auto relaxed = [&](const std::string& name, auto verifier, needed_rows rows = needed_rows::one_path) {
    if (with_loss) all.push_back({name + "/with_loss", verifier, rows});
    verifier.measures_loss = false;
    all.push_back({name, verifier, rows});
  };
  relaxed("lenience", lenient_verification<>{});
  relaxed("cascade", speculative_cascade<>{});
  relaxed("divergence_gate", fuzzy_verification<>{});
  relaxed("mentored", transform_verifier<mentored>{});
  relaxed("typical_walk", typical_walk<>{});
  relaxed("top_k_acceptance", top_k_acceptance<>{});
  relaxed("top_k_or_rejection", top_k_acceptance<standard_test::rejection>{});
  relaxed("margin_or_greedy", margin_acceptance<standard_test::greedy>{});
  relaxed("margin_or_rejection", margin_acceptance<standard_test::rejection>{});
  relaxed("loose_window", loose_speculation{}, needed_rows::all_with_a_chance);
  return all;
}

/// One verifier with its memory.
struct verifier_bench {
  const named_verifier& of;
  owning_ptr<erased_work> memory{};
  verdict out{};

  template <class Laws>
  void verify(const made_draft& draft, Laws& laws, std::size_t number) {
    philox_chance chance{5};
    const error_code failed = of.verifier.verify(draft.draft, laws, chance, position_of(number), memory, out);
    if (failed != error_code::none) {
      std::fprintf(stderr, "bench_verify: %s failed\n", of.name.c_str());
      std::exit(1);
    }
  }
};

// --- Sparse rows ---

void measure_sparse(figures& out) {
  const logit_rows drafted = draft_rows(32'000, 96, 1);
  given_laws rows = sparse_laws(drafted);
  given_laws target = sparse_laws(target_rows(drafted, noise_of_target, 2));
  const std::vector<made_draft> drafts = drafts_of_64(rows, 12);
  const std::vector<named_verifier> verifiers = all_verifiers(true);
  std::vector<contestant> all;
  for (const bool chains : {false, true}) {
    for (const named_verifier& v : verifiers) {
      const std::vector<std::size_t> cases = v.cases_among(drafts, chains);
      if (cases.empty()) continue;
      all.push_back({(chains ? "verify/sparse40/chain/" : "verify/sparse40/tree/") + v.name, cases.size(),
                     [&, cases, bench = std::make_shared<verifier_bench>(verifier_bench{v})](std::size_t i) {
                       target.offset = drafts[cases[i]].offset;
                       return timed(16, [&] { bench->verify(drafts[cases[i]], target, cases[i]); });
                     }});
    }
  }
  const contest_result times = run_contest(all, 15);
  for (const contestant& one : all) {
    out.add(one.name, times.at(one.name), "us", 60);
    out.add(one.name + "/worst", worst(times.at(one.name)), "us", 60);
  }
}

// --- Dense rows ---

/// Verification of drafts from logits, row by row as they are asked for.
class dense_bench {
 public:
  dense_bench() {
    given_laws rows = dense_laws(drafted_);
    add_drafts(drafts_, dyspec_heap{.nodes = 64}, rows, 3);
    add_drafts(drafts_, static_widths<independent>{.widths = {4, 3, 2, 1}}, rows, 3);
    add_drafts(drafts_, static_widths<without_replacement>{.widths = {4, 3, 2, 1}}, rows, 3);
    add_drafts(drafts_, chain<independent>{.length = 64}, rows, 2);
  }

  void measure(figures& out) {
    const std::vector<named_verifier> verifiers = all_verifiers(false);
    std::vector<contestant> all;
    for (const named_verifier& v : verifiers) add(all, v);
    const contest_result times = run_contest(all, 5);
    for (const named_verifier& v : verifiers) {
      const bool is_walk = v.rows == needed_rows::one_path;
      const std::string name = "verify/dense128256/" + v.name;
      const sample& taken = times.at(v.name);
      out.add(name, taken, "us");
      out.add(name + "/rows", rows_[v.name], "rows");
      out.add(name + "/over_64_rows", ratio(taken, times.at(v.name + "/64_rows")), "x", is_walk ? 0.1 : -1);
      out.add(name + "/over_its_rows", ratio(taken, times.at(v.name + "/its_rows")), "x", is_walk ? -1 : 1.5);
    }
  }

 private:
  /// A verifier, its floor, and the price of processing all rows.
  void add(std::vector<contestant>& all, const named_verifier& v) {
    const bool chains = v.verifier.shape_value() == shape_needs::chain;
    const std::vector<std::size_t> cases = v.cases_among(drafts_, chains);
    auto verifier = std::make_shared<verifier_bench>(verifier_bench{v});
    std::vector<std::vector<node_id>> visited;
    for (const std::size_t i : cases) {
      visited.emplace_back();
      verify(*verifier, i, &visited.back());
      rows_[v.name].values.push_back(static_cast<double>(visited.back().size()));
    }
    all.push_back({v.name, cases.size(),
                   [=, this](std::size_t i) { return cold([&] { verify(*verifier, cases[i], nullptr); }); }});
    all.push_back({v.name + "/its_rows", cases.size(),
                   [=, this](std::size_t i) { return cold([&] { process(drafts_[cases[i]], visited[i]); }); }});
    all.push_back({v.name + "/64_rows", cases.size(),
                   [=, this](std::size_t i) { return cold([&] { process_64(drafts_[cases[i]].offset); }); }});
  }

  template <class Action>
  [[nodiscard]] static double cold(Action&& action) {
    forget_caches();
    return timed(1, action);
  }

  /// Calls `use(laws)` with the lazy laws of a draft; notes the rows it processes.
  template <class Use>
  void with_laws(const made_draft& draft, std::vector<node_id>* visited, Use&& use) {
    auto rows = rows_from<float>([&](node_id n) {
      if (visited != nullptr) visited->push_back(n);
      return target_.row(draft.offset, n);
    });
    node_laws laws(sampler_, sampler_.initial_state(), draft.draft.tree, rows, workspace_, vocab_size);
    use(laws);
  }
  void verify(verifier_bench& verifier, std::size_t number, std::vector<node_id>* visited) {
    with_laws(drafts_[number], visited, [&](auto& laws) { verifier.verify(drafts_[number], laws, number); });
  }
  void process(const made_draft& draft, node_span nodes) {
    with_laws(draft, nullptr, [&](auto& laws) {
      for (const node_id n : nodes) benchmark::DoNotOptimize(laws.law(n));
    });
  }

  /// Rows of 64 nodes, whether the draft has so many or not.
  void process_64(std::size_t offset) {
    for (std::size_t n = 0; n < all_laws_.size(); ++n) {
      const auto row = target_.row(offset, static_cast<node_id>(n));
      benchmark::DoNotOptimize(sampler_.law(row, sampler_.initial_state(), scratch_, all_laws_[n]));
    }
  }

  static constexpr std::size_t vocab_size = 128'256;
  sampler_chain<> sampler_{};
  logit_rows drafted_ = draft_rows(vocab_size, 72, 3);
  logit_rows target_ = target_rows(drafted_, noise_of_target, 4);
  std::vector<made_draft> drafts_{};
  law_workspace<float, sampler_chain<>> workspace_{};
  candidates<float> scratch_{};
  std::vector<distribution<float>> all_laws_ = std::vector<distribution<float>>(64);
  std::map<std::string, sample> rows_{};
};

// --- Builders ---

struct builder_counts {
  sample nodes{};
  sample rows{};
  sample passes{};
  sample with_copying{};
};

template <class Builder>
contestant builder_contestant(const std::string& name, const Builder& builder, given_laws& rows,
                              std::map<std::string, builder_counts>& counts) {
  struct memory {
    typename Builder::template work<float> work{};
    made_draft draft{};
  };
  return {name, 24, [&rows, &counts, name, builder, kept = std::make_shared<memory>()](std::size_t i) {
            build(builder, kept->work, rows, i, kept->draft);
            builder_counts& seen = counts[name];
            seen.nodes.values.push_back(static_cast<double>(kept->draft.draft.tree.size() - 1));
            seen.rows.values.push_back(static_cast<double>(kept->draft.draft.rows.size()));
            seen.passes.values.push_back(static_cast<double>(kept->draft.passes));
            seen.with_copying.values.push_back(kept->draft.with_copying);
            return kept->draft.microseconds;
          }};
}

void measure_builders(figures& out) {
  const logit_rows drafted = draft_rows(32'000, 96, 5);
  given_laws dense = dense_laws(drafted);
  given_laws sparse = sparse_laws(drafted);
  std::map<std::string, builder_counts> counts;
  std::vector<contestant> all;
  const auto add = [&](const std::string& name, const auto& builder) {
    all.push_back(builder_contestant("tree/" + name + "/V32000", builder, dense, counts));
    all.push_back(builder_contestant("tree/" + name + "/sparse40", builder, sparse, counts));
  };
  add("dyspec_heap/n64", dyspec_heap{.nodes = 64});
  add("dyspec_threshold/n64", dyspec_threshold{.threshold = 1.0 / 64, .nodes = 64});
  add("dyspec_threshold/n768", dyspec_threshold{});
  add("stochastic_beam/6x5", stochastic_beam{});
  add("opt_tree/n50", opt_tree{});
  add("opt_tree/n64", opt_tree{.nodes = 64, .min_growth = 0.1});
  add("expand_and_rerank/n60", expand_and_rerank{});
  const contest_result times = run_contest(all, 9);
  for (const contestant& one : all) {
    const bool has_limit = one.name.rfind("tree/dyspec_heap", 0) == 0;
    const sample& taken = times.at(one.name);
    const builder_counts& seen = counts[one.name];
    out.add(one.name, taken, "us", has_limit ? 150 : -1);
    out.add(one.name + "/nodes", seen.nodes, "nodes");
    out.add(one.name + "/rows", seen.rows, "rows");
    out.add(one.name + "/with_copying_rows", seen.with_copying, "us");
    const sample share = scaled(taken, seen.passes.median() * draft_pass_us / 100);
    out.add(one.name + "/of_draft_passes", share, "%", has_limit ? 2 : -1);
  }
}

// --- Several tokens from one row ---

void measure_draws(figures& out) {
  given_laws rows = dense_laws(draft_rows(32'000, 16, 6));
  const philox_chance chance{8};
  std::vector<contestant> all;
  const auto add = [&](const std::string& name, std::size_t repeats, auto action) {
    all.push_back({name, rows.laws.size(), [&rows, repeats, action](std::size_t i) mutable {
                     return timed(repeats, [&] { action(rows.laws[i].view(), i); });
                   }});
  };
  using view = distribution_view<float>;
  add("read", 8, [](view law, std::size_t) { benchmark::DoNotOptimize(detail::sum_in_lanes(law.weights())); });
  add("running_pass", 8, [&](view law, std::size_t i) {
    benchmark::DoNotOptimize(chance.pick(sample_key(i), view(law.weights(), law.mass())));
  });
  add("block_pick", 64, [&](view law, std::size_t i) { benchmark::DoNotOptimize(chance.pick(sample_key(i), law)); });
  for (const std::size_t count : {1u, 4u, 8u, 16u}) {
    add("race/" + std::to_string(count), 2, [&, count](view law, std::size_t i) {
      std::array<token, 16> drawn;  // NOLINT: written by the draw
      benchmark::DoNotOptimize(chance.ordered_sample(draft_key(i, 0), law, std::span<token>(drawn).first(count)));
    });
    struct memory {
      token_draft<float> draft{};
      single_draws<float> draws{};
    };
    add("single/" + std::to_string(count), 8, [&, count, kept = std::make_shared<memory>()](view law, std::size_t i) {
      if (kept->draft.rows.size() == 0 || kept->draft.rows.row(0).weights()[0] != law.weights()[0]) {
        kept->draft.reset(0);
        kept->draft.add_row_after(0).assign(law);
      }
      kept->draft.tree.reset(0);
      kept->draws.start(1, usual_row_block);
      const std::size_t row = kept->draws.open(kept->draft, 0);
      for (std::size_t k = 0; k < count; ++k) kept->draws.draw(kept->draft, row, position_of(i), chance);
    });
  }
  const contest_result times = run_contest(all, 15);
  for (const contestant& one : all) out.add("draws/V32000/" + one.name, times.at(one.name), "us");
  for (const char* count : {"4", "8", "16"}) {
    const std::string number = count;
    const sample& race = times.at("race/" + number);
    const sample& single = times.at("single/" + number);
    out.add("draws/V32000/race/" + number + "/over_race_of_one", ratio(race, times.at("race/1")), "x", 2);
    out.add("draws/V32000/race/" + number + "/over_running_pass", ratio(race, times.at("running_pass")), "x");
    out.add("draws/V32000/race/" + number + "/over_read", ratio(race, times.at("read")), "x");
    out.add("draws/V32000/single/" + number + "/over_single_1", ratio(single, times.at("single/1")), "x");
    out.add("draws/V32000/single/" + number + "/over_running_pass", ratio(single, times.at("running_pass")), "x", 2);
    out.add("draws/V32000/single/" + number + "/over_read", ratio(single, times.at("read")), "x", 2);
  }
}

// --- Layouts ---

/// A tree whose nodes hang below any earlier node (even numbers) or below one of the last eight, which makes it deep.
token_tree grown_tree(std::size_t nodes, std::size_t number) {
  token_tree tree(0);
  const std::vector<double> noise = uniform_numbers(number, nodes);
  while (tree.size() < nodes) {
    const std::size_t among = number % 2 == 0 ? tree.size() : std::min<std::size_t>(8, tree.size());
    const auto back = static_cast<std::size_t>(noise[tree.size()] * static_cast<double>(among));
    tree.append(static_cast<node_id>(tree.size() - 1 - back), static_cast<token>(tree.size()));
  }
  return tree;
}

void measure_layouts(figures& out) {
  constexpr std::size_t cases = 16;
  std::map<std::size_t, std::vector<token_tree>> trees;
  std::vector<contestant> all;
  for (const std::size_t nodes : {64u, 256u, 768u, 1024u}) {
    for (std::size_t i = 0; i < cases; ++i) trees[nodes].push_back(grown_tree(nodes, i));
    all.push_back({"tree/layout/heavy_path_and_blocks/n" + std::to_string(nodes), cases,
                   [&trees, nodes, arrays = std::make_shared<layout_arrays>()](std::size_t i) {
                     return timed(8, [&] {
                       arrays->build(trees[nodes][i], node_order::heavy_path);
                       benchmark::DoNotOptimize(arrays->block_count(32));
                     });
                   }});
    all.push_back({"tree/layout/creation/n" + std::to_string(nodes), cases,
                   [&trees, nodes, arrays = std::make_shared<layout_arrays>()](std::size_t i) {
                     return timed(8, [&] {
                       arrays->build(trees[nodes][i], node_order::creation);
                       benchmark::DoNotOptimize(arrays->visible_bits().data());
                     });
                   }});
  }
  const contest_result times = run_contest(all, 25);
  for (const contestant& one : all) {
    out.add(one.name, times.at(one.name), "us", 50);
    out.add(one.name + "/worst", worst(times.at(one.name)), "us", 50);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string json = take_json_option(argc, argv);
  const std::vector<std::pair<std::string, void (*)(figures&)>> parts = {
      {"layouts", measure_layouts},
      {"draws", measure_draws},
      {"builders", measure_builders},
      {"sparse", measure_sparse},
      {"dense", [](figures& out) { dense_bench().measure(out); }}};
  figures out;
  int known = 1;
  for (const auto& [name, measure] : parts) {
    const bool is_named = std::find(argv + 1, argv + argc, name) != argv + argc;
    known += is_named ? 1 : 0;
    if (argc == 1 || is_named) measure(out);
  }
  if (known != argc) {
    std::fprintf(stderr, "usage: bench_verify [--json FILE] [layouts] [draws] [builders] [sparse] [dense]\n");
    return 2;
  }
  out.print();
  if (!json.empty() && !out.write(json)) {
    std::fprintf(stderr, "bench_verify: %s cannot be written\n", json.c_str());
    return 2;
  }
  return 0;
}
