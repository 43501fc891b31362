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
  # One translation unit for any processor, one for this: both must link, and compute the same.
  configure_program(-DROUTE=include_path "-DDECANT_DIR=${SOURCE_DIR}/include" "-DOTHER_FLAGS=-march=native -O3")
else()
  message(FATAL_ERROR "There is no route '${ROUTE}'.")
endif()
build_and_run_program()
