// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Drafts that builders make from given rows, with the time that the builder itself takes: the rows are finished laws,
// and copying them into the draft is not counted.
#ifndef DECANT_BENCHMARKS_VERIFY_DRAFTS_HPP
#define DECANT_BENCHMARKS_VERIFY_DRAFTS_HPP

#include "given_rows.hpp"
#include "interleaved.hpp"

#include <decant/tree/any_builder.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/dyspec_heap.hpp>
#include <decant/tree/static_widths.hpp>

#include <memory>

namespace bench {

/// One draft and the case it belongs to.
struct made_draft {
  token_draft<float> draft{};
  std::size_t offset = 0;  ///< of its rows among the given ones
  tree_class made = tree_class::arbitrary;
  bool is_chain = false;
  std::size_t passes = 0;   ///< draft passes, that is batches of rows
  double microseconds = 0;  ///< in the builder
  double with_copying = 0;  ///< in the builder and in copying the rows
};

/// Absolute position of a case's root: every case draws with keys of its own.
[[nodiscard]] constexpr std::uint64_t position_of(std::size_t number) { return 1000 * (number + 1); }

template <class Builder>
void build(const Builder& builder, typename Builder::template work<float>& work, given_laws& rows, std::size_t number,
           made_draft& out) {
  philox_chance chance{77};
  out.offset = rows.offset = 13 * number;
  out.made = produces_of(builder);
  out.is_chain = makes_chains_only(builder);
  out.passes = 0;
  stopwatch in_builder;
  stopwatch in_all;
  out.draft.reset(0);
  in_builder.resume();
  builder.start(work, out.draft, {1 << 20, 1 << 20});
  in_builder.pause();
  in_all.resume();
  for (; !builder.wanted(work).empty(); ++out.passes) {
    for (const node_id n : builder.wanted(work)) out.draft.add_row_after(n).assign(rows.law(n)->view());
    in_builder.resume();
    builder.grow(work, out.draft, position_of(number), chance);
    in_builder.pause();
  }
  in_all.pause();
  out.microseconds = in_builder.microseconds();
  out.with_copying = in_all.microseconds();
}

/// Appends `count` drafts of a builder.
template <class Builder>
void add_drafts(std::vector<made_draft>& all, const Builder& builder, given_laws& rows, std::size_t count) {
  typename Builder::template work<float> work{};
  for (std::size_t i = 0; i < count; ++i) {
    all.emplace_back();
    build(builder, work, rows, all.size() - 1, all.back());
  }
}

/// Trees of 64 nodes (64 draws, where tokens repeat) of every class and several shapes, and chains.
[[nodiscard]] inline std::vector<made_draft> drafts_of_64(given_laws& rows, std::size_t of_each) {
  std::vector<made_draft> all;
  all.reserve(8 * of_each);
  add_drafts(all, dyspec_heap{.nodes = 64}, rows, of_each);
  add_drafts(all, static_widths<independent>{.widths = {4, 3, 2, 1}}, rows, of_each);
  add_drafts(all, static_widths<without_replacement>{.widths = {4, 3, 2, 1}}, rows, of_each);
  add_drafts(all, static_widths<independent>{.widths = {16, 3}}, rows, of_each);
  add_drafts(all, static_widths<without_replacement>{.widths = {16, 3}}, rows, of_each);
  add_drafts(all, static_widths<ranked>{.widths = {4, 3, 2, 1}}, rows, of_each);
  add_drafts(all, chain<independent>{.length = 64}, rows, of_each);
  add_drafts(all, chain<ranked>{.length = 64}, rows, of_each);
  return all;
}

}  // namespace bench

#endif
