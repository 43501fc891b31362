// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A draft model with a tree builder: `guided_drafter` whose rows come from a Model of its own. Keeps the model's KV in
// step with the committed text: the accepted part of a draft that the model has evaluated is committed, the rest
// (leaves that were never expanded, the correction or bonus token) is fed before the next draft. Needs: a Model with
// the target's vocabulary. Complexity: one draft pass per batch of wanted rows (depth of the tree for level-wise
// builders) plus the feeding of missing tokens.
#ifndef DECANT_DRAFT_MODEL_DRAFTER_HPP
#define DECANT_DRAFT_MODEL_DRAFTER_HPP

#include <decant/draft/guided_drafter.hpp>
#include <decant/model/model.hpp>

namespace decant::inline DECANT_ABI {

/// `M` may be a model, or a reference to one that the caller keeps alive.
template <class M, class Builder, class S = sampler_chain<>>
class model_drafter {
 public:
  using model_type = std::remove_reference_t<M>;
  using real = typename model_type::rows_type::value_type;
  static_assert(Model<model_type>, "model_drafter: the first parameter must satisfy the Model concept");
  static constexpr bool evaluates_trees = requires { requires TreeModel<model_type>; };
  static_assert(evaluates_trees || Builder::chains_only,
                "model_drafter: this model evaluates chains only, so the builder must make chains");
  static constexpr tree_class produces = Builder::produces;
  static constexpr bool chains_only = Builder::chains_only;

  explicit model_drafter(M&& model, Builder builder = {}, S sampler = {})
      : model_(std::forward<M>(model)), guided_(std::move(builder), std::move(sampler)) {}

  [[nodiscard]] tree_class produces_value() const { return guided_.produces_value(); }
  [[nodiscard]] bool chains_only_value() const { return guided_.chains_only_value(); }
  [[nodiscard]] result<void> check() const { return guided_.check(); }

  [[nodiscard]] std::size_t length() const noexcept { return guided_.length(); }
  result<void> extend(token_span tokens) { return guided_.extend(tokens); }
  /// Takes the model back too.
  result<void> truncate(std::size_t length) {
    const std::size_t kept = std::min<std::size_t>(length, model_.length());
    evaluated_.clear();
    if (auto done = model_.truncate(kept); !done) return done;
    return guided_.truncate(length);
  }

  template <class Chance>
  result<void> start(token_draft<real>& draft, const draft_site& site, Chance& chance) {
    if (model_.vocab_size() != site.vocab_size) {
      return error{error_code::refused_pairing, "the draft model's vocabulary differs from the target's"};
    }
    evaluated_.clear();
    if (auto fed = feed(site); !fed) return fed;
    site_ = site;
    const std::size_t context_left =
        model_.context_size() - std::min<std::size_t>(model_.context_size(), site.context.size());
    site_.limits.nodes =
        std::min(site.limits.nodes, static_cast<std::int32_t>(std::min<std::size_t>(context_left, 1u << 20)));
    return guided_.start(draft, site_, chance);
  }

  /// Runs the draft pass that the wanted nodes ask for. The draft may be left after any pass.
  template <class Chance>
  result<void> advance(token_draft<real>& draft, Chance& chance) {
    const node_span nodes = guided_.wanted();
    if (nodes.empty()) return {};
    if (model_.length() + evaluated_.size() + nodes.size() > model_.context_size()) return give_up(draft, chance);
    auto rows = model_.evaluate(draft.tree, nodes);
    if (!rows) return rows.error();
    evaluated_.insert(evaluated_.end(), nodes.begin(), nodes.end());
    if (auto grown = guided_.supply(draft, *rows, chance); !grown) return grown;
    drafted_as_.resize(draft.tree.size());
    for (const node_id n : draft.tree.all()) drafted_as_[index(n)] = draft.drafted_as(n);
    return {};
  }

  /// Runs the draft passes until the tree is ready.
  template <class Chance>
  result<void> run(token_draft<real>& draft, Chance& chance) {
    while (!guided_.wanted().empty()) {
      if (auto advanced = advance(draft, chance); !advanced) return advanced;
    }
    return {};
  }

  [[nodiscard]] node_span wanted() const { return guided_.wanted(); }

  void observe(const token_tree& tree, node_span kept) {
    guided_.observe(tree, kept);
    known_path_.clear();
    for (const node_id n : kept) {
      const node_id known = index(n) < drafted_as_.size() ? drafted_as_[index(n)] : no_node;
      if (!was_evaluated(known)) break;
      known_path_.push_back(known);
    }
    // A refusal only means that the next start feeds these tokens again.
    if (!known_path_.empty()) (void)model_.commit(known_path_);
    evaluated_.clear();
  }

  [[nodiscard]] model_type& model() noexcept { return model_; }
  [[nodiscard]] const Builder& builder() const noexcept { return guided_.builder(); }

 private:
  /// Brings the model to all committed tokens but the root. Drops what an abandoned draft left pending.
  [[nodiscard]] result<void> feed(const draft_site& site) {
    const std::size_t wanted_length = site.context.size() - 1;
    if (auto dropped = model_.truncate(std::min<std::size_t>(model_.length(), wanted_length)); !dropped) return dropped;
    if (wanted_length >= model_.context_size() || model_.length() == wanted_length) return {};
    return model_.prefill(site.context.subspan(model_.length(), wanted_length - model_.length()));
  }

  /// A builder that drafts more than it keeps has outgrown the context of the draft model: nothing is drafted. One that
  /// keeps to the node limit never does, so the law of a sampled tree is not touched.
  template <class Chance>
  result<void> give_up(token_draft<real>& draft, Chance& chance) {
    evaluated_.clear();
    drafted_as_.clear();
    draft.reset(draft.tree.token_of(0));
    site_.limits = {};
    if (auto started = guided_.start(draft, site_, chance); !started) return started;
    return guided_.wanted().empty() ? result<void>() : result<void>(error_code::context_full);
  }

  [[nodiscard]] bool was_evaluated(node_id n) const {
    return std::find(evaluated_.begin(), evaluated_.end(), n) != evaluated_.end();
  }

  M model_;
  guided_drafter<Builder, S, real> guided_;
  std::vector<node_id> evaluated_;   // pending nodes of the model, by the ids they had when the draft grew
  std::vector<node_id> drafted_as_;  // by node of the finished draft: its id when the draft grew
  std::vector<node_id> known_path_;
  draft_site site_{};
};

/// Deduces the parameters; pass the model as an lvalue to keep it outside.
template <class M, class Builder, class S = sampler_chain<>>
[[nodiscard]] model_drafter<M, Builder, S> make_model_drafter(M&& model, Builder builder, S sampler = {}) {
  return model_drafter<M, Builder, S>(std::forward<M>(model), std::move(builder), std::move(sampler));
}

}  // namespace decant::inline DECANT_ABI

#endif
