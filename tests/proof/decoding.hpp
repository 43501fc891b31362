// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Decoding a text on a toy with production randomness, for tests that compare texts.
#ifndef DECANT_TESTS_PROOF_DECODING_HPP
#define DECANT_TESTS_PROOF_DECODING_HPP

#include <decant/core/philox.hpp>
#include <decant/proof/prove.hpp>

namespace decant_test {

using namespace decant;  // NOLINT: test support

struct decode_setup {
  philox_chance chance{};
  std::size_t tokens = 24;
  draft_limits limits{64, 16};
};

/// A machine for a toy, begun on its prompt; drive it with `resume` over `target_of(world)`.
template <class D, class V, class Real>
[[nodiscard]] auto machine_for(const proof::toy<Real>& world, const D& drafter, const V& verifier,
                               const decode_setup& setup) {
  decode_options options;
  options.vocab_size = world.vocab_size();
  options.context_size = 4096;
  options.max_tokens = setup.tokens;
  options.limits = setup.limits;
  speculation<D, V, given_law, philox_chance, Real> machine(drafter, verifier, given_law{}, setup.chance, options);
  machine.begin(world.prompt).value_or_throw();
  return machine;
}

template <class Real>
[[nodiscard]] law_model<proof::erased_law<Real>> target_of(const proof::toy<Real>& world) {
  return law_model<proof::erased_law<Real>>(world.target);
}

/// What a machine has emitted.
template <class Machine, class Real>
[[nodiscard]] std::vector<token> text_of(const Machine& machine, const proof::toy<Real>& world) {
  const token_span text = machine.context().subspan(world.prompt.size());
  return {text.begin(), text.end()};
}

/// The tokens that a drafter and a verifier decode.
template <class D, class V, class Real>
[[nodiscard]] std::vector<token> decode_with(const proof::toy<Real>& world, const D& drafter, const V& verifier,
                                             const decode_setup& setup) {
  auto machine = machine_for(world, drafter, verifier, setup);
  auto model = target_of(world);
  (void)resume(model, machine).value_or_throw();
  return text_of(machine, world);
}
/// The same with a tree builder over the toy's draft law.
template <class Builder, class V, class Real>
[[nodiscard]] std::vector<token> decode_text(const proof::toy<Real>& world, const Builder& builder, const V& verifier,
                                             const decode_setup& setup) {
  return decode_with(world, proof::drafter_of(world, builder), verifier, setup);
}

}  // namespace decant_test

#endif
