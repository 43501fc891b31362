# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Settings of the project's own tests, examples and benchmarks. None of them reaches a consumer.
include(CheckCXXCompilerFlag)

set(CMAKE_CXX_EXTENSIONS OFF)

add_library(decant_own_program INTERFACE)
target_link_libraries(decant_own_program INTERFACE decant::decant)
if(CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
  target_compile_options(decant_own_program INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
  if(DECANT_WARNINGS_AS_ERRORS)
    target_compile_options(decant_own_program INTERFACE -Werror)
  endif()
endif()

# Programs that run the reference model or time kernels are compiled for the processor at hand, for the instruction set
# is the including program's choice. The other tests are not: their golden values hold for every processor.
add_library(decant_native_program INTERFACE)
target_link_libraries(decant_native_program INTERFACE decant_own_program)
if(DECANT_NATIVE)
  check_cxx_compiler_flag(-march=native DECANT_HAS_MARCH_NATIVE)
  if(DECANT_HAS_MARCH_NATIVE)
    target_compile_options(decant_native_program INTERFACE -march=native)
  endif()
endif()
