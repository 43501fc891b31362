// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Draws without replacement that are made one at a time, from many rows in any order, as builders need them that decide
// after each draw where the next one goes (DySpec, stochastic beam). A row is summed once, block by block; a draw then
// picks a block by its mass, and a token within it:
//   P(y) = (mass of y's block / mass left) * (weight of y / mass of its block) = weight of y / mass left,
// both masses without the tokens drawn before, which are summed afresh and so never lose their digits. The two picks
// are ordinary ones, so proofs enumerate them. The drawn tokens of a row are the children of its node: nothing is
// stored twice. Blocks go by token id, so the sparse and the dense form of a row draw the same tokens.
// Complexity: a row whose law has kept its block masses is opened by copying them; any other, or another size of block,
// costs one pass of sums (6 us at V = 32,000). Then O(V / block + block + siblings) per draw (0.5 us there). Memory:
// V / block masses per row.
// Example: weights (1 4 2 3) in blocks of 2 have masses 5 and 5. Token 1 is drawn with probability 5/10 * 4/5 = 0.4;
// then the masses are 1 and 5, and token 3 follows with 5/6 * 3/5 = 3/6.
#ifndef DECANT_TREE_SINGLE_DRAWS_HPP
#define DECANT_TREE_SINGLE_DRAWS_HPP

#include <decant/tree/children.hpp>

namespace decant::inline DECANT_ABI {

/// Tokens of a block; near the square root of usual vocabularies, where sums over blocks and within one balance.
inline constexpr std::int32_t usual_row_block = static_cast<std::int32_t>(law_block);

/// Rows that are being drawn from during one draft. Reused from draft to draft; allocates only to warm up.
template <class Real>
class single_draws {
 public:
  using mass = mass_t<Real>;

  /// Starts a draft: no rows, and the numbers of the draws begin anew. `rows` is how many may be open at once.
  void start(std::size_t rows, std::int32_t block) {
    DECANT_PRECONDITION(block >= 1);
    most_rows_ = rows;
    block_ = index(block);
    next_draw_ = 0;
    close_all();
  }
  /// Forgets the open rows; their numbers begin anew, those of the draws go on.
  void close_all() noexcept { open_count_ = masses_used_ = 0; }

  /// Opens the row after node `n`, from which nothing has been drawn yet, and returns its number. O(row size).
  std::size_t open(const token_draft<Real>& draft, node_id n) {
    const std::int32_t id = draft.row_after(n);
    const distribution_view<Real> row = draft.rows.row(id);
    const std::size_t blocks = (row.vocab_size() + block_ - 1) / block_;
    if (open_count_ == open_rows_.size()) grow_to(blocks);
    open_row& opened = open_rows_[open_count_];
    opened = {n, id, masses_used_, blocks, mass(0), mass(0)};
    masses_used_ += blocks;
    if (masses_.size() < masses_used_) masses_.resize(masses_used_);
    sum_blocks(row, masses_of(opened));
    opened.total = opened.left = detail::sum_in_lanes<mass>(masses_of(opened));
    return open_count_++;
  }

  /// Share of the row that has not been drawn; exactly 1 before the first draw, exactly 0 when nothing is left.
  [[nodiscard]] mass share_left(std::size_t number) const { return open_rows_[number].left / open_rows_[number].total; }
  /// Share of one token in the whole row. Never more than `share_left` was when the token was drawn.
  [[nodiscard]] mass share_of(const token_draft<Real>& draft, std::size_t number, token id) const {
    const open_row& opened = open_rows_[number];
    return static_cast<mass>(draft.rows.row(opened.row).weight_of(id)) / opened.total;
  }

  /// Key of the next draw or coin: each draft counts them, whatever they are for.
  [[nodiscard]] chance_key next_key(std::uint64_t root_position) noexcept {
    return draft_key(root_position, next_draw_++);
  }

  /// Draws one token more from an open row that is not exhausted and appends it below the row's node.
  template <class Chance>
  node_id draw(token_draft<Real>& draft, std::size_t number, std::uint64_t root_position, Chance& chance) {
    open_row& opened = open_rows_[number];
    DECANT_PRECONDITION(opened.left > mass(0));
    const distribution_view<Real> row = draft.rows.row(opened.row);
    const std::span<mass> masses = masses_of(opened);
    // A single block needs no pick; whether there is one depends on the vocabulary alone.
    const std::size_t block =
        masses.size() == 1 ? 0
                           : index(chance.pick(next_key(root_position), distribution_view<mass>(masses, opened.left)));
    copy_undrawn(draft.tree, opened, row, block);
    const distribution_view<Real> inside =
        row.sparse()
            ? distribution_view<Real>(row.ids().subspan(first_, rest_.size()), rest_, row.vocab_size(), masses[block])
            : distribution_view<Real>(rest_, masses[block]);
    const token picked = chance.pick(next_key(root_position), inside);
    const token id = row.sparse() ? picked : picked + static_cast<token>(first_);
    set_drawn(row, id);
    masses[block] = detail::sum_in_lanes<Real>(rest_);
    opened.left = detail::sum_in_lanes<mass>(masses);
    return detail::append_child(draft, opened.node, id, {edge_law::without_replacement, opened.row}, row);
  }

 private:
  struct open_row {
    node_id node = 0;
    std::int32_t row = -1;
    std::size_t first_mass = 0;
    std::size_t blocks = 0;
    mass total{0};
    mass left{0};
  };

  [[nodiscard]] std::span<mass> masses_of(const open_row& opened) noexcept {
    return std::span<mass>(masses_).subspan(opened.first_mass, opened.blocks);
  }

  /// Room for all rows of the draft at once: how many a draft opens varies from step to step.
  void grow_to(std::size_t blocks) {
    const std::size_t rows = std::max(most_rows_, open_count_ + 1);
    open_rows_.resize(rows);
    masses_.reserve(rows * blocks);
    rest_.reserve(block_);
  }

  /// Writes the mass of every block of a row.
  void sum_blocks(distribution_view<Real> row, std::span<mass> masses) const {
    if (row.sparse()) {
      std::fill(masses.begin(), masses.end(), mass(0));
      for (std::size_t i = 0; i < row.size(); ++i) {
        masses[index(row.id(i)) / block_] += static_cast<mass>(row.weight(i));
      }
      return;
    }
    if (block_ == law_block && !row.block_masses().empty()) {
      std::copy(row.block_masses().begin(), row.block_masses().end(), masses.begin());
      return;
    }
    for (std::size_t b = 0; b < masses.size(); ++b) {
      const std::size_t first = b * block_;
      masses[b] = detail::sum_in_lanes<Real>(row.weights().subspan(first, std::min(block_, row.size() - first)));
    }
  }

  /// Copies the weights of a block to `rest_`, those of drawn tokens as 0; its first entry in the row to `first_`.
  void copy_undrawn(const token_tree& tree, const open_row& opened, distribution_view<Real> row, std::size_t block) {
    first_ = entry_at(row, block * block_);
    const std::size_t last = entry_at(row, (block + 1) * block_);
    const std::span<const Real> weights = row.weights().subspan(first_, last - first_);
    rest_.assign(weights.begin(), weights.end());
    for (node_id c = tree.first_child(opened.node); c != no_node; c = tree.next_sibling(c)) {
      if (index(tree.token_of(c)) / block_ == block && tree.edge(c).row == opened.row) set_drawn(row, tree.token_of(c));
    }
  }

  /// The first entry of a row whose id is at least `id`.
  [[nodiscard]] static std::size_t entry_at(distribution_view<Real> row, std::size_t id) {
    if (!row.sparse()) return std::min(id, row.size());
    const token_span ids = row.ids();
    const auto bound = static_cast<token>(std::min(id, row.vocab_size()));
    return static_cast<std::size_t>(std::lower_bound(ids.begin(), ids.end(), bound) - ids.begin());
  }
  void set_drawn(distribution_view<Real> row, token id) { rest_[entry_at(row, index(id)) - first_] = Real(0); }

  std::vector<open_row> open_rows_;
  std::size_t open_count_ = 0;
  std::vector<mass> masses_;  // of the blocks of all open rows, without what was drawn
  std::size_t masses_used_ = 0;
  std::vector<Real> rest_;  // the block that is being drawn from
  std::size_t first_ = 0;   // its first entry in the row
  std::size_t most_rows_ = 0;
  std::size_t block_ = 1;
  std::int32_t next_draw_ = 0;
};

}  // namespace decant::inline DECANT_ABI

#endif
