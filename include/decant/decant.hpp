// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The umbrella: everything that needs no optional dependency. Careful users include the headers they need; each of them
// stands alone. Not in here, because of what they cost or need: decode/steady_clock.hpp (<chrono>), proof/, reference/.
#ifndef DECANT_DECANT_HPP
#define DECANT_DECANT_HPP

// core
#include <decant/config.hpp>
#include <decant/core/chance.hpp>
#include <decant/core/distribution.hpp>
#include <decant/core/error.hpp>
#include <decant/core/guarantee.hpp>
#include <decant/core/json_writer.hpp>
#include <decant/core/philox.hpp>
#include <decant/core/recording_chance.hpp>
#include <decant/core/relaxed_loss.hpp>
#include <decant/core/residual.hpp>
#include <decant/core/rows.hpp>
#include <decant/core/statistics.hpp>
#include <decant/core/token_draft.hpp>
#include <decant/core/token_tree.hpp>
#include <decant/core/types.hpp>
#include <decant/version.hpp>

// sample
#include <decant/sample/any_sampler.hpp>
#include <decant/sample/log_probabilities.hpp>
#include <decant/sample/logit_bias.hpp>
#include <decant/sample/min_p.hpp>
#include <decant/sample/node_laws.hpp>
#include <decant/sample/penalties.hpp>
#include <decant/sample/presets.hpp>
#include <decant/sample/sampler.hpp>
#include <decant/sample/temperature.hpp>
#include <decant/sample/top_k.hpp>
#include <decant/sample/top_p.hpp>

// draft
#include <decant/draft/any_drafter.hpp>
#include <decant/draft/drafter.hpp>
#include <decant/draft/guided_drafter.hpp>
#include <decant/draft/merged_drafter.hpp>
#include <decant/draft/model_drafter.hpp>
#include <decant/draft/no_drafter.hpp>
#include <decant/draft/prompt_lookup.hpp>
#include <decant/draft/reflecting_drafter.hpp>

// tree
#include <decant/tree/acceptance_by_rank.hpp>
#include <decant/tree/any_builder.hpp>
#include <decant/tree/block_tree.hpp>
#include <decant/tree/builder.hpp>
#include <decant/tree/calibrated_paths.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/children.hpp>
#include <decant/tree/coupled_draws.hpp>
#include <decant/tree/dyspec_heap.hpp>
#include <decant/tree/dyspec_threshold.hpp>
#include <decant/tree/early_pruning.hpp>
#include <decant/tree/expand_and_rerank.hpp>
#include <decant/tree/greedy_multi_draft.hpp>
#include <decant/tree/layout.hpp>
#include <decant/tree/likeliest_nodes.hpp>
#include <decant/tree/merge.hpp>
#include <decant/tree/opt_tree.hpp>
#include <decant/tree/prompt_decoding_tree.hpp>
#include <decant/tree/prune.hpp>
#include <decant/tree/published_paths.hpp>
#include <decant/tree/published_widths.hpp>
#include <decant/tree/sequoia.hpp>
#include <decant/tree/single_draws.hpp>
#include <decant/tree/size_by_cost.hpp>
#include <decant/tree/static_paths.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/tree/stochastic_beam.hpp>
#include <decant/tree/uniform_tail.hpp>

// verify
#include <decant/verify/any_verifier.hpp>
#include <decant/verify/block_verification.hpp>
#include <decant/verify/canonical_decomposition.hpp>
#include <decant/verify/cascades.hpp>
#include <decant/verify/divergence_gate.hpp>
#include <decant/verify/drafter_invariant.hpp>
#include <decant/verify/greedy.hpp>
#include <decant/verify/judge.hpp>
#include <decant/verify/k_seq.hpp>
#include <decant/verify/lenience.hpp>
#include <decant/verify/loose_window.hpp>
#include <decant/verify/margin_acceptance.hpp>
#include <decant/verify/match.hpp>
#include <decant/verify/membership.hpp>
#include <decant/verify/mentored.hpp>
#include <decant/verify/optimal_acceptance.hpp>
#include <decant/verify/predicate_verifier.hpp>
#include <decant/verify/random_order.hpp>
#include <decant/verify/recursive_rejection.hpp>
#include <decant/verify/reflective.hpp>
#include <decant/verify/rejection_walk.hpp>
#include <decant/verify/relaxation.hpp>
#include <decant/verify/speculative_sampling.hpp>
#include <decant/verify/target_walk.hpp>
#include <decant/verify/top_k_acceptance.hpp>
#include <decant/verify/transform_verifier.hpp>
#include <decant/verify/traversal.hpp>
#include <decant/verify/typical_acceptance.hpp>
#include <decant/verify/verifier.hpp>
#include <decant/verify/window_verifier.hpp>

// control
#include <decant/control/acceptance_estimates.hpp>
#include <decant/control/budgeted_drafter.hpp>
#include <decant/control/calibrate.hpp>
#include <decant/control/confidence.hpp>
#include <decant/control/cost_curve.hpp>
#include <decant/control/expected_gain.hpp>
#include <decant/control/isotonic.hpp>
#include <decant/control/length_rule.hpp>
#include <decant/control/paced_drafter.hpp>
#include <decant/control/pass_time_line.hpp>
#include <decant/control/renewal_rule.hpp>

// decode
#include <decant/decode/generate.hpp>
#include <decant/decode/speculation.hpp>
#include <decant/decode/stop_rules.hpp>
#include <decant/decode/text_output.hpp>
#include <decant/decode/trace.hpp>

// model: the concept and toy models with known laws
#include <decant/model/model.hpp>

#endif
