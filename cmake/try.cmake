# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# The main job on a real model: cmake -P cmake/try.cmake
#
# Obtains the everyday model (98 MB, kept in the user's cache; without a network the tiny models of the tests take its
# place), builds the program `generate` and lets it answer two prompts with speculation, then plainly, and compare the
# two: one whose answer copies most of the prompt, and one whose answer is new. The environment variable DECANT_MODEL
# names another GGUF file.
cmake_minimum_required(VERSION 3.20...4.2)
include("${CMAKE_CURRENT_LIST_DIR}/dependencies.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/tiny_model.cmake")

set(for_model "")
if("$ENV{DECANT_MODEL}" STREQUAL "")
  set(for_model python pip)
endif()
decant_prepare(REQUIRED compiler build_tool cli11 fmt nlohmann_json pcre2 WANTED ninja ${for_model})

decant_any_model(model)
if(NOT model)
  message(FATAL_ERROR "${model_PROBLEM}")
endif()

get_filename_component(build "${CMAKE_CURRENT_LIST_DIR}/../build/try" ABSOLUTE)
decant_configure("${build}" -DCMAKE_BUILD_TYPE=Release -DDECANT_BUILD_TESTS=OFF -DDECANT_BUILD_BENCHMARKS=OFF)
decant_build("${build}" generate)

# `value` with two digits behind the point.
function(decant_two_digits value out)
  string(REGEX MATCH "^[0-9]+(\\.[0-9]?[0-9]?)?" short "${value}")
  set(${out} "${short}" PARENT_SCOPE)
endfunction()

# Appends to `table` a row of what `generate` wrote into a file of figures.
function(decant_add_row name file)
  file(READ "${file}" figures)
  string(JSON plain GET "${figures}" plain tokens_per_second)
  string(JSON drafted GET "${figures}" decoded tokens_per_second)
  string(JSON per_pass GET "${figures}" decoded statistics tokens_per_pass)
  string(JSON ratio GET "${figures}" ratio)
  string(JSON identical GET "${figures}" identical)
  set(row "${name}")
  foreach(value IN ITEMS ${plain} ${drafted} ${ratio} ${per_pass})
    decant_two_digits("${value}" value)
    string(LENGTH "${value}" length)
    math(EXPR padding "14 - ${length}")
    string(REPEAT " " ${padding} padding)
    string(APPEND row "${padding}${value}")
  endforeach()
  if(identical)
    string(APPEND row "     yes")
  else()
    string(APPEND row "     NO")
  endif()
  set(table "${table}\n${row}" PARENT_SCOPE)
endfunction()

# Answers a prompt and adds a row; further arguments are options of `generate`.
function(decant_try name prompt)
  string(JOIN " " options ${ARGN})
  message(STATUS "Running: generate --model ${model} --prompt \"${prompt}\" --compare ${options}")
  set(file "${build}/figures.json")
  file(REMOVE "${file}")
  execute_process(COMMAND "${build}/examples/generate" --model "${model}" --prompt "${prompt}" --compare --json "${file}"
                          ${ARGN}
                  RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "generate ended with ${status}.")
  endif()
  decant_add_row("${name}" "${file}")
  set(table "${table}" PARENT_SCOPE)
endfunction()

set(table "prompt            plain tok/s   spec. tok/s         ratio    tokens/pass  identical")
if(model_DRAFT)
  # The tiny models know no chat; the small one drafts for the other.
  decant_try("story       " "Once upon a time" --tokens 96)
  decant_try("draft model " "Once upon a time" --tokens 96 --draft "model:${model_DRAFT}")
else()
  decant_try("rewriting   " "Fix the typos in this text and repeat the whole text: A token tree is a set of draft \
tokens that the target model evaluates in one pass. The verifier then walks down the tree and keeps the longest path \
that the target model agrees with. What is left of the tree is droped." --chat)
  decant_try("new text    " "Why is the sky blue?" --chat --tokens 96)
endif()
message("\n${table}\n")
