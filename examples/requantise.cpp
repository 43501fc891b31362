// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A model file in another type, and what that costs: requantise MODEL.gguf [TYPE [OUT.gguf]]
//
// TYPE is the name of a tensor type, Q4_K unless given. Without OUT nothing is written.
#include <decant/reference/gguf.hpp>
#include <decant/reference/requantise.hpp>
#include <decant/reference/thread_pool.hpp>

#include <cmath>
#include <cstdio>
#include <exception>
#include <map>
#include <string_view>
#include <thread>

namespace {

using decant::tensor_type;

tensor_type type_named(std::string_view name) {
  for (std::uint32_t id = 0; id < 64; ++id) {
    if (decant::traits_of(static_cast<tensor_type>(id)).name == name) return static_cast<tensor_type>(id);
  }
  throw decant::decant_error({decant::error_code::invalid_argument, "no such type of tensors"});
}

/// What became of the matrices that have the same type now.
struct group {
  std::size_t matrices = 0;
  std::size_t bytes = 0;
  double error = 0;
  double size = 0;
};

void requantise(const char* path, tensor_type wanted, const char* out) {
  const auto file = decant::gguf_file::open(path).value_or_throw();
  decant::thread_pool pool(std::thread::hardware_concurrency());
  std::map<tensor_type, group> groups;
  const auto count = [&](const decant::gguf_tensor&, tensor_type type, const decant::requantised_matrix& matrix) {
    group& same = groups[type];
    ++same.matrices;
    same.bytes += matrix.bytes.size();
    same.error += matrix.error;
    same.size += matrix.size;
  };
  const auto made = decant::requantise(file, wanted, pool, count).value_or_throw();
  for (const auto& [type, same] : groups) {
    std::printf("%-5s %4zu matrices, %8.1f MB, relative error %.5f\n", decant::traits_of(type).name, same.matrices,
                static_cast<double>(same.bytes) / 1e6, same.size > 0 ? std::sqrt(same.error / same.size) : 0.0);
  }
  if (groups.empty()) std::printf("every matrix has its type already\n");
  if (out != nullptr) made.write(out).value_or_throw();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 4) {
    std::fprintf(stderr, "usage: requantise MODEL.gguf [TYPE [OUT.gguf]]\n");
    return 2;
  }
  try {
    requantise(argv[1], argc > 2 ? type_named(argv[2]) : tensor_type::q4_k, argc > 3 ? argv[3] : nullptr);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "requantise: %s\n", failure.what());
    return 2;
  }
}
