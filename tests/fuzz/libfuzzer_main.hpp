// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The entry points of libFuzzer for the type `fuzz_target`, which must be declared before: a broken invariant is
// printed and ends the program; the target's seeds are part of every run.
#ifndef DECANT_TESTS_FUZZ_LIBFUZZER_MAIN_HPP
#define DECANT_TESTS_FUZZ_LIBFUZZER_MAIN_HPP

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "support/run_program.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const char* complaint = fuzz_target::check({reinterpret_cast<const char*>(data), size});
  if (complaint == nullptr) return 0;
  std::fprintf(stderr, "%s\n", complaint);
  std::abort();
}

/// Gives the seeds to libFuzzer as one more argument.
extern "C" int LLVMFuzzerInitialize(int* count, char*** arguments) {
  static const decant_test::scratch_folder folder;
  static std::string option = "-seed_inputs=";
  static std::vector<char*> extended(*arguments, *arguments + *count);
  for (const std::string& seed : fuzz_target::seeds()) {
    const std::string name = "seed" + std::to_string(option.size());
    option.append(option.back() == '=' ? "" : ",").append(folder.file(name, seed));
  }
  extended.push_back(option.data());
  *count = static_cast<int>(extended.size());
  extended.push_back(nullptr);
  *arguments = extended.data();
  return 0;
}

#endif
