// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A verifier of one's own, and the proof that it is exact: it accepts each child with the target's probability of its
// token, and takes a rejected token out of the law before it tests the next (the sequential form of target match).
#include <decant/core/residual.hpp>
#include <decant/proof/prove.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/verifier.hpp>

#include <cstdio>

namespace {

// [verifier]
struct sequential_match {
  static constexpr decant::guarantee promises = decant::guarantee::exact_in_law;
  static constexpr decant::edge_needs needs = decant::edge_needs::nothing;
  static constexpr decant::shape_needs shape = decant::shape_needs::any_tree;
  template <class Real>
  using work = decant::running_residual<Real>;

  template <class Real, class Laws, class Chance>
  decant::error_code verify(const decant::token_draft<Real>& draft, Laws& target, Chance& chance,
                            std::uint64_t root_position, work<Real>& left, decant::verdict& out) const {
    out.reset();
    for (bool accepted = true; accepted;) {
      const auto* law = target.law(out.end());
      if (law == nullptr) return target.status();
      left.reset(law->view());
      accepted = draft.tree.for_each_draw(out.end(), [&](const decant::tree_draw& draw) {
        const decant::token id = draft.tree.token_of(draw.child);
        const double weight = left.law().weight_of(id);
        if (!chance.accept(decant::accept_key(root_position, draw.coin), weight, left.law().mass())) {
          left.remove(id);
          return false;
        }
        out.path.push_back(draw.child);
        return true;
      });
    }
    const auto key = decant::sample_key(root_position + out.path.size());
    finish(out, chance.pick(key, left.law()), draft.tree, decant::last_token_kind::correction);
    return decant::error_code::none;
  }
};
static_assert(decant::Verifier<sequential_match>);
// [/verifier]

// [proof]
bool prove_it() {
  using namespace decant;
  const auto drawn = proof::prove(sequential_match{}, static_widths<independent>{{2, 1}});
  const auto chosen = proof::prove(sequential_match{}, static_widths<ranked>{{2, 1}});
  std::printf("drawn trees:  %s\n", drawn.describe().c_str());
  std::printf("chosen trees: %s\n", chosen.describe().c_str());
  return drawn.exact() && chosen.exact();
}
// [/proof]

}  // namespace

int main() { return prove_it() ? 0 : 1; }
