# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Configures, builds and runs tests/consumers/program by one route:
#   cmake -DROUTE=... -DSOURCE_DIR=... -DWORK_DIR=... -DVERSION=... -DGENERATOR=... -DCXX_COMPILER=... -DPYTHON=...
#         -P run.cmake
cmake_minimum_required(VERSION 3.20...4.2)

set(program_dir "${CMAKE_CURRENT_LIST_DIR}/program")
set(common_options -G "${GENERATOR}" "-DCMAKE_CXX_COMPILER=${CXX_COMPILER}" -DCMAKE_BUILD_TYPE=Debug)

# Runs a command; a failure ends the test with the output of the command. Sets `output` in the caller.
function(run_or_fail)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT status EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\nended with ${status}:\n${text}")
  endif()
  set(output "${text}" PARENT_SCOPE)
endfunction()

# Installs the library and moves the result, so that nothing may depend on where it was installed.
function(install_library prefix)
  run_or_fail("${CMAKE_COMMAND}" -S "${SOURCE_DIR}" -B "${WORK_DIR}/library" ${common_options}
              -DDECANT_BUILD_TESTS=OFF -DDECANT_BUILD_EXAMPLES=OFF -DDECANT_BUILD_BENCHMARKS=OFF)
  run_or_fail("${CMAKE_COMMAND}" --install "${WORK_DIR}/library" --prefix "${WORK_DIR}/first place")
  file(RENAME "${WORK_DIR}/first place" "${prefix}")
endfunction()

function(configure_program)
  run_or_fail("${CMAKE_COMMAND}" -S "${program_dir}" -B "${WORK_DIR}/program" ${common_options} ${ARGN})
endfunction()

function(build_and_run_program)
  run_or_fail("${CMAKE_COMMAND}" --build "${WORK_DIR}/program")
  run_or_fail("${WORK_DIR}/program/consumer")
  if(NOT output STREQUAL "decant ${VERSION}\n")
    message(FATAL_ERROR "The program printed '${output}' instead of 'decant ${VERSION}'.")
  endif()
endfunction()

function(check_wrong_version_is_refused prefix)
  execute_process(
    COMMAND "${CMAKE_COMMAND}" -S "${program_dir}" -B "${WORK_DIR}/program" ${common_options} -DROUTE=find_package
            -DWANTED_VERSION=99 "-DCMAKE_PREFIX_PATH=${prefix}"
    RESULT_VARIABLE status
    OUTPUT_VARIABLE text
    ERROR_VARIABLE text)
  string(REGEX REPLACE "[ \n]+" " " text "${text}")
  if(status EQUAL 0 OR NOT text MATCHES "compatible with requested version \"99\"")
    message(FATAL_ERROR "find_package(decant 99) must be refused for its version; it ended with ${status}:\n${text}")
  endif()
endfunction()

# Whether code for the processor at hand may use all of these instruction sets, by the compiler's names of them.
function(processor_has result)
  execute_process(COMMAND "${CXX_COMPILER}" -march=native -dM -E -x c++ /dev/null RESULT_VARIABLE status
                  OUTPUT_VARIABLE macros ERROR_QUIET)
  set(${result} TRUE PARENT_SCOPE)
  foreach(name IN LISTS ARGN)
    if(NOT status EQUAL 0 OR NOT macros MATCHES "__${name}__ 1")
      set(${result} FALSE PARENT_SCOPE)
    endif()
  endforeach()
endfunction()

# Flags for a part of what this processor offers; none if the compiler knows no such part.
function(choose_partial_flags result)
  set(${result} "" PARENT_SCOPE)
  processor_has(has_v4 AVX2 FMA AVX512F AVX512BW AVX512CD AVX512DQ AVX512VL)
  processor_has(has_v3 AVX2 FMA F16C BMI2 LZCNT MOVBE)
  foreach(level IN ITEMS v3 v4)
    execute_process(COMMAND "${CXX_COMPILER}" -march=x86-64-${level} -E -x c++ /dev/null RESULT_VARIABLE status
                    OUTPUT_QUIET ERROR_QUIET)
    if(has_${level} AND status EQUAL 0)
      set(${result} "-march=x86-64-${level} -O2" PARENT_SCOPE)
    endif()
  endforeach()
endfunction()

# A unit whose flags promise the best set of kernels must not ask the processor for it; any other x86 unit must.
function(check_dispatch_is_static unit is_static)
  find_program(nm nm)
  file(GLOB_RECURSE object "${WORK_DIR}/program/${unit}.cpp.o")
  if(NOT nm OR NOT object)
    message(STATUS "Whether ${unit}.cpp dispatches at compile time was not looked at.")
    return()
  endif()
  run_or_fail("${nm}" -C "${object}")
  set(asks FALSE)
  if(output MATCHES "guard variable for [^\n]*best_of|x86_features::read")
    set(asks TRUE)
  endif()
  if(asks STREQUAL is_static)
    message(FATAL_ERROR "${unit}.cpp chooses kernels at run time: ${asks}, although its flags promise the best: "
                        "${is_static}.")
  endif()
endfunction()

file(REMOVE_RECURSE "${WORK_DIR}")
set(prefix "${WORK_DIR}/moved prefix")

if(ROUTE STREQUAL "add_subdirectory" OR ROUTE STREQUAL "fetch_content")
  configure_program("-DROUTE=${ROUTE}" "-DDECANT_DIR=${SOURCE_DIR}" -DFETCHCONTENT_FULLY_DISCONNECTED=ON)
elseif(ROUTE STREQUAL "find_package")
  install_library("${prefix}")
  configure_program(-DROUTE=find_package "-DWANTED_VERSION=${VERSION}" "-DCMAKE_PREFIX_PATH=${prefix}")
elseif(ROUTE STREQUAL "find_package_reference")
  install_library("${prefix}")
  configure_program(-DROUTE=find_package -DWITH_REFERENCE=ON "-DCMAKE_PREFIX_PATH=${prefix}")
elseif(ROUTE STREQUAL "wrong_version")
  install_library("${prefix}")
  check_wrong_version_is_refused("${prefix}")
  return()
elseif(ROUTE STREQUAL "pkg_config")
  install_library("${prefix}")
  set(ENV{PKG_CONFIG_PATH} "${prefix}/share/pkgconfig")
  configure_program(-DROUTE=pkg_config)
elseif(ROUTE STREQUAL "single_header")
  run_or_fail("${PYTHON}" "${SOURCE_DIR}/cmake/amalgamate.py" --include "${SOURCE_DIR}/include" --output
              "${WORK_DIR}/single include/decant/decant.hpp")
  configure_program(-DROUTE=include_path "-DDECANT_DIR=${WORK_DIR}/single include")
elseif(ROUTE STREQUAL "no_exceptions")
  configure_program(-DROUTE=include_path "-DDECANT_DIR=${SOURCE_DIR}/include"
                    "-DCMAKE_CXX_FLAGS=-fno-exceptions -fno-rtti")
elseif(ROUTE STREQUAL "cxx2b")
  configure_program(-DROUTE=include_path "-DDECANT_DIR=${SOURCE_DIR}/include" -DCMAKE_CXX_STANDARD=23)
elseif(ROUTE STREQUAL "mixed_flags")
  # Translation units for any processor, for this one and for a part of what this offers: they must link, and compute the
  # same.
  choose_partial_flags(third_flags)
  configure_program(-DROUTE=include_path "-DDECANT_DIR=${SOURCE_DIR}/include" "-DOTHER_FLAGS=-march=native -O3"
                    "-DTHIRD_FLAGS=${third_flags}")
else()
  message(FATAL_ERROR "There is no route '${ROUTE}'.")
endif()
build_and_run_program()

if(ROUTE STREQUAL "mixed_flags" AND third_flags)
  processor_has(has_best AVX2 FMA F16C AVX512F AVX512BW AVX512DQ AVX512VL AVX512VNNI)
  check_dispatch_is_static(main FALSE)
  check_dispatch_is_static(other ${has_best})
  check_dispatch_is_static(third FALSE)
endif()
