// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a step costs beside the engine's pass: draws, tree layout, recursive rejection, and a whole plan/absorb round
// compared with processing the rows it visits, which is the floor.
//   bench_core [--json FILE] [--benchmark_filter=...]
#include "support/figures.hpp"

#include <decant/decode/speculation.hpp>
#include <decant/draft/guided_drafter.hpp>
#include <decant/sample/presets.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/layout.hpp>
#include <decant/verify/greedy.hpp>
#include <decant/verify/match.hpp>
#include <decant/verify/recursive_rejection.hpp>
#include <decant/verify/speculative_sampling.hpp>

namespace {

using namespace decant;

constexpr std::size_t vocab_size = 32'000;
constexpr std::int32_t chain_length = 4;

/// Logits with a heavy tail, one row per node, the same for every node: p == q when used on both sides.
std::vector<float> make_rows(std::size_t count, std::uint64_t seed) {
  std::vector<float> rows(count * vocab_size);
  std::vector<double> noise(vocab_size);
  philox_chance{seed, 0}.uniforms({}, noise);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i] = static_cast<float>(-2.0 * std::log(noise[i % vocab_size] + 1e-6));
  }
  return rows;
}

// --- draws ---

void philox_bulk(benchmark::State& state) {
  std::vector<double> out(4096);
  const philox_chance chance{1, 2};
  std::uint32_t position = 0;
  for (auto _ : state) {
    chance.uniforms({position++, chance_purpose::other, 0}, out);
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(philox_bulk);

void philox_coin(benchmark::State& state) {
  const philox_chance chance{1, 2};
  std::uint32_t position = 0;
  for (auto _ : state) benchmark::DoNotOptimize(chance.accept({position++, chance_purpose::accept, 0}, 0.3, 1.0));
}
BENCHMARK(philox_coin);

// --- layout ---

/// A tree of 64 nodes grown at random places.
token_tree random_tree(std::size_t nodes) {
  token_tree tree(0);
  std::vector<double> noise(nodes);
  philox_chance{5, 0}.uniforms({}, noise);
  while (tree.size() < nodes) {
    const auto parent = static_cast<node_id>(noise[tree.size()] * static_cast<double>(tree.size()));
    tree.append(parent, static_cast<token>(tree.size()));
  }
  return tree;
}

void layout_64(benchmark::State& state) {
  const token_tree tree = random_tree(64);
  layout_arrays arrays;
  const auto order = static_cast<node_order>(state.range(0));
  for (auto _ : state) {
    arrays.build(tree, order);
    benchmark::DoNotOptimize(arrays.visible_bits().data());
  }
}
BENCHMARK(layout_64)->Arg(0)->Arg(1);

// --- recursive rejection on sparse rows ---

/// Laws of 40 survivors each, handed out as they are.
struct sparse_laws {
  using value_type = float;
  distribution<float> one;
  [[nodiscard]] const distribution<float>* law(node_id) { return &one; }
  [[nodiscard]] error_code status() const { return error_code::none; }
};

distribution<float> sparse_law(std::uint64_t seed) {
  distribution<float> law;
  std::vector<double> noise(40);
  philox_chance{seed, 0}.uniforms({}, noise);
  law.begin_sparse(vocab_size);
  for (std::size_t i = 0; i < noise.size(); ++i) {
    law.push(static_cast<token>(i * 700 + (seed % 2) * 350), static_cast<float>(1 / (noise[i] + 0.01)));
  }
  (void)law.finish();
  return law;
}

/// A root with four children drawn without replacement from a row whose support the target's law does not share, so
/// that every child is rejected: the most expensive node there is.
void rejection_node(benchmark::State& state) {
  sparse_laws target{sparse_law(2)};
  token_draft<float> draft;
  draft.reset(0);
  draft.add_row_after(0).assign(sparse_law(3));
  const philox_chance chance{9, 0};
  token children[4];
  (void)chance.ordered_sample({}, draft.rows.row(0), std::span<token>(children));
  for (const token t : children) draft.tree.append(0, t, {edge_law::without_replacement, 0});
  recursive_rejection::work<float> work;
  verdict out;
  std::uint64_t position = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(recursive_rejection{}.verify(draft, target, chance, position++, work, out));
  }
}
BENCHMARK(rejection_node);

// --- whole rounds ---

using chain_machine = speculation<guided_drafter<chain<independent>, sampler_chain<>>, speculative_sampling>;

decode_options round_options() {
  return {.vocab_size = vocab_size, .context_size = std::size_t{1} << 30, .limits = {chain_length, chain_length}};
}

/// One plan/absorb round of a drawn chain of 4, draft rows supplied by the host. Returns the rows processed.
std::size_t one_round(chain_machine& machine, matrix_rows<float> draft_rows, matrix_rows<float> rows) {
  if (!machine.begin_plan()) return 0;
  std::size_t drafted = 0;
  for (; !machine.wanted_draft_rows().empty(); ++drafted) {
    if (!machine.supply_draft_rows(draft_rows)) return 0;
  }
  const std::uint64_t before = machine.statistics().rows_processed;
  if (!machine.plan() || !machine.absorb(rows)) return 0;
  return drafted + machine.statistics().rows_processed - before;
}

void run_rounds(benchmark::State& state, std::uint64_t target_seed) {
  const std::vector<float> draft_values = make_rows(1 + chain_length, 1);
  const std::vector<float> values = make_rows(1 + chain_length, target_seed);
  chain_machine machine(guided_drafter<chain<independent>>(chain<independent>{.length = chain_length}), {}, {},
                        philox_chance{3}, round_options());
  const std::vector<token> prompt{1, 2, 3};
  (void)machine.begin(prompt);
  std::size_t rows = 0;
  for (auto _ : state) rows += one_round(machine, {draft_values, vocab_size}, {values, vocab_size});
  state.counters["rows"] = benchmark::Counter(static_cast<double>(rows), benchmark::Counter::kAvgIterations);
}

/// p == q: everything is accepted, 4 draft rows and 5 target rows are processed.
void round_accepted(benchmark::State& state) { run_rounds(state, 1); }
BENCHMARK(round_accepted);

/// The floor of the round above: the same nine rows through the same sampler, and nothing else.
void rows_of_the_round(benchmark::State& state) {
  const std::vector<float> values = make_rows(1 + chain_length, 1);
  const matrix_rows<float> rows{values, vocab_size};
  const sampler_chain<> sampler;
  candidates<float> scratch;
  std::vector<distribution<float>> laws(9);
  for (auto _ : state) {
    for (std::size_t i = 0; i < laws.size(); ++i) {
      benchmark::DoNotOptimize(sampler.law(rows.row(static_cast<node_id>(i % 5)), {}, scratch, laws[i]));
    }
  }
}
BENCHMARK(rows_of_the_round);

/// A chain of 4 fixed tokens under `match`: a rejected first token touches one row.
class fixed_chain {
 public:
  static constexpr tree_class produces = tree_class::deterministic;
  static constexpr bool chains_only = true;
  [[nodiscard]] std::size_t length() const noexcept { return length_; }
  result<void> extend(token_span tokens) noexcept { return length_ += tokens.size(), result<void>{}; }
  result<void> truncate(std::size_t length) noexcept { return length_ = length, result<void>{}; }
  template <class Real, class Chance>
  result<void> start(token_draft<Real>& draft, const draft_site& site, Chance&) {
    for (node_id end = 0; end < std::min(site.limits.nodes, chain_length); ++end) draft.tree.append(end, 7);
    return {};
  }
  template <class Real, class Chance>
  result<void> run(token_draft<Real>&, Chance&) noexcept {
    return {};
  }
  [[nodiscard]] node_span wanted() const noexcept { return {}; }
  void observe(const token_tree&, node_span) noexcept {}

 private:
  std::size_t length_ = 0;
};

void round_rejected_at_once(benchmark::State& state) {
  std::vector<float> values = make_rows(1 + chain_length, 1);
  for (std::size_t row = 0; row <= chain_length; ++row) values[row * vocab_size + 7] = -1e30f;
  speculation machine(fixed_chain{}, match{}, sampler_chain<>{}, philox_chance{3}, round_options());
  const std::vector<token> prompt{1, 2, 3};
  (void)machine.begin(prompt);
  for (auto _ : state) {
    matrix_rows<float> rows{values, vocab_size};
    if (!machine.plan() || !machine.absorb(rows)) state.SkipWithError("a step failed");
  }
  const auto& stats = machine.statistics();
  state.counters["rows"] = static_cast<double>(stats.rows_processed) / static_cast<double>(stats.passes);
}
BENCHMARK(round_rejected_at_once);

void one_row(benchmark::State& state) {
  const std::vector<float> values = make_rows(1, 1);
  const sampler_chain<> sampler;
  candidates<float> scratch;
  distribution<float> law;
  for (auto _ : state) {
    benchmark::DoNotOptimize(sampler.law(std::span<const float>(values), {}, scratch, law));
  }
}
BENCHMARK(one_row);

/// The figures with their bars (docs/benchmarks.md). Ratios are of medians of one run.
bench::figures summarise(const bench::collector& runs) {
  bench::figures out;
  const auto add = [&](const char* name, const char* run, double divisor, const char* unit, double limit) {
    if (runs.ran(run)) out.add(name, bench::scaled(runs.time(run), divisor), unit, limit);
  };
  add("chance/philox/bulk", "philox_bulk", 4096, "ns", 5);
  add("chance/philox/coin", "philox_coin", 1, "ns", -1);
  add("tree/layout/creation/n64", "layout_64/0", 1000, "us", 2);
  add("tree/layout/heavy_path/n64", "layout_64/1", 1000, "us", -1);
  add("verify/recursive_rejection/survivors40", "rejection_node", 1000, "us", 3);
  add("round/chain4/V32000", "round_accepted", 1000, "us", -1);
  add("round/chain4/V32000/its_rows_alone", "rows_of_the_round", 1000, "us", -1);
  add("round/rejected_at_once/V32000", "round_rejected_at_once", 1000, "us", -1);
  if (runs.ran("round_accepted") && runs.ran("rows_of_the_round")) {
    const double floor = runs.time("rows_of_the_round").median();
    out.add("round/chain4/V32000/over_rows", bench::scaled(runs.time("round_accepted"), floor), "x", 1.3);
  }
  if (runs.ran("round_rejected_at_once") && runs.ran("one_row")) {
    const double floor = runs.time("one_row").median();
    out.add("round/rejected_at_once/V32000/over_row", bench::scaled(runs.time("round_rejected_at_once"), floor), "x",
            1.3);
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string json = bench::take_json_option(argc, argv);
  std::vector<char*> arguments(argv, argv + argc);
  char repetitions[] = "--benchmark_repetitions=9";
  char interleaved[] = "--benchmark_enable_random_interleaving=true";
  arguments.insert(arguments.begin() + 1, {repetitions, interleaved});
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;
  bench::collector runs;
  benchmark::RunSpecifiedBenchmarks(&runs);
  const bench::figures figures = summarise(runs);
  figures.print();
  if (!json.empty() && !figures.write(json)) {
    std::fprintf(stderr, "bench_core: %s cannot be written\n", json.c_str());
    return 2;
  }
  return 0;
}
