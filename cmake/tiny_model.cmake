# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# The tiny pair, two models of 1.1 and 0.3 million weights that tests/data holds, and the choice between it and the
# everyday model:
#
#   include(cmake/tiny_model.cmake)
#   decant_tiny_model(path)     sets `path` to the target model and `path_DRAFT` to the draft model
#   decant_any_model(path)      sets `path` to the everyday model if it can be had, else to the tiny target model, says
#                               which in one sentence, and sets `path_DRAFT` as above or to an empty string; a
#                               DECANT_MODEL that does not exist gives MODEL-NOTFOUND and `path_PROBLEM`, a sentence
cmake_minimum_required(VERSION 3.20...4.2)
include("${CMAKE_CURRENT_LIST_DIR}/fetch_model.cmake")

get_filename_component(DECANT_TINY_MODEL_FOLDER "${CMAKE_CURRENT_LIST_DIR}/../tests/data" ABSOLUTE)

function(decant_tiny_model out)
  set(${out} "${DECANT_TINY_MODEL_FOLDER}/tiny-target.gguf" PARENT_SCOPE)
  set(${out}_DRAFT "${DECANT_TINY_MODEL_FOLDER}/tiny-draft.gguf" PARENT_SCOPE)
endfunction()

function(decant_any_model out)
  set(${out}_PROBLEM "" PARENT_SCOPE)
  set(${out}_DRAFT "" PARENT_SCOPE)
  decant_fetch_model(model)
  if(NOT model AND NOT "$ENV{DECANT_MODEL}" STREQUAL "")
    decant_give_up("${model_PROBLEM}") # the user asked for that file and no other
  endif()
  if(NOT model)
    decant_tiny_model(model)
    message(STATUS "The tiny model of the tests takes the place of the everyday model. ${model_PROBLEM}")
    set(${out}_DRAFT "${model_DRAFT}" PARENT_SCOPE)
  endif()
  set(${out} "${model}" PARENT_SCOPE)
endfunction()

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  decant_any_model(model)
  if(NOT model)
    message(FATAL_ERROR "${model_PROBLEM}")
  endif()
  message(STATUS "Model: ${model}")
endif()
