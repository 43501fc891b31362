// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Conversations as text. The template programs that model files carry are never run: a template is recognised by words
// that occur in it, and the conversation is written by a row of data.
//
// What is written is what the families' own templates write. llama.cpp, which recognises templates by similar words,
// writes the same but for these: its Llama 2 has no spaces around earlier answers and no beginning of sequence between
// turns; it takes Mistral v7 of the tekken tokenizer, which has no spaces inside the brackets, for the one that has
// them; it takes Phi-4-mini, which has no line ends, for Phi-3; and it takes Zephyr templates that say eos_token for
// another family.
#ifndef DECANT_REFERENCE_CHAT_HPP
#define DECANT_REFERENCE_CHAT_HPP

#include <decant/core/error.hpp>
#include <decant/reference/special_tokens.hpp>
#include <decant/reference/vocabulary.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace decant::inline DECANT_ABI {

enum class chat_role : std::uint8_t { system, user, assistant };

struct chat_message {
  chat_role role = chat_role::user;
  std::string_view content;
};

/// Where a turn has the end-of-sequence token.
enum class eos_place : std::uint8_t { nowhere, after_content, at_end };

/// What stands around the messages of one role.
struct chat_turn {
  std::string_view before;
  std::string_view after;
  eos_place eos = eos_place::nowhere;
  bool trimmed = false;  ///< white space around the content is left out
};

/// A word of a template; where `then` is given, that must follow before the template's expression ends.
struct chat_mark {
  std::string_view word{};
  std::string_view then{};
};

/// How one family of models writes a conversation.
struct chat_format {
  std::string_view name;
  std::array<chat_mark, 2> marks;  ///< a template of this family contains both; the first row that fits counts
  chat_turn system;
  chat_turn user;
  chat_turn assistant;
  bool system_inside_user = false;  ///< the system message stands at the head of the next user message
  bool opens_answer = true;         ///< `assistant.before` is written for the answer to come, too
  bool bos_after_answer = false;    ///< a beginning-of-sequence token stands between an answer and the next message
};

/// Every family the library knows. The last row, "raw", adds nothing to the messages and is chosen by name alone.
inline constexpr std::array<chat_format, 19> chat_formats{{
    {"phi4",
     {{{"<|im_start|>"}, {"<|im_sep|>"}}},
     {"<|im_start|>system<|im_sep|>", "<|im_end|>"},
     {"<|im_start|>user<|im_sep|>", "<|im_end|>"},
     {"<|im_start|>assistant<|im_sep|>", "<|im_end|>"}},
    {"chatml",
     {{{"<|im_start|>"}, {"<|im_end|>"}}},
     {"<|im_start|>system\n", "<|im_end|>\n"},
     {"<|im_start|>user\n", "<|im_end|>\n"},
     {"<|im_start|>assistant\n", "<|im_end|>\n"}},
    {"mistral-v7",
     {{{"[SYSTEM_PROMPT] "}, {"[INST]"}}},
     {"[SYSTEM_PROMPT] ", "[/SYSTEM_PROMPT]"},
     {"[INST] ", "[/INST]"},
     {" ", "", eos_place::after_content},
     false,
     false},
    {"mistral-v7-tekken",
     {{{"[SYSTEM_PROMPT]"}, {"[INST]"}}},
     {"[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"},
     {"[INST]", "[/INST]"},
     {"", "", eos_place::after_content},
     false,
     false},
    {"mistral-v1",
     {{{"' [INST] ' + system_message"}, {}}},
     {"", "\n\n"},
     {" [INST] ", " [/INST]"},
     {" ", "", eos_place::after_content},
     true,
     false},
    {"mistral-v3-tekken",
     {{{"[AVAILABLE_TOOLS]"}, {"\"[INST]\""}}},
     {"", "\n\n"},
     {"[INST]", "[/INST]"},
     {"", "", eos_place::after_content},
     true,
     false},
    {"mistral-v3",
     {{{"[AVAILABLE_TOOLS]"}, {"[INST]"}}},
     {"", "\n\n"},
     {"[INST] ", "[/INST]"},
     {" ", "", eos_place::after_content, true},
     true,
     false},
    {"llama2",
     {{{"bos_token + '[INST] '", "content.strip()"}, {"content.strip()", "+ ' ' + eos_token"}}},
     {"<<SYS>>\n", "\n<</SYS>>\n\n", eos_place::nowhere, true},
     {"[INST] ", " [/INST]", eos_place::nowhere, true},
     {" ", " ", eos_place::at_end, true},
     true,
     false,
     true},
    {"llama2-strip",
     {{{"[INST]"}, {"content.strip()"}}},
     {"<<SYS>>\n", "\n<</SYS>>\n\n", eos_place::nowhere, true},
     {"[INST] ", " [/INST]", eos_place::nowhere, true},
     {"", "", eos_place::after_content, true},
     true,
     false},
    {"llama2-bos",
     {{{"[INST]"}, {"bos_token + '[INST]"}}},
     {"<<SYS>>\n", "\n<</SYS>>\n\n"},
     {"[INST] ", " [/INST]"},
     {"", "", eos_place::after_content},
     true,
     false,
     true},
    {"llama2-sys",
     {{{"[INST]"}, {"<<SYS>>"}}},
     {"<<SYS>>\n", "\n<</SYS>>\n\n"},
     {"[INST] ", " [/INST]"},
     {"", "", eos_place::after_content},
     true,
     false},
    {"llama2-plain",
     {{{"[INST]"}, {"[/INST]"}}},
     {"", "\n"},
     {"[INST] ", " [/INST]"},
     {"", "", eos_place::after_content},
     true,
     false},
    {"llama3",
     {{{"<|start_header_id|>"}, {"<|end_header_id|>"}}},
     {"<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>", eos_place::nowhere, true},
     {"<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>", eos_place::nowhere, true},
     {"<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>", eos_place::nowhere, true}},
    {"phi4-mini",
     {{{"<|assistant|>"}, {"'|>' + message['content'] + '<|end|>'"}}},
     {"<|system|>", "<|end|>"},
     {"<|user|>", "<|end|>"},
     {"<|assistant|>", "<|end|>"}},
    {"phi3",
     {{{"<|assistant|>"}, {"<|end|>"}}},
     {"<|system|>\n", "<|end|>\n"},
     {"<|user|>\n", "<|end|>\n"},
     {"<|assistant|>\n", "<|end|>\n"}},
    {"zephyr",
     {{{"<|user|>", "eos_token"}, {"<|assistant|>"}}},
     {"<|system|>\n", "\n", eos_place::after_content},
     {"<|user|>\n", "\n", eos_place::after_content},
     {"<|assistant|>\n", "\n", eos_place::after_content}},
    {"zephyr",
     {{{"<|user|>", "<|endoftext|>"}, {}}},
     {"<|system|>\n", "<|endoftext|>\n"},
     {"<|user|>\n", "<|endoftext|>\n"},
     {"<|assistant|>\n", "<|endoftext|>\n"}},
    {"gemma",
     {{{"<start_of_turn>"}, {"<end_of_turn>"}}},
     {"", "\n\n", eos_place::nowhere, true},
     {"<start_of_turn>user\n", "<end_of_turn>\n", eos_place::nowhere, true},
     {"<start_of_turn>model\n", "<end_of_turn>\n", eos_place::nowhere, true},
     true},
    {"raw", {}, {}, {}, {}},
}};

/// A recognised template.
struct chat_template {
  const chat_format* format = &chat_formats[1];
  std::string default_system;  ///< system message of conversations that do not begin with one; empty: none
};

namespace detail {

/// The system message that a ChatML template writes when there is none: the first text that stands, as a literal,
/// between the marks of a system turn. A line end may be spelled as such or as the two characters `\n`. Longer messages
/// than `longest` are not looked for: templates are as hostile as the rest of a file.
[[nodiscard]] inline std::string_view literal_system_message(std::string_view source) {
  constexpr std::string_view head = "<|im_start|>system";
  constexpr std::string_view tail = "<|im_end|>";
  constexpr std::size_t longest = 4096;
  for (std::size_t at = source.find(head); at != std::string_view::npos; at = source.find(head, at + 1)) {
    std::string_view rest = source.substr(at + head.size());
    const std::size_t line_end = rest.starts_with('\n') ? 1 : rest.starts_with("\\n") ? 2 : 0;
    if (line_end == 0) continue;
    rest = rest.substr(line_end, longest);
    const std::string_view message = rest.substr(0, rest.find(tail));
    if (message.size() < rest.size() && message.find_first_of("'\"{}\\") == std::string_view::npos) return message;
  }
  return {};
}

/// Without the white space (of ASCII) at both ends.
[[nodiscard]] constexpr std::string_view trim(std::string_view text) noexcept {
  constexpr std::string_view space = " \t\n\v\f\r";
  const std::size_t first = text.find_first_not_of(space);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(space) + 1 - first);
}

/// Whether a template contains a mark. O(size), whatever the template.
[[nodiscard]] constexpr bool contains(std::string_view source, const chat_mark& mark) noexcept {
  std::size_t then = 0;
  std::size_t end = 0;
  for (std::size_t at = source.find(mark.word); at != std::string_view::npos; at = source.find(mark.word, at + 1)) {
    const std::size_t after = at + mark.word.size();
    if (then < after) then = source.find(mark.then, after);
    if (end < after) end = source.find("}}", after);
    if (then == std::string_view::npos) return false;
    if (then + mark.then.size() <= end) return true;
  }
  return false;
}

/// Whether a template is of a family. A family without marks is never recognised.
[[nodiscard]] constexpr bool fits(std::string_view source, const chat_format& format) noexcept {
  return !format.marks[0].word.empty() && contains(source, format.marks[0]) && contains(source, format.marks[1]);
}

/// Writes turns as parts of a text.
class chat_writer {
 public:
  chat_writer(const chat_format& format, std::string_view eos, std::string_view bos)
      : format_(format), eos_(eos), bos_(bos) {}

  void write(const chat_message& message) {
    if (message.role == chat_role::system && format_.system_inside_user) {
      held_systems_.push_back(message.content);
      return;
    }
    if (format_.bos_after_answer && after_answer_) add(bos_, true);
    after_answer_ = message.role == chat_role::assistant;
    const chat_turn& turn = turn_of(message.role);
    add(turn.before, true);
    if (message.role == chat_role::user) release_systems();
    add_content(turn, message.content);
  }

  [[nodiscard]] std::vector<text_part> finish() && {
    if (!held_systems_.empty()) write({chat_role::user, {}});
    if (format_.opens_answer) add(format_.assistant.before, true);
    return std::move(parts_);
  }

 private:
  [[nodiscard]] const chat_turn& turn_of(chat_role role) const noexcept {
    if (role == chat_role::system) return format_.system;
    return role == chat_role::user ? format_.user : format_.assistant;
  }

  void release_systems() {
    for (const std::string_view content : held_systems_) {
      add(format_.system.before, true);
      add_content(format_.system, content);
    }
    held_systems_.clear();
  }

  void add_content(const chat_turn& turn, std::string_view content) {
    add(turn.trimmed ? trim(content) : content, false);
    if (turn.eos == eos_place::after_content) add(eos_, true);
    add(turn.after, true);
    if (turn.eos == eos_place::at_end) add(eos_, true);
  }

  void add(std::string_view text, bool is_markup) {
    if (!text.empty()) parts_.push_back({text, is_markup});
  }

  const chat_format& format_;
  std::string_view eos_;
  std::string_view bos_;
  bool after_answer_ = false;
  std::vector<std::string_view> held_systems_;
  std::vector<text_part> parts_;
};

}  // namespace detail

/// Recognises the text of the key tokenizer.chat_template. `unsupported` when no known family fits.
[[nodiscard]] inline result<chat_template> recognise_chat_template(std::string_view source) {
  const auto format = std::find_if(chat_formats.begin(), chat_formats.end(),
                                   [source](const chat_format& row) { return detail::fits(source, row); });
  if (format == chat_formats.end()) {
    return error(error_code::unsupported, "the chat template of the model is of no known family");
  }
  chat_template recognised{&*format, {}};
  if (format->name == "chatml") recognised.default_system = detail::literal_system_message(source);
  return recognised;
}

/// The family of a name, for models whose file carries no template or one that is not recognised; "raw" adds nothing to
/// the messages. `unsupported` when there is none.
[[nodiscard]] inline result<chat_template> named_chat_template(std::string_view name) {
  const auto format = std::find_if(chat_formats.begin(), chat_formats.end(),
                                   [name](const chat_format& row) { return row.name == name; });
  if (format == chat_formats.end()) {
    return error(error_code::unsupported,
                 fixed_text<118>("no chat format is called ").append(name.data(), name.size()));
  }
  return chat_template{&*format, {}};
}

/// Writes a conversation and the opening of the assistant's answer, as parts for `tokenizer::encode`: what the format
/// adds is markup, what the messages say is not. `eos` and `bos` are the texts of the tokens around a sequence; the one
/// at the very beginning is left to the tokenizer. A system message that no user message follows gets an empty one. The
/// parts are views of the arguments and of the table of formats.
[[nodiscard]] inline std::vector<text_part> write_chat(const chat_template& model,
                                                       std::span<const chat_message> messages, std::string_view eos,
                                                       std::string_view bos = {}) {
  detail::chat_writer writer(*model.format, eos, bos);
  const bool begins_with_system = !messages.empty() && messages.front().role == chat_role::system;
  if (!begins_with_system && !model.default_system.empty()) writer.write({chat_role::system, model.default_system});
  for (const chat_message& message : messages) writer.write(message);
  return std::move(writer).finish();
}

/// The same with the tokens of a vocabulary.
[[nodiscard]] inline std::vector<text_part> write_chat(const chat_template& model,
                                                       std::span<const chat_message> messages,
                                                       const vocabulary& words) {
  return write_chat(model, messages, words.text(words.eos()), words.text(words.bos()));
}

}  // namespace decant::inline DECANT_ABI

#endif
