// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Any bytes as a GGUF file: the reader, and what is built from a file before the first tensor is touched, must answer
// with a value or an error and nothing else.
#include <decant/reference/gguf.hpp>
#include <decant/reference/llama_config.hpp>
#include <decant/reference/tokenizer.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = decant::gguf_file::parse(std::as_bytes(std::span(data, size)));
  if (!file) return 0;
  (void)decant::llama_config::read(*file);
  const auto words = decant::load_tokenizer(*file);
  if (words) (void)words->encode("The 1st fuzzed text, isn't it?\n");
  return 0;
}
