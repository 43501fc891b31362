// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The tokenizer of a model, made from its file's own metadata: byte-level BPE (gpt2 family) or SentencePiece (llama
// family). Special tokens are cut out of the text; what lies between goes to the family's encoder.
//
// Token ids equal those of llama.cpp, with these exceptions. Text that is not markup never becomes a control, unknown
// or unused token, not even by merging. A byte or character that has no token becomes the unknown token (byte-level: it
// vanishes there). Ill-formed UTF-8 keeps its bytes. White space after the special tokens of Phi-3 files is kept.
#ifndef DECANT_REFERENCE_TOKENIZER_HPP
#define DECANT_REFERENCE_TOKENIZER_HPP

#include <decant/core/error.hpp>
#include <decant/core/types.hpp>
#include <decant/reference/bpe_encoder.hpp>
#include <decant/reference/gguf.hpp>
#include <decant/reference/sentencepiece_encoder.hpp>
#include <decant/reference/special_tokens.hpp>
#include <decant/reference/vocabulary.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace decant::inline DECANT_ABI {

/// What a file says about its tokenizer, before any check. The views are read by `tokenizer::create` only.
struct tokenizer_data {
  vocabulary_data vocabulary;            ///< its family says which of the members below count
  std::vector<std::string_view> merges;  ///< byte-level: lines "A B" in order of priority
  std::string_view pre_tokenizer;        ///< byte-level: name of a row of `pre_tokenizer_rules`
  std::vector<float> scores;             ///< SentencePiece: one per token, or none
  bool adds_space_prefix = true;         ///< SentencePiece: a space is put before every text
  std::optional<bool> adds_bos;          ///< unset: as the pre-tokenizer's rule says; SentencePiece: true
  bool adds_eos = false;
};

/// Whether the tokens that the vocabulary puts around every text (beginning and end of sequence) are added.
enum class sequence_marks : std::uint8_t { add, leave_out };

/// Immutable once made; several threads may use one object.
class tokenizer {
 public:
  /// Errors: `file_malformed` as `vocabulary::create` and the encoders say, and when a token is to be added that the
  /// file does not name; `unsupported` for a pre-tokenizer that is not known.
  [[nodiscard]] static result<tokenizer> create(const tokenizer_data& data) {
    result<vocabulary> words = vocabulary::create(data.vocabulary);
    if (!words) return words.error();
    return words->family() == vocabulary_family::byte_level ? create_byte_level(std::move(*words), data)
                                                            : create_sentencepiece(std::move(*words), data);
  }

  [[nodiscard]] const vocabulary& words() const noexcept { return words_; }
  [[nodiscard]] bool adds_bos() const noexcept { return adds_bos_; }
  [[nodiscard]] bool adds_eos() const noexcept { return adds_eos_; }

  /// How text is split before it is merged. SentencePiece vocabularies merge across all of a text: a rule called
  /// "none".
  [[nodiscard]] const pre_tokenizer_rule& rule() const noexcept {
    const auto* bpe = std::get_if<bpe_encoder>(&encoder_);
    return bpe != nullptr ? bpe->rule() : unsplit;
  }

  /// Whether a space is put before every text and after every special token.
  [[nodiscard]] bool adds_space_prefix() const noexcept {
    const auto* pieces = std::get_if<sentencepiece_encoder>(&encoder_);
    return pieces != nullptr && pieces->adds_space_prefix();
  }

  /// The bytes that a token prints, as `vocabulary::bytes`. O(1), no allocation.
  [[nodiscard]] std::span<const char> token_bytes(token id) const noexcept { return words_.bytes(id); }

  /// Encodes the concatenation of `parts`. Control tokens are recognised inside parts that are markup; apart from that
  /// the borders of parts are not seen. O(n log n) for n bytes. Errors: `invalid_argument` for text that cannot be
  /// split or expressed, or of 2^31 bytes or more.
  [[nodiscard]] result<std::vector<token>> encode(std::span<const text_part> parts,
                                                  sequence_marks marks = sequence_marks::add) const {
    std::string text;
    for (const text_part& part : parts) text.append(part.text);
    if (text.size() > longest_text) return error(error_code::invalid_argument, "the text has 2^31 bytes or more");

    std::vector<token> tokens;
    if (marks == sequence_marks::add && adds_bos_) tokens.push_back(words_.bos());
    const std::string_view whole = text;
    std::size_t taken = 0;
    for (const special_occurrence& special : specials_.find(words_, whole, parts)) {
      if (auto done = encode_plain(whole.substr(taken, special.begin - taken), tokens); !done) return done.error();
      tokens.push_back(special.id);
      taken = special.begin + special.length;
    }
    if (auto done = encode_plain(whole.substr(taken), tokens); !done) return done.error();
    if (marks == sequence_marks::add && adds_eos_) tokens.push_back(words_.eos());
    return tokens;
  }

  /// Encodes plain text: what looks like a control token in it is text.
  [[nodiscard]] result<std::vector<token>> encode(std::string_view text,
                                                  sequence_marks marks = sequence_marks::add) const {
    const text_part part{text, false};
    return encode(std::span(&part, 1), marks);
  }

  /// Encodes text in which the texts of control tokens stand for the tokens.
  [[nodiscard]] result<std::vector<token>> encode_markup(std::string_view text,
                                                         sequence_marks marks = sequence_marks::add) const {
    const text_part part{text, true};
    return encode(std::span(&part, 1), marks);
  }

  /// The text that these tokens encode: the bytes of the tokens, one after the other, without the spaces that `encode`
  /// puts before a text and after special tokens. Control tokens print nothing. Tokens that go on with a text whose
  /// beginning is elsewhere keep their spaces: concatenate `token_bytes` for them. Error: `invalid_token`.
  [[nodiscard]] result<std::string> decode(token_span tokens) const {
    std::string text;
    bool after_prefix = adds_space_prefix();
    for (const token id : tokens) {
      if (!words_.contains(id)) return error(error_code::invalid_token, fixed_text<118>().append_number(id));
      std::string_view bytes = words_.bytes(id);
      const bool is_special = special_tokens::is_special(words_.kind(id));
      if (after_prefix && !is_special && bytes.starts_with(' ')) bytes.remove_prefix(1);
      text.append(bytes);
      after_prefix = is_special && adds_space_prefix();
    }
    return text;
  }

 private:
  using any_encoder = std::variant<bpe_encoder, sentencepiece_encoder>;

  static constexpr std::size_t longest_text = std::numeric_limits<std::int32_t>::max();
  static constexpr pre_tokenizer_rule unsplit{"none", {}};

  [[nodiscard]] static result<tokenizer> create_byte_level(vocabulary words, const tokenizer_data& data) {
    result<bpe_encoder> encoder = bpe_encoder::create(words, data.merges, data.pre_tokenizer);
    if (!encoder) return encoder.error();
    const bool adds_bos = data.adds_bos.value_or(encoder->rule().adds_bos && words.bos() != no_token);
    return with_marks(std::move(words), std::move(*encoder), adds_bos, data.adds_eos);
  }

  [[nodiscard]] static result<tokenizer> create_sentencepiece(vocabulary words, const tokenizer_data& data) {
    result<sentencepiece_encoder> encoder = sentencepiece_encoder::create(words, data.scores, data.adds_space_prefix);
    if (!encoder) return encoder.error();
    const bool adds_bos = data.adds_bos.value_or(words.bos() != no_token);
    return with_marks(std::move(words), std::move(*encoder), adds_bos, data.adds_eos);
  }

  [[nodiscard]] static result<tokenizer> with_marks(vocabulary words, any_encoder encoder, bool adds_bos,
                                                    bool adds_eos) {
    if ((adds_bos && words.bos() == no_token) || (adds_eos && words.eos() == no_token)) {
      return error(error_code::file_malformed, "the tokenizer adds a token whose id is missing");
    }
    return tokenizer(std::move(words), std::move(encoder), adds_bos, adds_eos);
  }

  tokenizer(vocabulary words, any_encoder encoder, bool adds_bos, bool adds_eos)
      : words_(std::move(words)),
        specials_(words_),
        encoder_(std::move(encoder)),
        adds_bos_(adds_bos),
        adds_eos_(adds_eos) {}

  result<void> encode_plain(std::string_view text, std::vector<token>& tokens) const {
    if (text.empty()) return {};
    if (const auto* bpe = std::get_if<bpe_encoder>(&encoder_)) return bpe->encode(words_, text, tokens);
    return std::get_if<sentencepiece_encoder>(&encoder_)->encode(words_, text, tokens);
  }

  vocabulary words_;
  special_tokens specials_;
  any_encoder encoder_;
  bool adds_bos_;
  bool adds_eos_;
};

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

template <class T>
[[nodiscard]] result<void> read_optional(const gguf_file& file, std::string_view key, std::optional<T>& out) {
  T value{};
  auto done = read_optional(file, key, value);
  if (done && file.has(key)) out = std::move(value);
  return done;
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

/// What holds for the vocabularies of a family when the file does not say: llama files that name no special tokens mean
/// <unk>, <s> and </s> at the head of the vocabulary.
inline void assume_token_ids(vocabulary_data& words) {
  if (words.family != vocabulary_family::sentencepiece || words.texts.size() < 3) return;
  words.unknown = 0;
  words.bos = 1;
  words.eos = 2;
}

[[nodiscard]] inline result<void> read_vocabulary(const gguf_file& file, vocabulary_data& words) {
  const auto model = file.get<std::string_view>("tokenizer.ggml.model");
  if (!model) return model.error();
  if (*model != "gpt2" && *model != "llama") {
    return gguf_error(error_code::unsupported, "tokenizer of kind: ", *model);
  }
  words.family = *model == "gpt2" ? vocabulary_family::byte_level : vocabulary_family::sentencepiece;
  auto texts = file.get<std::vector<std::string_view>>("tokenizer.ggml.tokens");
  if (!texts) return texts.error();
  words.texts = std::move(*texts);
  assume_token_ids(words);
  if (auto done = read_optional(file, "tokenizer.ggml.token_type", words.kinds); !done) return done;
  return read_token_ids(file, words);
}

}  // namespace detail

/// Makes the tokenizer that a file describes. Errors: `unsupported` for another kind of tokenizer or an unknown
/// pre-tokenizer, `file_malformed` for keys that are missing or contradict each other. The result does not refer to the
/// file.
[[nodiscard]] inline result<tokenizer> load_tokenizer(const gguf_file& file) {
  tokenizer_data data;
  if (const auto done = detail::read_vocabulary(file, data.vocabulary); !done) return done.error();
  if (data.vocabulary.family == vocabulary_family::byte_level) {
    auto merges = file.get<std::vector<std::string_view>>("tokenizer.ggml.merges");
    if (!merges) return merges.error();
    data.merges = std::move(*merges);
  }
  for (const auto& done : {detail::read_optional(file, "tokenizer.ggml.pre", data.pre_tokenizer),
                           detail::read_optional(file, "tokenizer.ggml.scores", data.scores),
                           detail::read_optional(file, "tokenizer.ggml.add_space_prefix", data.adds_space_prefix),
                           detail::read_optional(file, "tokenizer.ggml.add_bos_token", data.adds_bos),
                           detail::read_optional(file, "tokenizer.ggml.add_eos_token", data.adds_eos)}) {
    if (!done) return done.error();
  }
  return tokenizer::create(data);
}

}  // namespace decant::inline DECANT_ABI

#endif
