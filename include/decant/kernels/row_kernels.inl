// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Kernels over rows of floats for sets of eight lanes, included after lane_kernels.inl like it.

inline void quantise(const float* x, std::size_t count, activation_block* blocks) noexcept {
  for (std::size_t b = 0; b < count; ++b) quantise_block(x + block_elements * b, blocks[b]);
}

inline void rms_norm(const float* x, const float* weight, std::size_t count, std::size_t padded, float epsilon,
                     float* out) noexcept {
  const double mean = sum_of_squares(x, padded) / static_cast<double>(count);
  const lanes inverse = splat(static_cast<float>(1.0 / __builtin_sqrt(mean + static_cast<double>(epsilon))));
  for (std::size_t i = 0; i < padded; i += lane_count) {
    store(out + i, multiply(multiply(load(x + i), inverse), load(weight + i)));
  }
}

inline void silu_multiply(float* gate, const float* up, std::size_t count) noexcept {
  for (std::size_t i = 0; i < count; i += lane_count) {
    const lanes z = load(gate + i);
    const lanes denominator = add(exponential(subtract(splat(0.0F), z)), splat(1.0F));
    store(gate + i, multiply(divide(z, denominator), load(up + i)));
  }
}

inline void to_half(const float* x, std::size_t count, std::uint16_t* halves) noexcept {
  for (std::size_t i = 0; i < count; i += lane_count) {
    store(halves + i, minimum(splat(65504.0F), maximum(splat(-65504.0F), load(x + i))));
  }
}
