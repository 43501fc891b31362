// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// llama.cpp on the same file, through its public header: the other side of the figures of whole passes.
#ifndef DECANT_BENCHMARKS_SUPPORT_LLAMA_PEER_HPP
#define DECANT_BENCHMARKS_SUPPORT_LLAMA_PEER_HPP

#include <llama.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <vector>

namespace bench {

/// One sequence of llama.cpp with f16 keys and values and without flash attention (its faster setting for these
/// sizes). Throws `std::runtime_error` when the library refuses something.
class llama_peer {
 public:
  llama_peer(const char* path, std::size_t threads, std::size_t context) : batch_(llama_batch_init(batch_size, 0, 1)) {
    llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
    llama_backend_init();
    model_.reset(llama_model_load_from_file(path, llama_model_default_params()));
    if (!model_) throw std::runtime_error("llama.cpp cannot load the file");
    llama_context_params settings = llama_context_default_params();
    settings.n_ctx = static_cast<std::uint32_t>(context);
    settings.n_batch = settings.n_ubatch = batch_size;
    settings.n_threads = settings.n_threads_batch = static_cast<std::int32_t>(threads);
    settings.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    context_.reset(llama_init_from_model(model_.get(), settings));
    if (!context_) throw std::runtime_error("llama.cpp cannot make a context");
  }
  ~llama_peer() { llama_batch_free(batch_); }
  llama_peer(const llama_peer&) = delete;
  llama_peer& operator=(const llama_peer&) = delete;

  /// Forgets all tokens from position `length` on.
  void truncate(std::size_t length) {
    llama_memory_seq_rm(llama_get_memory(context_.get()), 0, static_cast<llama_pos>(length), -1);
  }

  /// Runs tokens from position `at` on, with logits for all of them or for the last one, and waits for the end.
  void decode(const std::vector<std::int32_t>& tokens, std::size_t at, bool all_logits) {
    for (std::size_t first = 0; first < tokens.size(); first += batch_size) {
      const std::size_t count = tokens.size() - first < batch_size ? tokens.size() - first : batch_size;
      for (std::size_t i = 0; i < count; ++i) {
        batch_.token[i] = tokens[first + i];
        batch_.pos[i] = static_cast<llama_pos>(at + first + i);
        batch_.n_seq_id[i] = 1;
        batch_.seq_id[i][0] = 0;
        batch_.logits[i] = all_logits || first + i + 1 == tokens.size() ? 1 : 0;
      }
      batch_.n_tokens = static_cast<std::int32_t>(count);
      if (llama_decode(context_.get(), batch_) != 0) throw std::runtime_error("llama.cpp cannot decode");
    }
    llama_synchronize(context_.get());
  }

 private:
  static constexpr std::int32_t batch_size = 512;

  struct release {
    void operator()(llama_model* model) const { llama_model_free(model); }
    void operator()(llama_context* context) const { llama_free(context); }
  };
  std::unique_ptr<llama_model, release> model_;
  std::unique_ptr<llama_context, release> context_;
  llama_batch batch_;
};

}  // namespace bench

#endif
