// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which model models which concept, and which near misses do not. All checks are static; the file compiles or it does
// not.
#include <decant/model/chain_model.hpp>
#include <decant/model/integer_network.hpp>
#include <decant/model/law_model.hpp>
#include <decant/model/laws.hpp>
#include <decant/model/model.hpp>
#include <decant/model/simulated_engine.hpp>
#include <decant/proof/faulty_models.hpp>

#include "tests/support/test_kit.hpp"

using namespace decant;

namespace {

/// Everything a full toy model promises, and nothing it does not have.
template <class M>
constexpr bool is_full_toy =
    Model<M>&& TreeModel<M>&& BatchInvariantModel<M>&& RollbackModel<M>&& ForkableModel<M>&& GeneralMaskModel<M> &&
    !HiddenRowModel<M> && !LayerRangeModel<M> && !EmbeddingInputModel<M> && !AttentionProbeModel<M>;

using weights_model = law_model<table_law<double>>;
using logits_model = law_model<hashed_law<float>, row_content::logits>;

static_assert(is_full_toy<weights_model>);
static_assert(is_full_toy<logits_model>);
static_assert(is_full_toy<law_model<shifted_law<double>>>);
static_assert(is_full_toy<law_model<ngram_law<float>>>);
static_assert(is_full_toy<law_model<mixed_law<hashed_law<float>, ngram_law<float>>>>);
static_assert(is_full_toy<integer_network<float>>);
static_assert(is_full_toy<integer_network<double>>);
static_assert(!Model<const logits_model>, "a model is changed by its passes");
static_assert(!Model<logits_model&>, "a concept asks about the type, not a reference to it");

// Wrappers keep what they do not take away.
static_assert(Model<chain_model<logits_model>> && !TreeModel<chain_model<logits_model>>);
static_assert(!GeneralMaskModel<chain_model<logits_model>>);
static_assert(BatchInvariantModel<chain_model<logits_model>> && RollbackModel<chain_model<logits_model>>);
static_assert(ForkableModel<chain_model<logits_model>>);
static_assert(!ForkableModel<chain_model<logits_model&>>, "a fork of a reference would be another type");
static_assert(TreeModel<simulated_engine<logits_model&>> && BatchInvariantModel<simulated_engine<logits_model>>);
static_assert(!TreeModel<simulated_engine<chain_model<logits_model>>>);
static_assert(TreeModel<proof::failing_model<logits_model>> && TreeModel<proof::corrupt_rows_model<logits_model&>>);
static_assert(TreeModel<proof::throwing_model<logits_model>>);
static_assert(RollbackModel<proof::failing_model<integer_network<float>&>>);

// Near misses of Model: a complete one, and for each requirement one that breaks it.
struct complete_model {
  using rows_type = matrix_rows<float>;
  std::size_t vocab_size() const;
  std::size_t context_size() const;
  std::size_t length() const;
  result<void> prefill(token_span);
  result<rows_type> evaluate(const token_tree&, node_span);
  result<void> commit(node_span);
  result<void> truncate(std::size_t);
};
static_assert(Model<complete_model>);
static_assert(!TreeModel<complete_model>, "trees are evaluated by those who say so");
static_assert(!BatchInvariantModel<complete_model> && !RollbackModel<complete_model> && !ForkableModel<complete_model>);
static_assert(!HiddenRowModel<complete_model> && !GeneralMaskModel<complete_model>);

struct without_rows_type : complete_model {
 private:
  using rows_type = void;
};
struct with_rows_that_are_none : complete_model {
  using rows_type = std::span<const float>;
};
struct with_length_that_changes_it : complete_model {
  std::size_t length();
};
struct without_commit : complete_model {
 private:
  using complete_model::commit;
};
struct with_commit_of_nothing : complete_model {
  result<void> commit();
};
struct with_evaluate_of_other_rows : complete_model {
  result<callback_rows<float, std::span<const float> (*)(node_id)>> evaluate(const token_tree&, node_span);
};
struct with_evaluate_that_cannot_fail : complete_model {
  rows_type evaluate(const token_tree&, node_span);
};
struct with_prefill_of_bool : complete_model {
  bool prefill(token_span);
};
struct with_truncate_of_nothing : complete_model {
  void truncate(std::size_t);
};
struct with_vocab_of_text : complete_model {
  const char* vocab_size() const;
};
static_assert(!Model<without_rows_type>);
static_assert(!Model<with_rows_that_are_none>);
static_assert(!Model<with_length_that_changes_it>);
static_assert(!Model<without_commit>);
static_assert(!Model<with_commit_of_nothing>);
static_assert(!Model<with_evaluate_of_other_rows>);
static_assert(!Model<with_evaluate_that_cannot_fail>);
static_assert(!Model<with_prefill_of_bool>);
static_assert(!Model<with_truncate_of_nothing>);
static_assert(!Model<with_vocab_of_text>);

// Near misses of the refinements.
struct tree_model : complete_model {
  static constexpr bool evaluates_trees = true;
};
struct model_that_denies_trees : complete_model {
  static constexpr bool evaluates_trees = false;
};
struct masked_chain_model : complete_model {
  [[maybe_unused]] static constexpr bool general_mask = true;
};
struct masked_tree_model : tree_model {
  static constexpr bool general_mask = true;
};
struct model_with_short_rollback : complete_model {
  static constexpr rollback_kind rollback = rollback_kind::last_k;
};
struct model_with_full_rollback : complete_model {
  static constexpr rollback_kind rollback = rollback_kind::full;
};
struct model_that_varies_with_the_batch : complete_model {
  static constexpr bool batch_invariant = false;
};
static_assert(TreeModel<tree_model> && !GeneralMaskModel<tree_model>);
static_assert(!TreeModel<model_that_denies_trees>);
static_assert(GeneralMaskModel<masked_tree_model>);
static_assert(!GeneralMaskModel<masked_chain_model>, "a general mask is a mask on trees");
static_assert(RollbackModel<model_with_full_rollback> && !RollbackModel<model_with_short_rollback>);
static_assert(!BatchInvariantModel<model_that_varies_with_the_batch>);
static_assert(model_wrapper<model_with_short_rollback>::rollback == rollback_kind::last_k);
static_assert(model_wrapper<complete_model>::rollback == rollback_kind::by_reevaluation);
static_assert(!TreeModel<model_wrapper<complete_model>> && TreeModel<model_wrapper<tree_model>>);

struct forkable_model : complete_model {
  result<forkable_model> fork();
};
struct model_with_fork_of_its_base : complete_model {
  result<complete_model> fork();
};
struct model_with_fork_that_cannot_fail : complete_model {
  model_with_fork_that_cannot_fail fork();
};
static_assert(ForkableModel<forkable_model>);
static_assert(!ForkableModel<model_with_fork_of_its_base>);
static_assert(!ForkableModel<model_with_fork_that_cannot_fail>);

struct model_with_hidden_rows : complete_model {
  std::size_t hidden_size() const;
  std::size_t layer_count() const;
  std::span<const float> hidden(std::size_t, node_id) const;
};
struct model_with_hidden_rows_of_unknown_size : complete_model {
  std::size_t layer_count() const;
  std::span<const float> hidden(std::size_t, node_id) const;
};
static_assert(HiddenRowModel<model_with_hidden_rows>);
static_assert(!HiddenRowModel<model_with_hidden_rows_of_unknown_size>);

struct model_with_layer_ranges : complete_model {
  result<void> evaluate_layers(const token_tree&, node_span, std::size_t, std::size_t);
  result<rows_type> project(node_span);
};
struct model_without_early_exit : complete_model {
  result<void> evaluate_layers(const token_tree&, node_span, std::size_t, std::size_t);
};
struct model_with_single_layers : complete_model {
  result<void> evaluate_layers(const token_tree&, node_span, std::size_t);
};
static_assert(LayerRangeModel<model_with_layer_ranges>);
static_assert(!LayerRangeModel<model_with_single_layers>);
static_assert(!LayerRangeModel<model_without_early_exit>);

struct model_with_joint_passes : complete_model {
  struct joint_part {
    model_with_joint_passes* model;
    const token_tree* tree;
    node_span nodes;
  };
  static result<void> evaluate_together(std::span<const joint_part>);
  rows_type rows() const;
};
static_assert(JointModel<model_with_joint_passes>);
static_assert(!JointModel<complete_model>);

struct model_with_extra_embeddings : complete_model {
  result<void> set_extra_embeddings(std::span<const float>);
};
struct model_with_double_embeddings : complete_model {
  result<void> set_extra_embeddings(std::span<const double>);
};
static_assert(EmbeddingInputModel<model_with_extra_embeddings>);
static_assert(!EmbeddingInputModel<model_with_double_embeddings>);

struct model_with_attention_probe : complete_model {
  std::span<const float> attention(std::size_t, std::size_t, node_id) const;
};
struct model_with_attention_that_changes_it : complete_model {
  std::span<const float> attention(std::size_t, std::size_t, node_id);
};
static_assert(AttentionProbeModel<model_with_attention_probe>);
static_assert(!AttentionProbeModel<model_with_attention_that_changes_it>);

// Token laws.
static_assert(TokenLaw<table_law<float>> && TokenLaw<shifted_law<double>> && TokenLaw<ngram_law<float>>);
static_assert(TokenLaw<hashed_law<float>> && TokenLaw<mixed_law<table_law<float>, hashed_law<float>>>);
struct complete_law {
  using value_type = float;
  std::size_t vocab_size() const;
  std::size_t order() const;
  void weights(token_span, std::span<float>) const;
};
struct law_without_order : complete_law {
 private:
  using complete_law::order;
};
struct law_that_remembers : complete_law {
  void weights(token_span, std::span<float>);
};
struct law_of_another_scalar : complete_law {
  void weights(token_span, std::span<double>) const;
};
static_assert(TokenLaw<complete_law>);
static_assert(!TokenLaw<law_without_order>);
static_assert(!TokenLaw<law_that_remembers>);
static_assert(!TokenLaw<law_of_another_scalar>);
static_assert(!TokenLaw<int>);

// Row sources of the models.
static_assert(RowSource<logits_model::rows_type> && RowSource<integer_network<double>::rows_type>);
static_assert(std::is_same_v<weights_model::rows_type::value_type, double>);
static_assert(std::is_same_v<proof::corrupt_rows_model<logits_model>::rows_type::value_type, float>);

}  // namespace

TEST_CASE("every model models its concepts and near misses do not") {
  STATIC_REQUIRE(is_full_toy<logits_model>);
  STATIC_REQUIRE_FALSE(Model<without_commit>);
}
