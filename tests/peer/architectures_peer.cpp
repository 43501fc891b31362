// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Small random models of every architecture and kind of rotary scaling, here and in llama.cpp.
#include <decant/reference/reference_model.hpp>

#include <llama.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "reference/small_models.hpp"

namespace {

using namespace decant_test;
using decant::gguf_writer;

struct model_deleter {
  void operator()(llama_model* model) const { llama_model_free(model); }
};
struct context_deleter {
  void operator()(llama_context* context) const { llama_free(context); }
};

/// A model file that is removed again.
class temporary_file {
 public:
  explicit temporary_file(const std::vector<std::byte>& bytes) {
    std::ofstream out(path_, std::ios::binary);
    out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  temporary_file(const temporary_file&) = delete;
  temporary_file& operator=(const temporary_file&) = delete;
  ~temporary_file() { std::remove(path_.c_str()); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_ = "decant_peer_model.gguf";
};

std::vector<double> peer_row(const std::string& path, std::vector<token> text, std::size_t vocabulary) {
  llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  const std::unique_ptr<llama_model, model_deleter> model(
      llama_model_load_from_file(path.c_str(), llama_model_default_params()));
  REQUIRE(model != nullptr);
  llama_context_params params = llama_context_default_params();
  params.n_ctx = params.n_batch = 512;
  params.type_k = params.type_v = GGML_TYPE_F32;
  params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
  const std::unique_ptr<llama_context, context_deleter> context(llama_init_from_model(model.get(), params));
  REQUIRE(context != nullptr);
  REQUIRE(llama_decode(context.get(), llama_batch_get_one(text.data(), static_cast<std::int32_t>(text.size()))) == 0);
  const float* row = llama_get_logits_ith(context.get(), -1);
  return {row, row + vocabulary};
}

/// Largest difference of the logits after 300 tokens, relative to the largest logit.
template <class Change>
double difference(const tiny_llama& shape, Change&& change) {
  gguf_writer writer = shape.writer();
  writer.set("tokenizer.ggml.model", std::string_view("none"));
  writer.set(shape.architecture + ".vocab_size", static_cast<std::uint32_t>(shape.vocabulary));
  change(writer);
  const temporary_file file(writer.bytes());
  const std::vector<token> text = random_tokens(300, 5, shape.vocabulary);
  const std::vector<double> expected = peer_row(file.path(), text, shape.vocabulary);

  reference_options options = small(1, 512);
  options.cache = decant::kv_type::f32;
  auto model = reference_model::load(file.path().c_str(), options);
  REQUIRE(model.has_value());
  REQUIRE(model->prefill(std::span(text).first(299)).has_value());
  const row_type row = evaluate(*model, token_tree(text.back()))[0];
  double worst = 0;
  double size = 0;
  for (std::size_t i = 0; i < row.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(row[i]) - expected[i]));
    size = std::max(size, std::abs(expected[i]));
  }
  return worst / size;
}

tiny_llama peer_shape() {
  tiny_llama shape;
  shape.vocabulary = 96;
  shape.context = 128;
  return shape;
}

const auto unchanged = [](gguf_writer&) {};

/// Sets the keys of a rotary scaling by a factor of 4.
auto scaled(const tiny_llama& shape, const char* type) {
  return [prefix = shape.architecture + ".rope.scaling.", type](gguf_writer& writer) {
    writer.set(prefix + "type", std::string_view(type));
    writer.set(prefix + "factor", 4.0F);
    writer.set(prefix + "original_context_length", std::uint32_t{128});
  };
}

}  // namespace

TEST_CASE("a llama model has the logits it has in llama.cpp, with every scaling of positions") {
  tiny_llama shape = peer_shape();
  CHECK(difference(shape, unchanged) < 1e-5);
  CHECK(difference(shape, scaled(shape, "linear")) < 1e-5);
  CHECK(difference(shape, scaled(shape, "yarn")) < 1e-5);
  const auto dimmed = [&](gguf_writer& writer) {
    scaled(shape, "yarn")(writer);
    writer.set("llama.rope.scaling.attn_factor", 0.7F);
  };
  CHECK(difference(shape, dimmed) < 1e-5);
  shape.rope_divisors = true;
  CHECK(difference(shape, unchanged) < 1e-5);
  shape.rope_divisors = false;
  shape.tied = false;
  CHECK(difference(shape, unchanged) < 1e-5);
}

TEST_CASE("a qwen2 model has the logits it has in llama.cpp, with every scaling of positions") {
  tiny_llama shape = peer_shape();
  shape.architecture = "qwen2";
  shape.query_biases = true;
  CHECK(difference(shape, unchanged) < 1e-5);
  CHECK(difference(shape, scaled(shape, "yarn")) < 1e-5);
  CHECK(difference(shape, scaled(shape, "linear")) < 1e-5);
}
