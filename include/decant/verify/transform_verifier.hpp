// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Relaxed verification by transform: a rule makes a law pi of the target's law p and the draft's law q after a node,
// and an exact verifier runs on pi in place of p. What is emitted at each position has exactly the law pi, so the loss
// is measurable: TV(p, pi) and KL(p || pi). Lenience, mentored decoding, speculative cascades, the divergence gate and
// reflective verification are rules.
// Guarantee: lossy; the law is pi where the draft has a row after the node and the rule asks for one, else (at a bonus
// token) p. Never exact for p, not even for a rule that always keeps it: then it is, step by step, the base verifier.
// Needs: what the base verifier needs of the tree, and the draft's rows. Complexity: the base's plus one rule per
// visited node; measuring costs two more passes over the laws of the emitted tokens.
// Worked example: lenience.hpp.
#ifndef DECANT_VERIFY_TRANSFORM_VERIFIER_HPP
#define DECANT_VERIFY_TRANSFORM_VERIFIER_HPP

#include <decant/core/distances.hpp>
#include <decant/verify/recursive_rejection.hpp>
#include <decant/verify/relaxation.hpp>

namespace decant::inline DECANT_ABI {

/// What a rule has made of a node's law.
enum class emitted_law : std::uint8_t {
  target,   ///< p as it is
  draft,    ///< q as it is
  written,  ///< the law that was written and finished
  failed    ///< another law it asked for cannot be had, or what it wrote has no mass
};

/// What a rule sees.
template <class Real, class Laws>
struct transform_site {
  const token_draft<Real>& draft;
  node_id node;
  distribution_view<Real> target;   ///< p, the target's law after the node
  distribution_view<Real> drafted;  ///< q, the draft's law after the node; p when the draft has none
  Laws& laws;                       ///< the target's laws after other nodes, for instance of probes
};

/// Requirements:
/// - `needs_draft_row`: whether p is to be kept, without asking the rule, where the draft has no row;
/// - `work<Real>`: reusable scratch memory;
/// - `transform(site, work, out)`: which law is emitted after the node; `out` is written for `written` only. It depends
///   on what the site shows, never on the tokens drafted below the node or on chance: that keeps the base exact for pi.
template <class R>
concept TransformRule = requires(const R& rule, const transform_site<double, detail::any_laws>& site,
                                 typename R::template work<double>& work, distribution<double>& out) {
  { R::needs_draft_row } -> std::convertible_to<bool>;
  { rule.transform(site, work, out) } -> std::same_as<emitted_law>;
};

namespace detail {

/// Closes a law that a rule has written.
template <class Real>
[[nodiscard]] emitted_law close_written(distribution<Real>& out) {
  return out.finish() == error_code::none ? emitted_law::written : emitted_law::failed;
}

/// Writes the law with weights `weight(p(v), q(v))`. Sparse when both are.
template <class Real, class Weight>
[[nodiscard]] emitted_law write_pairwise(distribution_view<Real> p, distribution_view<Real> q, distribution<Real>& out,
                                         Weight&& weight) {
  using mass = mass_t<Real>;
  if (p.sparse() && q.sparse()) {
    out.begin_sparse(p.vocab_size());
    for_each_probability(p, q, [&](token id, const mass& x, const mass& y) {
      const auto written = static_cast<Real>(weight(x, y));
      if (written > Real(0)) out.push(id, written);
    });
  } else {
    const std::span<Real> weights = out.begin_dense(p.vocab_size());
    for_each_probability(
        p, q, [&](token id, const mass& x, const mass& y) { weights[index(id)] = static_cast<Real>(weight(x, y)); });
  }
  return close_written(out);
}

/// The smallest weight whose probability under a mass is at least `bar`.
[[nodiscard]] inline float weight_at_bar(double bar, double mass) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const auto reaches = [&](float weight) { return static_cast<double>(weight) / mass >= bar; };
  auto weight = static_cast<float>(bar * mass);
  while (reaches(weight) && weight > -infinity) weight = std::nextafter(weight, -infinity);
  while (!reaches(weight) && weight < infinity) weight = std::nextafter(weight, infinity);
  return weight;
}

/// Which tokens of a sum of two laws get a part of the draft's: all, or those whose key reaches a bar.
struct draft_share {
  enum class key : std::uint8_t { target, draft };
  key by = key::target;
  double bar = 0;  ///< a probability

  template <class Mass>
  [[nodiscard]] bool covers(const Mass& p, const Mass& q) const {
    return as_double(by == key::target ? p : q) >= bar;
  }
  template <class Real>
  [[nodiscard]] distribution_view<Real> keys(distribution_view<Real> p, distribution_view<Real> q) const {
    return by == key::target ? p : q;
  }
};

/// The draft's probability of the tokens that a share covers.
template <class Real>
[[nodiscard]] mass_t<Real> covered_mass(distribution_view<Real> p, distribution_view<Real> q,
                                        const draft_share& share) {
  using mass = mass_t<Real>;
  if constexpr (std::is_same_v<Real, float>) {
    if (are_for_kernels(p, q)) {
      const auto keys = share.keys(p, q);
      const float bar = weight_at_bar(share.bar, keys.mass());
      return cpu::best_vocabulary_kernels()
                 .mass_at_least(keys.weights().data(), q.weights().data(), q.size(), bar)
                 .mass /
             q.mass();
    }
  }
  mass sum(0);
  for_each_probability(p, q, [&](token, const mass& x, const mass& y) { sum += share.covers(x, y) ? y : mass(0); });
  return sum;
}

/// Writes scale_p p + scale_q q, without the second where the share does not cover a token.
template <class Real>
[[nodiscard]] emitted_law write_sum(distribution_view<Real> p, distribution_view<Real> q, distribution<Real>& out,
                                    const mass_t<Real>& scale_p, const mass_t<Real>& scale_q,
                                    const draft_share& share = {}) {
  using mass = mass_t<Real>;
  if constexpr (std::is_same_v<Real, float>) {
    if (are_for_kernels(p, q)) {
      const std::span<Real> weights = out.begin_dense(p.vocab_size());
      mass* const block_masses = out.room_for_block_masses();
      const auto keys = share.keys(p, q);
      const mass total = cpu::best_vocabulary_kernels().add_selected(
          p.weights().data(), q.weights().data(), keys.weights().data(), p.size(),
          static_cast<float>(scale_p / p.mass()), static_cast<float>(scale_q / q.mass()),
          weight_at_bar(share.bar, keys.mass()), weights.data(), block_masses);
      return out.finish(total) == error_code::none ? emitted_law::written : emitted_law::failed;
    }
  }
  return write_pairwise(p, q, out, [&](const mass& x, const mass& y) {
    return mass(scale_p * x + (share.covers(x, y) ? mass(scale_q * y) : mass(0)));
  });
}

/// Whether some end token is likelier under `law` than under `target`.
template <class Real>
[[nodiscard]] bool ends_more_freely(const end_tokens& ends, distribution_view<Real> target,
                                    distribution_view<Real> law) {
  return std::any_of(ends.ids.begin(), ends.ids.end(),
                     [&](token id) { return ends.guards(id) && target.probability(id) < law.probability(id); });
}

/// Writes `law` with every guarded end token at most as likely as under `target`, the others scaled up in proportion.
/// False when nothing else has mass.
template <class Real>
[[nodiscard]] bool guard_ends(const end_tokens& ends, distribution_view<Real> target, distribution_view<Real> law,
                              distribution<Real>& out) {
  using mass = mass_t<Real>;
  mass other(0);
  mass ended(0);
  const auto capped = [&](token id, const Real& weight) {
    const mass wanted = static_cast<mass>(weight) / law.mass();
    const mass allowed = static_cast<mass>(target.weight_of(id)) / target.mass();
    return std::min(wanted, allowed);
  };
  for (std::size_t i = 0; i < law.size(); ++i) {
    if (ends.guards(law.id(i))) {
      ended += capped(law.id(i), law.weight(i));
    } else {
      other += static_cast<mass>(law.weight(i));
    }
  }
  if (!(other > mass(0))) return false;
  const mass scale = other / (mass(1) - ended);
  const auto weight = [&](std::size_t i) {
    return ends.guards(law.id(i)) ? static_cast<Real>(capped(law.id(i), law.weight(i)) * scale) : law.weight(i);
  };
  if (law.sparse()) {
    out.begin_sparse(law.vocab_size());
    for (std::size_t i = 0; i < law.size(); ++i) out.push(law.id(i), weight(i));
  } else {
    const std::span<Real> weights = out.begin_dense(law.vocab_size());
    for (std::size_t i = 0; i < law.size(); ++i) weights[i] = weight(i);
  }
  return out.finish() == error_code::none;
}

/// Memory of `transformed_laws`.
template <class Real>
struct transform_memory {
  std::vector<const distribution<Real>*> known;  // by node
  std::vector<distribution<Real>> written;
  distribution<Real> guarded;  // room for one more
  std::size_t used = 0;

  void reset(std::size_t node_count) {
    known.assign(node_count, nullptr);
    written.reserve(node_count);  // laws handed out stay where they are for the whole step
    used = 0;
  }
  [[nodiscard]] distribution<Real>& next() {
    if (used == written.size()) written.emplace_back();
    return written[used++];
  }
};

/// The laws pi of one step, made when they are first asked for; never writes into p or q.
template <class Real, class Laws, class Rule>
class transformed_laws {
 public:
  using value_type = Real;
  using rule_work = typename Rule::template work<Real>;

  transformed_laws(const Rule& rule, const end_tokens& ends, const token_draft<Real>& draft, Laws& target,
                   transform_memory<Real>& memory, rule_work& work)
      : rule_(rule), ends_(ends), draft_(draft), target_(target), memory_(memory), work_(work) {
    memory_.reset(draft.tree.size());
  }

  [[nodiscard]] const distribution<Real>* law(node_id n) {
    const distribution<Real>*& known = memory_.known[index(n)];
    if (known == nullptr) known = made(n);
    return known;
  }
  [[nodiscard]] error_code status() const noexcept { return status_; }

 private:
  [[nodiscard]] const distribution<Real>* made(node_id n) {
    const distribution<Real>* target = target_.law(n);
    if (target == nullptr) return failed(target_.status());
    const std::int32_t row = draft_.row_after(n);
    if (Rule::needs_draft_row && row < 0) return target;
    const auto drafted = row < 0 ? target->view() : draft_.rows.row(row);
    distribution<Real>& out = memory_.next();
    switch (rule_.transform(transform_site<Real, Laws>{draft_, n, target->view(), drafted, target_}, work_, out)) {
      case emitted_law::written: break;
      case emitted_law::draft: out.assign(drafted); break;
      case emitted_law::target: --memory_.used; return target;
      case emitted_law::failed:
        return failed(target_.status() != error_code::none ? target_.status() : error_code::row_empty);
    }
    if (!ends_more_freely(ends_, target->view(), out.view())) return &out;
    if (!guard_ends(ends_, target->view(), out.view(), memory_.guarded)) return target;
    std::swap(out, memory_.guarded);
    return &out;
  }

  const distribution<Real>* failed(error_code why) {
    status_ = why;
    return nullptr;
  }

  const Rule& rule_;
  const end_tokens& ends_;
  const token_draft<Real>& draft_;
  Laws& target_;
  transform_memory<Real>& memory_;
  rule_work& work_;
  error_code status_ = error_code::none;
};

}  // namespace detail

/// `Base` verifies exactly for the transformed laws: recursive rejection, speculative sampling, block verification,
/// traversal, or any other exact verifier.
template <class Rule, class Base = recursive_rejection>
struct transform_verifier {
  static_assert(TransformRule<Rule>, "transform_verifier: the first parameter must be a transform rule");
  static_assert(Verifier<Base>, "transform_verifier: the second parameter must be a verifier");
  static constexpr guarantee promises = guarantee::lossy;
  static constexpr edge_needs needs = Base::needs;
  static constexpr shape_needs shape = Base::shape;

  Rule rule{};
  Base base{};
  end_tokens ends{};          ///< never likelier under pi than under p, the other tokens taking what they lose
  bool measures_loss = true;  ///< fill `verdict::loss` beyond its counters

  /// What is out of range, in one sentence.
  [[nodiscard]] result<void> check() const { return check_of(rule); }

  template <class Real>
  struct work {
    detail::transform_memory<Real> laws;
    typename Rule::template work<Real> rule;
    typename Base::template work<Real> base;
  };

  template <class Real, class Laws, class Chance>
  [[nodiscard]] error_code verify(const token_draft<Real>& draft, Laws& target, Chance& chance,
                                  std::uint64_t root_position, work<Real>& scratch, verdict& out) const {
    detail::transformed_laws<Real, Laws, Rule> emitted(rule, ends, draft, target, scratch.laws, scratch.rule);
    const error_code verified = base.verify(draft, emitted, chance, root_position, scratch.base, out);
    if (verified != error_code::none) return verified;
    if (const error_code failed = compare(draft, target, emitted, out); failed != error_code::none) return failed;
    return detail::measure_tokens(draft.tree, target, measures_loss, out);
  }

  friend bool operator==(const transform_verifier&, const transform_verifier&) = default;

 private:
  /// Flags the tokens that are likelier under pi and might have been refused under p, and measures the laws.
  template <class Real, class Laws, class Emitted>
  [[nodiscard]] error_code compare(const token_draft<Real>& draft, Laws& target, Emitted& emitted, verdict& out) const {
    for (std::size_t i = 0; i < out.path.size(); ++i) {
      const distribution<Real>* p = target.law(out.path[i]);
      const distribution<Real>* pi = emitted.law(out.path[i]);
      if (p == nullptr || pi == nullptr) return p == nullptr ? target.status() : emitted.status();
      if (measures_loss) measure(*p, *pi, out.loss);
      if (p == pi || i + 1 == out.path.size()) continue;
      const node_id child = out.path[i + 1];
      const token id = draft.tree.token_of(child);
      const bool is_likelier = p->view().probability(id) < pi->view().probability(id);
      if (is_likelier && detail::may_be_refused(draft, child, p->view())) out.relaxed.push_back(child);
    }
    return error_code::none;
  }

  template <class Real>
  static void measure(const distribution<Real>& p, const distribution<Real>& pi, relaxed_loss& loss) {
    if (&p == &pi) {
      loss.add_law(0, 0);
    } else {
      loss.add_law(as_double(total_variation(p.view(), pi.view())), kl_divergence(p.view(), pi.view()));
    }
  }
};

}  // namespace decant::inline DECANT_ABI

#endif
