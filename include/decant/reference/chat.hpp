// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Conversations as text. The template programs that model files carry are never run: a template is recognised by words
// that occur in it, and the conversation is written by a row of data.
#ifndef DECANT_REFERENCE_CHAT_HPP
#define DECANT_REFERENCE_CHAT_HPP

#include <decant/core/error.hpp>
#include <decant/reference/special_tokens.hpp>

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

/// What stands around the messages of one role.
struct chat_turn {
  std::string_view before;
  std::string_view after;
  bool then_eos = false;  ///< the end-of-sequence token follows the content, before `after`
};

/// How one family of models writes a conversation.
struct chat_format {
  std::string_view name;
  std::array<std::string_view, 2> marks;  ///< a template of this family contains both; the first row that fits counts
  chat_turn system;
  chat_turn user;
  chat_turn assistant;
  bool system_inside_user = false;  ///< the system message stands at the head of the next user message
  bool opens_answer = true;         ///< `assistant.before` is written for the answer to come, too
};

/// Every family the library knows.
inline constexpr std::array<chat_format, 8> chat_formats{{
    {"phi4",
     {"<|im_start|>", "<|im_sep|>"},
     {"<|im_start|>system<|im_sep|>", "<|im_end|>"},
     {"<|im_start|>user<|im_sep|>", "<|im_end|>"},
     {"<|im_start|>assistant<|im_sep|>", "<|im_end|>"}},
    {"chatml",
     {"<|im_start|>", "<|im_end|>"},
     {"<|im_start|>system\n", "<|im_end|>\n"},
     {"<|im_start|>user\n", "<|im_end|>\n"},
     {"<|im_start|>assistant\n", "<|im_end|>\n"}},
    {"llama3",
     {"<|start_header_id|>", "<|end_header_id|>"},
     {"<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>"},
     {"<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"},
     {"<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>"}},
    {"phi3",
     {"<|assistant|>", "<|end|>"},
     {"<|system|>\n", "<|end|>\n"},
     {"<|user|>\n", "<|end|>\n"},
     {"<|assistant|>\n", "<|end|>\n"}},
    {"zephyr",
     {"<|user|>", "<|assistant|>"},
     {"<|system|>\n", "\n", true},
     {"<|user|>\n", "\n", true},
     {"<|assistant|>\n", "\n", true}},
    {"gemma",
     {"<start_of_turn>", "<end_of_turn>"},
     {"", "\n\n"},
     {"<start_of_turn>user\n", "<end_of_turn>\n"},
     {"<start_of_turn>model\n", "<end_of_turn>\n"},
     true},
    {"mistral-tekken",
     {"[AVAILABLE_TOOLS]", "\"[INST]\""},
     {"", "\n\n"},
     {"[INST]", "[/INST]"},
     {"", "", true},
     true,
     false},
    {"mistral", {"[AVAILABLE_TOOLS]", "[INST] "}, {"", "\n\n"}, {"[INST] ", "[/INST]"}, {" ", "", true}, true, false},
}};

/// A recognised template.
struct chat_template {
  const chat_format* format = &chat_formats[1];
  std::string default_system;  ///< system message of conversations that do not begin with one; empty: none
};

namespace detail {

/// The system message that a ChatML template writes when there is none: the first text that stands, as a literal,
/// between the marks of a system turn. A line end may be spelled as such or as the two characters `\n`.
[[nodiscard]] inline std::string_view literal_system_message(std::string_view source) {
  constexpr std::string_view head = "<|im_start|>system";
  constexpr std::string_view tail = "<|im_end|>";
  for (std::size_t at = source.find(head); at != std::string_view::npos; at = source.find(head, at + 1)) {
    std::string_view rest = source.substr(at + head.size());
    const std::size_t line_end = rest.starts_with('\n') ? 1 : rest.starts_with("\\n") ? 2 : 0;
    if (line_end == 0) continue;
    rest.remove_prefix(line_end);
    const std::string_view message = rest.substr(0, rest.find(tail));
    if (message.size() < rest.size() && message.find_first_of("'\"{}\\") == std::string_view::npos) return message;
  }
  return {};
}

/// Writes turns as parts of a text.
class chat_writer {
 public:
  chat_writer(const chat_format& format, std::string_view eos) : format_(format), eos_(eos) {}

  void write(const chat_message& message) {
    if (message.role == chat_role::system && format_.system_inside_user) {
      held_system_ = message.content;
      return;
    }
    const chat_turn& turn = turn_of(message.role);
    add(turn.before, true);
    if (message.role == chat_role::user && !held_system_.empty()) {
      add(format_.system.before, true);
      add(std::exchange(held_system_, {}), false);
      add(format_.system.after, true);
    }
    add(message.content, false);
    if (turn.then_eos) add(eos_, true);
    add(turn.after, true);
  }

  [[nodiscard]] std::vector<text_part> finish() && {
    if (!held_system_.empty()) write({chat_role::user, {}});
    if (format_.opens_answer) add(format_.assistant.before, true);
    return std::move(parts_);
  }

 private:
  [[nodiscard]] const chat_turn& turn_of(chat_role role) const noexcept {
    if (role == chat_role::system) return format_.system;
    return role == chat_role::user ? format_.user : format_.assistant;
  }

  void add(std::string_view text, bool is_markup) {
    if (!text.empty()) parts_.push_back({text, is_markup});
  }

  const chat_format& format_;
  std::string_view eos_;
  std::string_view held_system_;
  std::vector<text_part> parts_;
};

}  // namespace detail

/// Recognises the text of the key tokenizer.chat_template. `unsupported` when no known family fits.
[[nodiscard]] inline result<chat_template> recognise_chat_template(std::string_view source) {
  const auto fits = [source](const chat_format& format) {
    return std::all_of(format.marks.begin(), format.marks.end(),
                       [source](std::string_view mark) { return source.find(mark) != std::string_view::npos; });
  };
  const auto format = std::find_if(chat_formats.begin(), chat_formats.end(), fits);
  if (format == chat_formats.end()) {
    return error(error_code::unsupported, "the chat template of the model is of no known family");
  }
  chat_template recognised{&*format, {}};
  if (format->name == "chatml") recognised.default_system = detail::literal_system_message(source);
  return recognised;
}

/// Writes a conversation and the opening of the assistant's answer, as parts for `bpe_tokenizer::encode`: what the
/// format adds is markup, what the messages say is not. `eos` is the text of the end-of-sequence token. The parts are
/// views of the arguments and of the table of formats.
[[nodiscard]] inline std::vector<text_part> write_chat(const chat_template& model,
                                                       std::span<const chat_message> messages, std::string_view eos) {
  detail::chat_writer writer(*model.format, eos);
  const bool begins_with_system = !messages.empty() && messages.front().role == chat_role::system;
  if (!begins_with_system && !model.default_system.empty()) writer.write({chat_role::system, model.default_system});
  for (const chat_message& message : messages) writer.write(message);
  return std::move(writer).finish();
}

}  // namespace decant::inline DECANT_ABI

#endif
