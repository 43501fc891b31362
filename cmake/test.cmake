# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Builds and runs the default test suite: cmake -P cmake/test.cmake
#
# With the environment variable DECANT_CI=1, as .ci/run sets it, warnings are errors and the tools that .ci/run needs
# are obtained as well.
cmake_minimum_required(VERSION 3.20...4.2)
include("${CMAKE_CURRENT_LIST_DIR}/dependencies.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/fetch_model.cmake")

set(ci_tools "")
set(warnings_as_errors OFF)
if("$ENV{DECANT_CI}")
  set(ci_tools ninja clang clang_runtime clang_format benchmark xsimd)
  set(warnings_as_errors ON)
endif()
decant_prepare(REQUIRED compiler build_tool python catch2 nlohmann_json cli11 fmt pcre2 gmp ${ci_tools}
               WANTED ninja pkg_config pip)

decant_fetch_model(model)
if(NOT model)
  message(STATUS "The tests that run the everyday model will be skipped. ${model_PROBLEM}")
endif()

get_filename_component(build "${CMAKE_CURRENT_LIST_DIR}/../build/test" ABSOLUTE)
# Optimised a little and with assertions on: -O1 makes compiling and running together the quickest. (The law test of
# recursive rejection takes 105 s of processor time at -O0, 15 s at -O1 and 18 s at -O2.)
decant_configure("${build}" -DCMAKE_BUILD_TYPE=Checked -DCMAKE_CXX_FLAGS_CHECKED=-O1 -DDECANT_BUILD_BENCHMARKS=OFF
                 -DDECANT_WARNINGS_AS_ERRORS=${warnings_as_errors})
decant_build("${build}")

decant_parallelism(jobs)
execute_process(COMMAND "${CMAKE_CTEST_COMMAND}" --test-dir "${build}" --output-on-failure --parallel ${jobs}
                RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "The tests failed.")
endif()
