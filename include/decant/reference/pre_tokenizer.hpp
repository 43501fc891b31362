// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Splitting text into the pieces inside which byte-level BPE may merge. A rule is a row of data: patterns that are
// applied one after the other, each to the pieces the one before left. Needs PCRE2 (8-bit library).
#ifndef DECANT_REFERENCE_PRE_TOKENIZER_HPP
#define DECANT_REFERENCE_PRE_TOKENIZER_HPP

#ifndef PCRE2_CODE_UNIT_WIDTH
#define PCRE2_CODE_UNIT_WIDTH 8
#endif

#include <decant/core/error.hpp>
#include <decant/reference/gguf_values.hpp>
#include <decant/reference/utf8.hpp>

#include <pcre2.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace decant::inline DECANT_ABI {

/// How text of one family of vocabularies is split.
struct pre_tokenizer_rule {
  std::string_view name;                ///< value of the key tokenizer.ggml.pre
  std::array<const char*, 4> patterns;  ///< applied in order; the first null ends the list
  bool whole_piece_first = false;       ///< a piece that is a token as it stands is not merged from its bytes
  bool adds_bos = false;                ///< whether a beginning-of-sequence token is added when the file does not say
};

namespace detail {

// Unicode White_Space, spelled out: PCRE2's \s also takes U+180E, which has not been a space since Unicode 6.3, and the
// property name White_Space is known to PCRE2 10.40 and later only.
#define DECANT_DETAIL_SPACE \
  "\\t-\\r\\x{20}\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}"
#define DECANT_DETAIL_SPACES_AT_END "[" DECANT_DETAIL_SPACE "]+(?![^" DECANT_DETAIL_SPACE "])"

inline constexpr const char* gpt2_pattern = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" DECANT_DETAIL_SPACE
                                            "\\p{L}\\p{N}]+|" DECANT_DETAIL_SPACES_AT_END "|[" DECANT_DETAIL_SPACE "]+";
inline constexpr const char* single_digit_pattern = "\\p{N}";

// The contractions are written out in both cases: caseless matching of "s" would also take U+017F.
#define DECANT_DETAIL_LLAMA3(NUMBER)                                                            \
  "'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" NUMBER \
  "| ?[^" DECANT_DETAIL_SPACE "\\p{L}\\p{N}]+[\\r\\n]*|[" DECANT_DETAIL_SPACE                   \
  "]*[\\r\\n]+|" DECANT_DETAIL_SPACES_AT_END "|[" DECANT_DETAIL_SPACE "]+"

inline constexpr const char* llama3_pattern = DECANT_DETAIL_LLAMA3("\\p{N}{1,3}");
inline constexpr const char* qwen2_pattern = DECANT_DETAIL_LLAMA3("\\p{N}");

#undef DECANT_DETAIL_LLAMA3
#undef DECANT_DETAIL_SPACES_AT_END
#undef DECANT_DETAIL_SPACE

}  // namespace detail

/// Every rule the library knows. "default" is the rule of files that name none; text is then split as engines split it
/// in that case, which may differ from what the model was trained on.
inline constexpr std::array<pre_tokenizer_rule, 34> pre_tokenizer_rules{{
    {"gpt-2", {detail::gpt2_pattern}},
    {"phi-2", {detail::gpt2_pattern}},
    {"mpt", {detail::gpt2_pattern}},
    {"olmo", {detail::gpt2_pattern}},
    {"jais", {detail::gpt2_pattern}},
    {"exaone4", {detail::gpt2_pattern}},
    {"trillion", {detail::gpt2_pattern}},
    {"granite-docling", {detail::gpt2_pattern}},
    {"gigachat", {detail::gpt2_pattern}},
    {"mellum", {detail::gpt2_pattern}},
    {"smollm", {detail::single_digit_pattern, detail::gpt2_pattern}},
    {"starcoder", {detail::single_digit_pattern, detail::gpt2_pattern}},
    {"refact", {detail::single_digit_pattern, detail::gpt2_pattern}},
    {"command-r", {detail::single_digit_pattern, detail::gpt2_pattern}},
    {"codeshell", {detail::single_digit_pattern, detail::gpt2_pattern}},
    {"exaone", {detail::single_digit_pattern, detail::gpt2_pattern}},
    {"minerva-7b", {detail::single_digit_pattern, detail::gpt2_pattern}},
    {"mellum2", {detail::single_digit_pattern, detail::gpt2_pattern}},
    {"llama-bpe", {detail::llama3_pattern}, true, true},
    {"llama-v3", {detail::llama3_pattern}, true, true},
    {"llama3", {detail::llama3_pattern}, true, true},
    {"falcon3", {detail::llama3_pattern}, true, true},
    {"falcon-h1", {detail::llama3_pattern}, true, true},
    {"pixtral", {detail::llama3_pattern}, true, true},
    {"midm-2.0", {detail::llama3_pattern}, true, true},
    {"lfm2", {detail::llama3_pattern}, true, true},
    {"qwen2", {detail::qwen2_pattern}},
    {"stablelm2", {detail::qwen2_pattern}},
    {"deepseek-r1-qwen", {detail::qwen2_pattern}},
    {"megrez", {detail::qwen2_pattern}},
    {"hunyuan", {detail::qwen2_pattern}},
    {"kormo", {detail::qwen2_pattern}},
    {"default", {"[\\p{P}\\$\\+<=>\\^~\\|]+", detail::gpt2_pattern, "\\p{N}+", "[0-9][0-9][0-9]"}},
    {"", {"[\\p{P}\\$\\+<=>\\^~\\|]+", detail::gpt2_pattern, "\\p{N}+", "[0-9][0-9][0-9]"}},
}};

/// Splits text by one rule. Immutable once made; several threads may split with one object.
class pre_tokenizer {
 public:
  /// Finds the rule by its name and compiles its patterns. `unsupported` with the name when there is no such rule.
  [[nodiscard]] static result<pre_tokenizer> create(std::string_view name) {
    const auto rule = std::find_if(pre_tokenizer_rules.begin(), pre_tokenizer_rules.end(),
                                   [name](const pre_tokenizer_rule& r) { return r.name == name; });
    if (rule == pre_tokenizer_rules.end()) {
      return gguf_error(error_code::unsupported, "unknown pre-tokenizer: ", name);
    }
    return create(*rule);
  }

  [[nodiscard]] static result<pre_tokenizer> create(const pre_tokenizer_rule& rule) {
    pre_tokenizer made(rule);
    made.limits_.reset(pcre2_match_context_create_8(nullptr));
    if (!made.limits_) return error(error_code::out_of_memory);
    pcre2_set_match_limit_8(made.limits_.get(), match_limit);
    pcre2_set_depth_limit_8(made.limits_.get(), depth_limit);
    for (const char* pattern : rule.patterns) {
      if (pattern == nullptr) break;
      compiled_pattern compiled = compile(pattern);
      if (!compiled)
        return error(error_code::unsupported, "a pre-tokenizer pattern that this PCRE2 library cannot compile");
      made.passes_.push_back(std::move(compiled));
    }
    return made;
  }

  [[nodiscard]] const pre_tokenizer_rule& rule() const noexcept { return rule_; }

  /// Appends the pieces of `text` to `pieces`: views into `text`, in order, none empty, together all of it. Ill-formed
  /// UTF-8 is tolerated: such a sequence is split as a symbol and stays as it is in its piece. Linear time, but for
  /// text on which a pattern exceeds `match_limit` steps: `invalid_argument`.
  [[nodiscard]] result<void> split(std::string_view text, std::vector<std::string_view>& pieces) const {
    if (text.empty()) return {};
    const std::string repaired = is_valid_utf8(text) ? std::string() : with_symbols_for_bad_bytes(text);
    const match_data match(pcre2_match_data_create_8(1, nullptr));
    if (!match) return error(error_code::out_of_memory);

    const std::string_view subject = repaired.empty() ? text : std::string_view(repaired);
    std::vector<std::string_view> parts{subject};
    std::vector<std::string_view> finer;
    for (const compiled_pattern& pass : passes_) {
      finer.clear();
      for (const std::string_view part : parts) {
        if (auto done = isolate_matches(*pass, *match, part, finer); !done) return done;
      }
      parts.swap(finer);
    }
    pieces.reserve(pieces.size() + parts.size());
    for (const std::string_view part : parts) {
      pieces.push_back(text.substr(static_cast<std::size_t>(part.data() - subject.data()), part.size()));
    }
    return {};
  }

  /// Steps one match may take, and the depth of its backtracking: bounds time and memory on adversarial text.
  static constexpr std::uint32_t match_limit = 10'000'000;
  static constexpr std::uint32_t depth_limit = 10'000;

 private:
  struct pcre2_deleter {
    void operator()(pcre2_code_8* code) const noexcept { pcre2_code_free_8(code); }
    void operator()(pcre2_match_context_8* context) const noexcept { pcre2_match_context_free_8(context); }
    void operator()(pcre2_match_data_8* data) const noexcept { pcre2_match_data_free_8(data); }
  };
  using compiled_pattern = std::unique_ptr<pcre2_code_8, pcre2_deleter>;
  using match_limits = std::unique_ptr<pcre2_match_context_8, pcre2_deleter>;
  using match_data = std::unique_ptr<pcre2_match_data_8, pcre2_deleter>;

  explicit pre_tokenizer(const pre_tokenizer_rule& rule) : rule_(rule) {}

  static compiled_pattern compile(const char* pattern) {
    int code = 0;
    PCRE2_SIZE offset = 0;
    return compiled_pattern(pcre2_compile_8(reinterpret_cast<PCRE2_SPTR8>(pattern), PCRE2_ZERO_TERMINATED,
                                            PCRE2_UTF | PCRE2_UCP, &code, &offset, nullptr));
  }

  /// A copy of equal length in which every ill-formed byte is a grave accent: like U+FFFD, which would take three
  /// bytes, it is a symbol to every pattern and spelled out by none.
  static std::string with_symbols_for_bad_bytes(std::string_view text) {
    std::string repaired(text);
    for (std::size_t at = 0; at < text.size();) {
      const utf8_character c = decode_utf8(text.substr(at));
      if (c.status != utf8_status::valid)
        std::fill_n(repaired.begin() + static_cast<std::ptrdiff_t>(at), c.length, '`');
      at += c.length;
    }
    return repaired;
  }

  /// Appends the matches in `text` and the gaps between them. `text` is well-formed, so PCRE2 need not check it anew
  /// for every match, which would make a text of n pieces cost O(n^2).
  result<void> isolate_matches(const pcre2_code_8& pattern, pcre2_match_data_8& match, std::string_view text,
                               std::vector<std::string_view>& pieces) const {
    std::size_t taken = 0;
    while (taken < text.size()) {
      const int outcome = pcre2_match_8(&pattern, reinterpret_cast<PCRE2_SPTR8>(text.data()), text.size(), taken,
                                        PCRE2_NO_UTF_CHECK, &match, limits_.get());
      if (outcome == PCRE2_ERROR_NOMATCH) break;
      if (outcome == PCRE2_ERROR_NOMEMORY) return error(error_code::out_of_memory);
      if (outcome < 0) return error(error_code::invalid_argument, "the text is too repetitive to be split into words");
      const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer_8(&match);
      if (bounds[0] > taken) pieces.push_back(text.substr(taken, bounds[0] - taken));
      if (bounds[1] == bounds[0]) return error(error_code::invalid_argument, "a pre-tokenizer pattern matches nothing");
      pieces.push_back(text.substr(bounds[0], bounds[1] - bounds[0]));
      taken = bounds[1];
    }
    if (taken < text.size()) pieces.push_back(text.substr(taken));
    return {};
  }

  pre_tokenizer_rule rule_;
  std::vector<compiled_pattern> passes_;
  match_limits limits_;
};

}  // namespace decant::inline DECANT_ABI

#endif
