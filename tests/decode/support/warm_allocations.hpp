// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Counts what a machine allocates in steps it has room for.
#ifndef DECANT_TESTS_DECODE_SUPPORT_WARM_ALLOCATIONS_HPP
#define DECANT_TESTS_DECODE_SUPPORT_WARM_ALLOCATIONS_HPP

#include "tests/support/allocation_counter.hpp"
#include "tests/support/decoding.hpp"

namespace decant_test {

/// Options that use everything a step may do.
[[nodiscard]] inline decant::decode_options options_with_everything(const scene& here,
                                                                    const toy_vocabulary& vocabulary) {
  decant::decode_options options = options_for(here, 60);
  options.log_probabilities = true;
  options.bytes = decant::token_bytes::from(vocabulary);
  options.stops.add(std::span<const char>("abcabcabc", 9));
  options.end_of_sequence = {static_cast<token>(here.vocab_size())};  // never met
  return options;
}

/// Allocations of all calls of plan and absorb of a sequence, layouts included.
template <class Machine>
std::size_t allocations_of_run(boxed_model& target, Machine& machine, std::uint64_t seed) {
  const token_list prompt{1, 2, 3, 1, 2};
  machine.chance().seed = seed;
  REQUIRE(machine.begin(prompt).has_value());
  REQUIRE(target.truncate(0).has_value());
  REQUIRE(target.prefill(token_span(prompt).first(prompt.size() - 1)).has_value());
  std::size_t count = 0;
  while (!machine.finished()) {
    bool planned = false;
    count += allocations_of([&] {
      const auto plan = machine.plan();
      planned = plan.has_value();
      if (!planned) return;
      (void)plan->layout.in_creation_order();
      (void)plan->layout.in_heavy_path_order();
    });
    REQUIRE(planned);
    auto rows = target.evaluate(machine.draft_tree(), machine.draft_tree().all());
    REQUIRE(rows.has_value());
    decant::node_span kept;
    count += allocations_of([&] {
      const auto step = machine.absorb(*rows);
      if (step) kept = step->kept;
    });
    REQUIRE(!kept.empty());
    REQUIRE(target.commit(kept).has_value());
  }
  return count;
}

/// Allocations of sequences that the machine has decoded before, so that no tree, law or draft is larger than the
/// largest it has room for.
template <class Machine>
std::size_t allocations_when_warm(boxed_model& target, Machine& machine) {
  constexpr std::uint64_t seeds = 4;
  machine.reserve();
  CHECK(allocations_of_run(target, machine, 0) > 0);
  for (std::uint64_t seed = 1; seed < seeds; ++seed) (void)allocations_of_run(target, machine, seed);
  std::size_t count = 0;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) count += allocations_of_run(target, machine, seed);
  return count;
}

}  // namespace decant_test

#endif
