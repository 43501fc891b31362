// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A llama forward pass in float64, written straight from the formulas and sharing no code with the library but the
// reader of the file and the dequantisation: the yardstick of the transformer tests.
#ifndef DECANT_TESTS_REFERENCE_PLAIN_LLAMA_HPP
#define DECANT_TESTS_REFERENCE_PLAIN_LLAMA_HPP

#include <decant/core/types.hpp>
#include <decant/reference/gguf.hpp>
#include <decant/reference/quantisation.hpp>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace decant_test {

class plain_llama {
 public:
  using vector = std::vector<double>;

  explicit plain_llama(const decant::gguf_file& file) : file_(file) {
    layers_ = number("llama.block_count");
    heads_ = number("llama.attention.head_count");
    key_heads_ = number("llama.attention.head_count_kv");
    width_ = number("llama.embedding_length");
    size_ = width_ / heads_;
    epsilon_ = *file.get<double>("llama.attention.layer_norm_rms_epsilon");
    base_ = *file.get<double>("llama.rope.freq_base");
  }

  /// What flows between the layers, by layer and position: 0 is the embedding, i the output of the i-th block, and the
  /// entry after the last block is the output norm. Every token sees itself and all before it.
  [[nodiscard]] std::vector<std::vector<vector>> hidden(std::span<const decant::token> tokens) const {
    std::vector<std::vector<vector>> layers(1);
    for (const decant::token id : tokens) layers[0].push_back(row("token_embd.weight", static_cast<std::size_t>(id)));
    for (std::size_t layer = 0; layer < layers_; ++layer) {
      layers.push_back(layers.back());
      run_layer("blk." + std::to_string(layer) + ".", layers.back());
    }
    layers.push_back(layers.back());
    for (vector& x : layers.back()) x = normed(x, "output_norm.weight");
    return layers;
  }

  /// Logits after the last of the tokens.
  [[nodiscard]] vector logits(std::span<const decant::token> tokens) const {
    return apply(file_.tensor("output.weight") != nullptr ? "output" : "token_embd", hidden(tokens).back().back());
  }

 private:
  void run_layer(const std::string& prefix, std::vector<vector>& x) const {
    std::vector<vector> q;
    std::vector<vector> k;
    std::vector<vector> v;
    for (std::size_t t = 0; t < x.size(); ++t) {
      const vector a = normed(x[t], prefix + "attn_norm.weight");
      q.push_back(rotated(apply(prefix + "attn_q", a), t));
      k.push_back(rotated(apply(prefix + "attn_k", a), t));
      v.push_back(apply(prefix + "attn_v", a));
    }
    for (std::size_t t = 0; t < x.size(); ++t) {
      add(x[t], apply(prefix + "attn_output", attended(q[t], k, v, t)));
      const vector b = normed(x[t], prefix + "ffn_norm.weight");
      vector gate = apply(prefix + "ffn_gate", b);
      const vector up = apply(prefix + "ffn_up", b);
      for (std::size_t i = 0; i < gate.size(); ++i) gate[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
      add(x[t], apply(prefix + "ffn_down", gate));
    }
  }

  [[nodiscard]] vector attended(const vector& q, const std::vector<vector>& k, const std::vector<vector>& v,
                                std::size_t t) const {
    vector out;
    for (std::size_t h = 0; h < heads_; ++h) {
      const std::size_t from = h / (heads_ / key_heads_) * size_;
      vector p;
      for (std::size_t s = 0; s <= t; ++s) {
        double dot = 0;
        for (std::size_t d = 0; d < size_; ++d) dot += q[h * size_ + d] * k[s][from + d];
        p.push_back(dot / std::sqrt(static_cast<double>(size_)));
      }
      const double top = *std::max_element(p.begin(), p.end());
      double total = 0;
      for (double& e : p) total += e = std::exp(e - top);
      for (std::size_t d = 0; d < size_; ++d) {
        double mixed = 0;
        for (std::size_t s = 0; s <= t; ++s) mixed += p[s] / total * v[s][from + d];
        out.push_back(mixed);
      }
    }
    return out;
  }

  [[nodiscard]] vector rotated(vector x, std::size_t position) const {
    const vector divisors = file_.tensor("rope_freqs.weight") != nullptr ? row("rope_freqs.weight", 0) : vector();
    for (std::size_t i = 0; i + 1 < x.size(); i += 2) {
      const std::size_t pair = i % size_ / 2;
      double angle = static_cast<double>(position) *
                     std::pow(base_, -2.0 * static_cast<double>(pair) / static_cast<double>(size_));
      if (!divisors.empty()) angle /= divisors[pair];
      const std::complex<double> turned = std::complex<double>(x[i], x[i + 1]) * std::polar(1.0, angle);
      x[i] = turned.real();
      x[i + 1] = turned.imag();
    }
    return x;
  }

  [[nodiscard]] vector normed(const vector& x, const std::string& weight) const {
    double square = 0;
    for (const double e : x) square += e * e;
    const double scale = 1 / std::sqrt(square / static_cast<double>(x.size()) + epsilon_);
    vector out = row(weight, 0);
    for (std::size_t i = 0; i < x.size(); ++i) out[i] *= x[i] * scale;
    return out;
  }

  /// W x + b.
  [[nodiscard]] vector apply(const std::string& name, const vector& x) const {
    const std::size_t rows = tensor(name + ".weight").dimensions[1];
    vector y = file_.tensor(name + ".bias") != nullptr ? row(name + ".bias", 0) : vector(rows, 0.0);
    for (std::size_t r = 0; r < rows; ++r) {
      const vector w = row(name + ".weight", r);
      for (std::size_t i = 0; i < x.size(); ++i) y[r] += w[i] * x[i];
    }
    return y;
  }

  [[nodiscard]] vector row(const std::string& name, std::size_t r) const {
    const decant::gguf_tensor& from = tensor(name);
    std::vector<float> values(from.dimensions[0]);
    const std::size_t bytes = decant::row_bytes(from.type, values.size());
    decant::dequantise(from.type, from.bytes.subspan(r * bytes, bytes), values);
    return {values.begin(), values.end()};
  }

  [[nodiscard]] const decant::gguf_tensor& tensor(const std::string& name) const {
    const decant::gguf_tensor* found = file_.tensor(name);
    if (found == nullptr) throw std::runtime_error("no tensor " + name);
    return *found;
  }

  [[nodiscard]] std::size_t number(const char* key) const { return *file_.get<std::uint32_t>(key); }

  static void add(vector& x, const vector& y) {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += y[i];
  }

  const decant::gguf_file& file_;
  std::size_t layers_ = 0;
  std::size_t heads_ = 0;
  std::size_t key_heads_ = 0;
  std::size_t width_ = 0;
  std::size_t size_ = 0;
  double epsilon_ = 0;
  double base_ = 0;
};

}  // namespace decant_test

#endif
