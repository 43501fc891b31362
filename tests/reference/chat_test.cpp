// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/reference/chat.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "support/test_kit.hpp"

namespace {

using decant::chat_message;
using decant::chat_role;
using decant::chat_template;
using decant::error_code;
using decant::named_chat_template;
using decant::recognise_chat_template;
using decant::text_part;
using decant::write_chat;

// The template that the SmolLM2 instruct models carry.
constexpr std::string_view smollm2_template =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + "
    "message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ "
    "'<|im_start|>assistant\n' }}{% endif %}";

chat_template recognise(std::string_view source) {
  auto recognised = recognise_chat_template(source);
  REQUIRE(recognised.has_value());
  return std::move(*recognised);
}

chat_template by_name(std::string_view name) {
  auto named = named_chat_template(name);
  REQUIRE(named.has_value());
  return std::move(*named);
}

std::string written(const chat_template& model, const std::vector<chat_message>& messages) {
  std::string text;
  for (const text_part& part : write_chat(model, messages, "</s>", "<s>")) text.append(part.text);
  return text;
}

const std::vector<chat_message> dialogue{{chat_role::system, "Be brief."},
                                         {chat_role::user, "Hi"},
                                         {chat_role::assistant, "Hello."},
                                         {chat_role::user, "Bye"}};

}  // namespace

TEST_CASE("chat: the everyday model's template is ChatML with a system message of its own") {
  const chat_template model = recognise(smollm2_template);
  CHECK(model.format->name == "chatml");
  CHECK(model.default_system == "You are a helpful AI assistant named SmolLM, trained by Hugging Face");
  CHECK(written(model, {{chat_role::user, "Hi"}}) ==
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
}

TEST_CASE("chat: a conversation with a system message keeps it") {
  CHECK(written(recognise(smollm2_template), dialogue) ==
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n");
}

TEST_CASE("chat: only a literal counts as a default system message") {
  CHECK(recognise("'<|im_start|>system\\nBe kind.<|im_end|>\\n'").default_system == "Be kind.");
  CHECK(recognise("'<|im_start|>system\n' + text + '<|im_end|>'").default_system.empty());
  CHECK(recognise("'<|im_start|>system\n{{ text }}<|im_end|>'").default_system.empty());
  CHECK(recognise("'<|im_start|>system\n' + x + '<|im_end|>' '<|im_start|>system\nB<|im_end|>'").default_system == "B");
  CHECK(recognise("<|im_end|> <|im_start|>system\nnever closed").default_system.empty());
  CHECK(recognise("<|im_end|> <|im_start|>system").default_system.empty());
}

TEST_CASE("chat: what users write is not markup") {
  const std::vector<chat_message> messages{{chat_role::user, "<|im_end|>"}};
  const chat_template model = by_name("chatml");
  const std::vector<text_part> parts = write_chat(model, messages, "</s>");
  std::string content;
  for (const text_part& part : parts) {
    if (!part.is_markup) content.append(part.text);
  }
  CHECK(content == "<|im_end|>");
  CHECK(parts.front().is_markup);
  CHECK(parts.back().is_markup);
}

TEST_CASE("chat: the other families") {
  CHECK(written(by_name("llama3"), dialogue) ==
        "<|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nHello.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n");
  CHECK(written(by_name("phi3"), dialogue) ==
        "<|system|>\nBe brief.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\nHello.<|end|>\n<|user|>\nBye<|end|>\n"
        "<|assistant|>\n");
  CHECK(written(by_name("phi4"), dialogue) ==
        "<|im_start|>system<|im_sep|>Be brief.<|im_end|><|im_start|>user<|im_sep|>Hi<|im_end|>"
        "<|im_start|>assistant<|im_sep|>Hello.<|im_end|><|im_start|>user<|im_sep|>Bye<|im_end|>"
        "<|im_start|>assistant<|im_sep|>");
  CHECK(written(by_name("zephyr"), dialogue) ==
        "<|system|>\nBe brief.</s>\n<|user|>\nHi</s>\n<|assistant|>\nHello.</s>\n<|user|>\nBye</s>\n<|assistant|>\n");
  CHECK(written(by_name("gemma"), dialogue) ==
        "<start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n<start_of_turn>model\nHello.<end_of_turn>\n"
        "<start_of_turn>user\nBye<end_of_turn>\n<start_of_turn>model\n");
  CHECK(written(by_name("phi4-mini"), dialogue) ==
        "<|system|>Be brief.<|end|><|user|>Hi<|end|><|assistant|>Hello.<|end|><|user|>Bye<|end|><|assistant|>");
}

TEST_CASE("chat: the versions of Mistral") {
  CHECK(written(by_name("mistral-v1"), dialogue) == " [INST] Be brief.\n\nHi [/INST] Hello.</s> [INST] Bye [/INST]");
  CHECK(written(by_name("mistral-v3"), dialogue) == "[INST] Be brief.\n\nHi[/INST] Hello.</s>[INST] Bye[/INST]");
  CHECK(written(by_name("mistral-v3-tekken"), dialogue) == "[INST]Be brief.\n\nHi[/INST]Hello.</s>[INST]Bye[/INST]");
  CHECK(written(by_name("mistral-v7"), dialogue) ==
        "[SYSTEM_PROMPT] Be brief.[/SYSTEM_PROMPT][INST] Hi[/INST] Hello.</s>[INST] Bye[/INST]");
  CHECK(written(by_name("mistral-v7-tekken"), dialogue) ==
        "[SYSTEM_PROMPT]Be brief.[/SYSTEM_PROMPT][INST]Hi[/INST]Hello.</s>[INST]Bye[/INST]");
}

TEST_CASE("chat: the variants of Llama 2") {
  const std::string first = "[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST]";
  CHECK(written(by_name("llama2"), dialogue) == first + " Hello. </s><s>[INST] Bye [/INST]");
  CHECK(written(by_name("llama2-strip"), dialogue) == first + "Hello.</s>[INST] Bye [/INST]");
  CHECK(written(by_name("llama2-bos"), dialogue) == first + "Hello.</s><s>[INST] Bye [/INST]");
  CHECK(written(by_name("llama2-sys"), dialogue) == first + "Hello.</s>[INST] Bye [/INST]");
  CHECK(written(by_name("llama2-plain"), dialogue) == "[INST] Be brief.\nHi [/INST]Hello.</s>[INST] Bye [/INST]");
}

TEST_CASE("chat: families that trim what the messages say") {
  const std::vector<chat_message> spaced{
      {chat_role::system, " S\n"}, {chat_role::user, "\t U "}, {chat_role::assistant, " \n"}};
  CHECK(written(by_name("gemma"), spaced) ==
        "<start_of_turn>user\nS\n\nU<end_of_turn>\n<start_of_turn>model\n<end_of_turn>\n<start_of_turn>model\n");
  CHECK(written(by_name("llama3"), {{chat_role::user, " U "}}) ==
        "<|start_header_id|>user<|end_header_id|>\n\nU<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n");
  CHECK(written(by_name("llama2"), spaced) == "[INST] <<SYS>>\nS\n<</SYS>>\n\nU [/INST]  </s>");
  CHECK(written(by_name("mistral-v3"), {{chat_role::user, " U "}, {chat_role::assistant, " A "}}) ==
        "[INST]  U [/INST] A</s>");
  CHECK(written(by_name("chatml"), {{chat_role::user, " U "}}) ==
        "<|im_start|>user\n U <|im_end|>\n<|im_start|>assistant\n");
}

TEST_CASE("chat: the raw mode adds nothing and is chosen by name alone") {
  CHECK(written(by_name("raw"), dialogue) == "Be brief.HiHello.Bye");
  for (const text_part& part : write_chat(by_name("raw"), dialogue, "</s>")) CHECK_FALSE(part.is_markup);
  const auto refused = named_chat_template("vicuna");
  REQUIRE_FALSE(refused.has_value());
  CHECK(std::string(refused.error().message().c_str()) ==
        "the feature is not supported: no chat format is called vicuna");
}

TEST_CASE("chat: a system message that waits for a user is not lost") {
  CHECK(written(by_name("gemma"), {{chat_role::system, "Be brief."}}) ==
        "<start_of_turn>user\nBe brief.\n\n<end_of_turn>\n<start_of_turn>model\n");
  CHECK(written(by_name("gemma"), {{chat_role::system, "A"}, {chat_role::system, "B"}, {chat_role::user, "C"}}) ==
        "<start_of_turn>user\nA\n\nB\n\nC<end_of_turn>\n<start_of_turn>model\n");
}

TEST_CASE("chat: families are told apart by words of their templates") {
  CHECK(recognise("<|im_start|>' + role + '<|im_sep|>' ... <|im_end|>").format->name == "phi4");
  CHECK(recognise("'<|start_header_id|>' + role + '<|end_header_id|>'").format->name == "llama3");
  CHECK(recognise("'<|user|>' ... '<|end|>' ... '<|assistant|>'").format->name == "phi3");
  CHECK(recognise("{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{{ '<|assistant|>' }}")
            .format->name == "phi4-mini");
  CHECK(recognise("'<start_of_turn>' + role ... '<end_of_turn>'").format->name == "gemma");
}

TEST_CASE("chat: Zephyr templates end the user's turn with the end of sequence") {
  CHECK(recognise("{{ '<|user|>\n' + message['content'] + eos_token }} {{ '<|assistant|>\n' }}").format->name ==
        "zephyr");
  CHECK(written(recognise("{{ '<|user|>' + message['content'] + '<|endoftext|>' }} {{ '<|assistant|>' }}"),
                {{chat_role::user, "Hi"}}) == "<|user|>\nHi<|endoftext|>\n<|assistant|>\n");
  const std::string_view another = "{{ '<|user|>\n' + message['content'] + '\n' }} {{ '<|assistant|>' + eos_token }}";
  CHECK(recognise_chat_template(another).code() == error_code::unsupported);
}

TEST_CASE("chat: templates with INST marks are told apart") {
  CHECK(recognise("{{ \"[SYSTEM_PROMPT] \" + s }} {{ \"[INST] \" }}").format->name == "mistral-v7");
  CHECK(recognise("{{ '[SYSTEM_PROMPT]' + s }} {{ '[INST]' }}").format->name == "mistral-v7-tekken");
  CHECK(recognise("{{ ' [INST] ' + system_message }}").format->name == "mistral-v1");
  CHECK(recognise("{{ \"[AVAILABLE_TOOLS]\" }} {{ \"[INST]\" + content }}").format->name == "mistral-v3-tekken");
  CHECK(recognise("{{ \"[AVAILABLE_TOOLS] \" }} {{ \"[INST] \" + content }}").format->name == "mistral-v3");
  CHECK(
      recognise(
          "{% set content = '<<SYS>>\\n' + system_message %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
          "{{ ' '  + content.strip() + ' ' + eos_token }}")
          .format->name == "llama2");
  CHECK(recognise("{{ '[INST] ' + content.strip() }} {{ content.strip() + eos_token }}").format->name ==
        "llama2-strip");
  CHECK(recognise("{{ bos_token + '[INST] ' + content + ' [/INST]' }}").format->name == "llama2-bos");
  CHECK(recognise("{{ '[INST] <<SYS>>' }}").format->name == "llama2-sys");
  CHECK(recognise("{{ '[INST] ' + content + ' [/INST]' }}").format->name == "llama2-plain");
}

TEST_CASE("chat: a hostile template is read in linear time") {
  std::string source;
  for (int i = 0; i < 200'000; ++i) source.append("<|user|>");
  CHECK(recognise_chat_template(source).code() == error_code::unsupported);
  std::string heads = "<|im_end|>";
  for (int i = 0; i < 100'000; ++i) heads.append("<|im_start|>system\n");
  CHECK(recognise(heads + "'<|im_end|>").default_system.empty());
}

TEST_CASE("chat: an unknown template is refused") {
  for (const std::string_view source : {"", "{{ messages }}", "[INST] alone", "<|im_start|> alone"}) {
    CHECK(recognise_chat_template(source).code() == error_code::unsupported);
  }
  CHECK(std::string(recognise_chat_template("").error().message().c_str()) ==
        "the feature is not supported: the chat template of the model is of no known family");
}
