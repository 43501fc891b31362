# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# The main job on a real model: cmake -P cmake/try.cmake
#
# Obtains the everyday model (98 MB, kept in the user's cache), builds the program `generate` and lets it write text with
# speculation, then plainly, and compare the two. The environment variable DECANT_MODEL names another GGUF file.
cmake_minimum_required(VERSION 3.20...4.2)
include("${CMAKE_CURRENT_LIST_DIR}/dependencies.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/fetch_model.cmake")

set(for_model "")
if("$ENV{DECANT_MODEL}" STREQUAL "")
  set(for_model python pip)
endif()
decant_prepare(REQUIRED compiler build_tool cli11 fmt pcre2 ${for_model} WANTED ninja)

decant_fetch_model(model)
if(NOT model)
  message(FATAL_ERROR "${model_PROBLEM}")
endif()

get_filename_component(build "${CMAKE_CURRENT_LIST_DIR}/../build/try" ABSOLUTE)
decant_configure("${build}" -DCMAKE_BUILD_TYPE=Release -DDECANT_BUILD_TESTS=OFF -DDECANT_BUILD_BENCHMARKS=OFF)
decant_build("${build}" generate)

# A job whose answer copies most of the prompt: what prompt lookup is good at.
set(prompt "Fix the typos in this text and repeat the whole text: A token tree is a set of draft tokens that the target \
model evaluates in one pass. The verifier then walks down the tree and keeps the longest path that the target model \
agrees with. What is left of the tree is droped.")
message(STATUS "Running: generate --model ${model} --chat --prompt \"${prompt}\" --draft lookup --compare")
execute_process(COMMAND "${build}/examples/generate" --model "${model}" --chat --prompt "${prompt}" --draft lookup
                        --compare
                RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "generate ended with ${status}.")
endif()
