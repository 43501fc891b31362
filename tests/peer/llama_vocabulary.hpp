// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The tokenizer of llama.cpp through its public interface.
#ifndef DECANT_TESTS_PEER_LLAMA_VOCABULARY_HPP
#define DECANT_TESTS_PEER_LLAMA_VOCABULARY_HPP

#include <decant/core/types.hpp>

#include <llama.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace decant_test {

/// The vocabulary of a GGUF file as llama.cpp reads it.
class llama_vocabulary {
 public:
  explicit llama_vocabulary(const std::string& path) {
    llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
    llama_model_params parameters = llama_model_default_params();
    parameters.vocab_only = true;
    model_.reset(llama_model_load_from_file(path.c_str(), parameters));
    if (model_ == nullptr) throw std::runtime_error("llama.cpp does not load " + path);
  }

  /// Token ids, with the tokens that the vocabulary puts around a text.
  [[nodiscard]] std::vector<decant::token> encode(std::string_view text, bool is_markup) const {
    const auto size = static_cast<std::int32_t>(text.size());
    std::vector<decant::token> tokens(text.size() + 16);
    const auto fill = [&] {
      return llama_tokenize(words(), text.data(), size, tokens.data(), static_cast<std::int32_t>(tokens.size()), true,
                            is_markup);
    };
    std::int32_t count = fill();
    if (count < 0) {
      tokens.resize(decant::index(-count));
      count = fill();
    }
    tokens.resize(decant::index(count));
    return tokens;
  }

  /// What a token prints; control tokens print nothing.
  [[nodiscard]] std::string piece(decant::token id) const {
    std::string text(64, '\0');
    std::int32_t size = 0;
    while ((size = llama_token_to_piece(words(), id, text.data(), static_cast<std::int32_t>(text.size()), 0, false)) <
           0) {
      text.resize(decant::index(-size));
    }
    text.resize(decant::index(size));
    return text;
  }

  [[nodiscard]] std::size_t size() const { return decant::index(llama_vocab_n_tokens(words())); }
  [[nodiscard]] bool ends_generation(decant::token id) const { return llama_vocab_is_eog(words(), id); }
  /// For functions of llama.cpp; lives as long as this.
  [[nodiscard]] const llama_vocab* words() const { return llama_model_get_vocab(model_.get()); }

 private:
  struct model_deleter {
    void operator()(llama_model* model) const noexcept { llama_model_free(model); }
  };

  std::unique_ptr<llama_model, model_deleter> model_;
};

}  // namespace decant_test

#endif
