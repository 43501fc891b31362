// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The tokenizer of a model file, made from the file's own metadata.
#ifndef DECANT_REFERENCE_TOKENIZER_HPP
#define DECANT_REFERENCE_TOKENIZER_HPP

#include <decant/core/error.hpp>
#include <decant/core/types.hpp>
#include <decant/reference/bpe_tokenizer.hpp>
#include <decant/reference/gguf.hpp>

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace decant::inline DECANT_ABI {

/// The tokenizer of a model. Byte-level BPE (tokenizer.ggml.model "gpt2") is the one kind that is read.
using tokenizer = bpe_tokenizer;

namespace detail {

/// Sets `out` from a key of the file that may be absent.
template <class T>
[[nodiscard]] result<void> read_optional(const gguf_file& file, std::string_view key, T& out) {
  if (!file.has(key)) return {};
  result<T> value = file.get<T>(key);
  if (!value) return value.error();
  out = std::move(*value);
  return {};
}

[[nodiscard]] inline result<void> read_token_ids(const gguf_file& file, vocabulary_data& words) {
  struct named_id {
    const char* key;
    token* id;
  };
  const std::array<named_id, 3> ids{{{"tokenizer.ggml.bos_token_id", &words.bos},
                                     {"tokenizer.ggml.eos_token_id", &words.eos},
                                     {"tokenizer.ggml.unknown_token_id", &words.unknown}}};
  for (const named_id& entry : ids) {
    if (auto done = read_optional(file, entry.key, *entry.id); !done) return done;
  }
  constexpr std::array<const char*, 5> ends{"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id",
                                            "tokenizer.ggml.fim_pad_token_id", "tokenizer.ggml.fim_rep_token_id",
                                            "tokenizer.ggml.fim_sep_token_id"};
  for (const char* key : ends) {
    token id = no_token;
    if (auto done = read_optional(file, key, id); !done) return done;
    words.also_end.push_back(id);
  }
  return {};
}

}  // namespace detail

/// Makes the tokenizer that a file describes. Errors: `unsupported` for another kind of tokenizer or an unknown
/// pre-tokenizer, `file_malformed` for keys that are missing or contradict each other. The result does not refer to the
/// file.
[[nodiscard]] inline result<tokenizer> load_tokenizer(const gguf_file& file) {
  const auto model = file.get<std::string_view>("tokenizer.ggml.model");
  if (!model) return model.error();
  if (*model != "gpt2") return gguf_error(error_code::unsupported, "tokenizer of kind: ", *model);

  bpe_tokenizer_data data;
  auto texts = file.get<std::vector<std::string_view>>("tokenizer.ggml.tokens");
  if (!texts) return texts.error();
  data.vocabulary.texts = std::move(*texts);
  auto merges = file.get<std::vector<std::string_view>>("tokenizer.ggml.merges");
  if (!merges) return merges.error();
  data.merges = std::move(*merges);

  bool adds_bos = false;
  for (const auto& done : {detail::read_optional(file, "tokenizer.ggml.token_type", data.vocabulary.kinds),
                           detail::read_optional(file, "tokenizer.ggml.pre", data.pre_tokenizer),
                           detail::read_optional(file, "tokenizer.ggml.add_bos_token", adds_bos),
                           detail::read_optional(file, "tokenizer.ggml.add_eos_token", data.adds_eos),
                           detail::read_token_ids(file, data.vocabulary)}) {
    if (!done) return done.error();
  }
  if (file.has("tokenizer.ggml.add_bos_token")) data.adds_bos = adds_bos;
  return bpe_tokenizer::create(data);
}

}  // namespace decant::inline DECANT_ABI

#endif
