// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes the golden values of the generated vocabularies, with llama.cpp as the oracle:
//
//   tokenizer_golden tests/data
//
// Each file holds a text per line: token ids of the text as plain text, a bar, ids with control tokens recognised (=
// when equal), a bar, the text between colons.
#include <decant/core/error.hpp>

#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "peer/llama_vocabulary.hpp"
#include "support/random_text.hpp"
#include "support/run_program.hpp"
#include "support/vocabularies.hpp"

namespace {

using decant::token;

std::vector<std::string> texts_to_encode() {
  std::vector<std::string> texts{"",
                                 " ",
                                 "  ",
                                 "   ",
                                 "\n",
                                 "hello",
                                 " hello",
                                 "hello  world ",
                                 "the there then they these",
                                 "something over the other brother's thing",
                                 "Hello, world!  2+2=42\n\n  it's  fine",
                                 "3.14 and 1234567 in 007",
                                 "I'LL we'll don't\tstop",
                                 "a  \n  \n b",
                                 "zqzq zqzq",
                                 "<s>hello</s> world",
                                 "<tool>the@@the <tool>",
                                 "[INST] hello [/INST] world </s>",
                                 "<|im_start|>user\nhello<|im_end|>\n",
                                 "caf\u00E9 \u4F60\u597D \u041C\u0438\u0440 \U0001F600"};
  decant_test::random_source random(3);
  while (texts.size() < 120) texts.push_back(decant_test::random_text(random, 14));
  return texts;
}

/// Printable ASCII but the backslash as it is, other bytes as \xNN.
std::string escaped(std::string_view text) {
  std::string shown;
  for (const char c : text) {
    if (c >= ' ' && c <= '~' && c != '\\') {
      shown.push_back(c);
      continue;
    }
    char digits[8];
    std::snprintf(digits, sizeof digits, "\\x%02X", static_cast<unsigned>(static_cast<unsigned char>(c)));
    shown.append(digits);
  }
  return shown;
}

std::string listed(const std::vector<token>& ids) {
  std::string text;
  for (const token id : ids) text.append(text.empty() ? "" : " ").append(std::to_string(id));
  return text;
}

void write_golden(const decant_test::named_vocabulary& vocabulary, const std::string& path, const std::string& model) {
  vocabulary.file.writer().write(model.c_str()).value_or_throw();
  const decant_test::llama_vocabulary oracle(model);
  std::ofstream file(path);
  file << "# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception\n"
          "# Written by tests/peer/tokenizer_golden.cpp with llama.cpp as the oracle. One text per line: token ids of "
          "the\n"
          "# text as plain text, a bar, ids with control tokens recognised (= when equal), a bar, the text between "
          "colons.\n";
  for (const std::string& text : texts_to_encode()) {
    const std::string plain = listed(oracle.encode(text, false));
    const std::string markup = listed(oracle.encode(text, true));
    file << plain << '|' << (markup == plain ? "=" : markup) << "|:" << escaped(text) << ":\n";
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: tokenizer_golden FOLDER\n");
    return 2;
  }
  const decant_test::scratch_folder folder;
  for (const decant_test::named_vocabulary& vocabulary : decant_test::generated_vocabularies()) {
    const std::string name = std::string("tokenizer_golden_") + vocabulary.name;
    write_golden(vocabulary, std::string(arguments[1]) + "/" + name + ".txt", folder.file(name + ".gguf"));
  }
  return 0;
}
