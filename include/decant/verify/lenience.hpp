// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Lenience (arXiv 2211.17192, appendix): a drafted token is accepted with probability min(1, p(x) / (l q(x))), l in
// (0, 1]; after a rejection a token from norm(relu(p - q)) (stock) or norm(relu(p - l q)) (scaled) follows. Emitted:
//   pi(v) = min(q(v), p(v) / l) + (1 - sum min(q, p / l)) residual(v).
// Guarantee: lossy, exactly pi; pi(v) <= p(v) / l with either residual, so KL(pi || p) <= -log l and no event over n
// tokens becomes likelier than l^-n times. l = 1 is the base verifier, bit for bit.
// Needs: draft rows. Complexity: two passes over the laws of each visited node.
// Worked example (p = (.5,.3,.2), q = (.2,.3,.5), l = .8): acceptance .75; pi = (.45,.3,.25), scaled (.4125,.3375,.25).
#ifndef DECANT_VERIFY_LENIENCE_HPP
#define DECANT_VERIFY_LENIENCE_HPP

#include <decant/core/law_blend.hpp>
#include <decant/verify/transform_verifier.hpp>

namespace decant::inline DECANT_ABI {

/// Which law follows a rejection.
enum class lenient_residual : std::uint8_t {
  stock,  ///< norm(relu(p - q)), as in an unchanged exact sampler
  scaled  ///< norm(relu(p - l q))
};

struct lenience {
  static constexpr bool needs_draft_row = true;
  template <class Real>
  using work = no_work<Real>;

  double factor = 0.8;  ///< l, in (0, 1]
  lenient_residual residual = lenient_residual::stock;

  [[nodiscard]] result<void> check() const {
    if (!(factor > 0 && factor <= 1)) return error{error_code::invalid_argument, "lenience: factor is not in (0, 1]"};
    return {};
  }

  template <class Real, class Laws>
  [[nodiscard]] emitted_law transform(const transform_site<Real, Laws>& site, no_work<Real>&,
                                      distribution<Real>& out) const {
    using mass = mass_t<Real>;
    if (!(factor < 1)) return emitted_law::target;
    const auto l = static_cast<mass>(factor);
    const mass most = mass(1) / l;
    const bool is_stock = residual == lenient_residual::stock;
    const mass rejected = std::max<mass>(mass(1) - overlap(site.target, site.drafted, most), mass(0));
    const mass residue = excess(site.target, site.drafted, is_stock ? mass(1) : l);
    const mass share = residue > mass(0) ? mass(rejected / residue) : mass(0);
    // relu(p - q) = p - min(q, p), and relu(p - l q) = p - l min(q, p / l).
    const law_blend<mass> pi = is_stock ? law_blend<mass>{share, mass(1), most, mass(0) - share, mass(1)}
                                        : law_blend<mass>{share, mass(1) - share * l, most};
    return write_blend(site.target, site.drafted, pi, out) == error_code::none ? emitted_law::written
                                                                               : emitted_law::failed;
  }

  friend constexpr bool operator==(const lenience&, const lenience&) = default;
};

/// Lenient speculative sampling.
template <class Base = recursive_rejection>
using lenient_verification = transform_verifier<lenience, Base>;

static_assert(Verifier<lenient_verification<>>);

}  // namespace decant::inline DECANT_ABI

#endif
