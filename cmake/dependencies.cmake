# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# For the scripts that are run by `cmake -P`: finds the tools and libraries that a task needs, installs what is missing
# with the system's package manager when it may, and drives configure and build.
#
#   decant_prepare(REQUIRED <need>... [WANTED <need>...])
#     Leaves with one sentence when a required need is missing and cannot be installed. Sets DECANT_CXX, the C++20
#     compiler, and DECANT_GENERATOR. Touches neither network nor package manager when nothing required is missing.
#   decant_configure(<build folder> <option>...)
#   decant_build(<build folder> [<target>...])
#
# A need is one of the names below.

# need            what it is                    apt-get             dnf                     pacman         zypper               brew
set(DECANT_NEEDS
  "compiler|      a C++20 compiler|             g++|                gcc-c++|                gcc|           gcc-c++|             gcc"
  "build_tool|    Ninja or Make|                ninja-build|        ninja-build|            ninja|         ninja|               ninja"
  "ninja|         Ninja|                        ninja-build|        ninja-build|            ninja|         ninja|               ninja"
  "python|        Python 3|                     python3|            python3|                python|        python3|             python"
  "pip|           pip for Python 3|             python3-pip|        python3-pip|            python-pip|    python3-pip|         python"
  "pkg_config|    pkg-config|                   pkg-config|         pkgconf-pkg-config|     pkgconf|       pkg-config|          pkgconf"
  "catch2|        Catch2|                       catch2|             catch-devel|            catch2|        Catch2-devel|        catch2"
  "nlohmann_json| nlohmann-json|                nlohmann-json3-dev| json-devel|             nlohmann-json| nlohmann_json-devel| nlohmann-json"
  "cli11|         CLI11|                        libcli11-dev|       cli11-devel|            cli11|         cli11-devel|         cli11"
  "fmt|           fmt|                          libfmt-dev|         fmt-devel|              fmt|           fmt-devel|           fmt"
  "pcre2|         PCRE2|                        libpcre2-dev|       pcre2-devel|            pcre2|         pcre2-devel|         pcre2"
  "gmp|           GMP with its C++ interface|   libgmp-dev|         gmp-devel|              gmp|           gmp-devel|           gmp"
  "xsimd|         xsimd|                        libxsimd-dev|       xsimd-devel|            xsimd|         xsimd-devel|         xsimd"
  "benchmark|     Google Benchmark|             libbenchmark-dev|   google-benchmark-devel| benchmark|     benchmark-devel|     google-benchmark"
  "clang|         Clang|                        clang|              clang|                  clang|         clang|               llvm"
  "clang_runtime| the sanitizer runtime of Clang| libclang-rt-dev|  compiler-rt|            compiler-rt|   clang|               llvm"
  "clang_format|  clang-format|                 clang-format|       clang-tools-extra|      clang|         clang|               clang-format"
)
set(DECANT_PACKAGE_MANAGERS apt-get dnf pacman zypper brew)

# Needs that are found by a header; several headers mean that any of them will do.
set(DECANT_HEADER_OF_catch2 "catch2/catch_test_macros.hpp" "catch2/catch.hpp")
set(DECANT_HEADER_OF_nlohmann_json "nlohmann/json.hpp")
set(DECANT_HEADER_OF_cli11 "CLI/CLI.hpp")
set(DECANT_HEADER_OF_fmt "fmt/core.h")
set(DECANT_HEADER_OF_pcre2 "pcre2.h")
set(DECANT_HEADER_OF_gmp "gmpxx.h")
set(DECANT_HEADER_OF_xsimd "xsimd/xsimd.hpp")
set(DECANT_HEADER_OF_benchmark "benchmark/benchmark.h")

# Needs that are found by a program; several programs mean that any of them will do.
set(DECANT_PROGRAM_OF_build_tool ninja ninja-build make gmake)
set(DECANT_PROGRAM_OF_ninja ninja ninja-build)
set(DECANT_PROGRAM_OF_python python3 python)
set(DECANT_PROGRAM_OF_pkg_config pkg-config pkgconf)
set(DECANT_PROGRAM_OF_clang clang++-14 clang++)
set(DECANT_PROGRAM_OF_clang_format clang-format-14 clang-format)

# --- finding ---------------------------------------------------------------------------------------------------------

# Sets `result` to the path of the first program that exists, or to nothing. (find_program has NO_CACHE from 3.21 on.)
function(decant_find_program result)
  find_program(decant_found_program NAMES ${ARGN})
  set(${result} "" PARENT_SCOPE)
  if(decant_found_program)
    set(${result} "${decant_found_program}" PARENT_SCOPE)
  endif()
  unset(decant_found_program CACHE)
endfunction()

function(decant_scratch_folder result)
  set(folder "$ENV{TMPDIR}")
  if(NOT folder)
    set(folder "/tmp")
  endif()
  string(RANDOM LENGTH 12 suffix)
  file(MAKE_DIRECTORY "${folder}/decant-${suffix}")
  set(${result} "${folder}/decant-${suffix}" PARENT_SCOPE)
endfunction()

# Folders beside the compiler's own in which headers may lie: those of CMAKE_PREFIX_PATH and of Homebrew.
function(decant_include_flags result)
  set(flags "")
  string(REPLACE ":" ";" prefixes "$ENV{CMAKE_PREFIX_PATH}")
  foreach(prefix IN LISTS prefixes ITEMS /opt/homebrew /usr/local)
    if(IS_DIRECTORY "${prefix}/include")
      list(APPEND flags "-I${prefix}/include")
    endif()
  endforeach()
  set(${result} "${flags}" PARENT_SCOPE)
endfunction()

function(decant_compiles_cxx20 compiler result)
  decant_scratch_folder(folder)
  file(WRITE "${folder}/probe.cpp" [[
#include <concepts>
#include <span>
template <std::integral T> constexpr T twice(T x) { return 2 * x; }
enum class kind { a };
int main() {
  using enum kind;
  static_assert(twice(2) == 4 && a == kind::a);
  return static_cast<int>(std::span<const int>{}.size());
}
]])
  execute_process(COMMAND "${compiler}" -std=c++20 "${folder}/probe.cpp" -o "${folder}/probe"
                  RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
  file(REMOVE_RECURSE "${folder}")
  set(${result} FALSE PARENT_SCOPE)
  if(status EQUAL 0)
    set(${result} TRUE PARENT_SCOPE)
  endif()
endfunction()

# Sets `result` to the path of a C++20 compiler or to nothing. The environment variable CXX decides alone when it is set.
function(decant_find_compiler result)
  set(${result} "" PARENT_SCOPE)
  set(names c++ g++ clang++ g++-15 g++-14 g++-13 g++-12 clang++-20 clang++-19 clang++-18 clang++-17 clang++-16
            clang++-15 clang++-14)
  if(DEFINED ENV{CXX})
    set(names "$ENV{CXX}")
  endif()
  foreach(name IN LISTS names)
    decant_find_program(path "${name}")
    if(path)
      decant_compiles_cxx20("${path}" works)
      if(works)
        set(${result} "${path}" PARENT_SCOPE)
        return()
      endif()
    endif()
  endforeach()
  if(DEFINED ENV{CXX})
    message(FATAL_ERROR "The environment variable CXX names '$ENV{CXX}', which is not a C++20 compiler.")
  endif()
endfunction()

# Sets `result` to the needs among ARGN whose headers the compiler does not see: one run of the preprocessor.
function(decant_missing_headers compiler result)
  set(probe "")
  foreach(need IN LISTS ARGN)
    set(headers ${DECANT_HEADER_OF_${need}})
    list(TRANSFORM headers REPLACE "(.+)" "__has_include(<\\1>)")
    list(JOIN headers " || " condition)
    string(APPEND probe "#if !(${condition})\nmissing_${need}\n#endif\n")
  endforeach()
  decant_scratch_folder(folder)
  file(WRITE "${folder}/probe.cpp" "${probe}")
  decant_include_flags(flags)
  execute_process(COMMAND "${compiler}" -std=c++20 ${flags} -E "${folder}/probe.cpp" OUTPUT_VARIABLE text ERROR_QUIET)
  file(REMOVE_RECURSE "${folder}")
  string(REGEX MATCHALL "missing_[a-z0-9_]+" missing "${text}")
  list(TRANSFORM missing REPLACE "^missing_" "")
  set(${result} "${missing}" PARENT_SCOPE)
endfunction()

# Whether Clang can link a libFuzzer program: its runtime libraries are a package of their own in some distributions.
function(decant_has_clang_runtime result)
  decant_find_program(clang ${DECANT_PROGRAM_OF_clang})
  decant_scratch_folder(folder)
  file(WRITE "${folder}/probe.cpp" "extern \"C\" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }\n")
  execute_process(COMMAND "${clang}" -fsanitize=fuzzer,address "${folder}/probe.cpp" -o "${folder}/probe"
                  RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
  file(REMOVE_RECURSE "${folder}")
  set(${result} FALSE PARENT_SCOPE)
  if(status EQUAL 0)
    set(${result} TRUE PARENT_SCOPE)
  endif()
endfunction()

# Sets `result` to the needs among ARGN that are not there, and DECANT_CXX to the compiler.
function(decant_missing_needs result)
  set(missing "")
  set(by_header "")
  decant_find_compiler(compiler)
  foreach(need IN LISTS ARGN)
    if(DEFINED DECANT_HEADER_OF_${need})
      list(APPEND by_header ${need})
    elseif(need STREQUAL "pip")
      decant_find_program(python ${DECANT_PROGRAM_OF_python})
      execute_process(COMMAND "${python}" -m pip --version RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
      if(NOT status EQUAL 0)
        list(APPEND missing pip)
      endif()
    elseif(need STREQUAL "clang_runtime")
      decant_has_clang_runtime(found)
      if(NOT found)
        list(APPEND missing clang_runtime)
      endif()
    elseif(DEFINED DECANT_PROGRAM_OF_${need})
      decant_find_program(path ${DECANT_PROGRAM_OF_${need}})
      if(NOT path)
        list(APPEND missing ${need})
      endif()
    endif()
  endforeach()
  if(compiler)
    decant_missing_headers("${compiler}" missing_headers ${by_header})
    list(APPEND missing ${missing_headers})
  else()
    list(APPEND missing compiler ${by_header})
  endif()
  set(DECANT_CXX "${compiler}" PARENT_SCOPE)
  set(${result} "${missing}" PARENT_SCOPE)
endfunction()

# --- installing ------------------------------------------------------------------------------------------------------

# Column `column` of the table for each of the needs; the package columns follow the order of DECANT_PACKAGE_MANAGERS.
function(decant_need_column column result)
  set(values "")
  foreach(need IN LISTS ARGN)
    foreach(row IN LISTS DECANT_NEEDS)
      string(REGEX REPLACE "\\| *" ";" row "${row}")
      list(GET row 0 name)
      if(name STREQUAL need)
        list(GET row ${column} value)
        list(APPEND values "${value}")
      endif()
    endforeach()
  endforeach()
  list(REMOVE_DUPLICATES values)
  set(${result} "${values}" PARENT_SCOPE)
endfunction()

# Sets `manager` to the name of the package manager or to nothing, and `packages` to what it calls the needs.
function(decant_packages_of manager packages)
  foreach(name IN LISTS DECANT_PACKAGE_MANAGERS)
    decant_find_program(path "${name}")
    if(path)
      list(FIND DECANT_PACKAGE_MANAGERS "${name}" position)
      math(EXPR column "${position} + 2")
      decant_need_column(${column} names ${ARGN})
      set(${manager} "${name}" PARENT_SCOPE)
      set(${packages} "${names}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  decant_need_column(1 names ${ARGN})
  set(${manager} "" PARENT_SCOPE)
  set(${packages} "${names}" PARENT_SCOPE)
endfunction()

# Sets `allowed` to whether packages may be installed without asking, and `prefix` to the command that gives the right.
function(decant_install_right manager allowed prefix)
  set(${allowed} FALSE PARENT_SCOPE)
  set(${prefix} "" PARENT_SCOPE)
  if(manager STREQUAL "")
    return()
  endif()
  execute_process(COMMAND id -u OUTPUT_VARIABLE user OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(user STREQUAL "0" OR manager STREQUAL "brew")
    set(${allowed} TRUE PARENT_SCOPE)
    return()
  endif()
  execute_process(COMMAND sudo -n true RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
  if(status EQUAL 0)
    set(${allowed} TRUE PARENT_SCOPE)
    set(${prefix} sudo -n PARENT_SCOPE)
  endif()
endfunction()

# The command that installs packages without a question.
function(decant_install_command manager result)
  if(manager STREQUAL "apt-get")
    set(command "${CMAKE_COMMAND}" -E env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends)
  elseif(manager STREQUAL "pacman")
    set(command pacman -Sy --noconfirm --needed)
  elseif(manager STREQUAL "zypper")
    set(command zypper --non-interactive install)
  elseif(manager STREQUAL "dnf")
    set(command dnf install -y)
  else()
    set(command brew install)
  endif()
  set(${result} ${command} PARENT_SCOPE)
endfunction()

function(decant_install manager prefix packages)
  list(JOIN packages " " names)
  message(STATUS "Installing with ${manager}: ${names}")
  if(manager STREQUAL "apt-get")
    # A list that cannot be refreshed is no reason to stop: the packages may still be known.
    execute_process(COMMAND ${prefix} apt-get update OUTPUT_QUIET ERROR_QUIET)
  endif()
  decant_install_command(${manager} command)
  execute_process(COMMAND ${prefix} ${command} ${packages} OUTPUT_VARIABLE text ERROR_VARIABLE text
                  RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(STATUS "${text}")
  endif()
endfunction()

function(decant_prepare)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "REQUIRED;WANTED")
  decant_missing_needs(missing ${arg_REQUIRED})
  if(missing)
    decant_missing_needs(missing_wanted ${arg_WANTED})
    list(APPEND missing ${missing_wanted})
    decant_packages_of(manager packages ${missing})
    decant_install_right("${manager}" allowed prefix)
    if(allowed)
      decant_install("${manager}" "${prefix}" "${packages}")
      decant_missing_needs(missing ${arg_REQUIRED})
      decant_packages_of(manager packages ${missing})
    endif()
  endif()
  if(missing)
    list(JOIN packages " " names)
    message(FATAL_ERROR "Please install these packages and run this command again: ${names}")
  endif()

  set(DECANT_GENERATOR "Unix Makefiles" PARENT_SCOPE)
  decant_find_program(ninja ${DECANT_PROGRAM_OF_ninja})
  if(ninja)
    set(DECANT_GENERATOR "Ninja" PARENT_SCOPE)
  endif()
  set(DECANT_CXX "${DECANT_CXX}" PARENT_SCOPE)
endfunction()

# --- configure and build ---------------------------------------------------------------------------------------------

# Number of programs to run at once: the processors this process may use.
function(decant_parallelism result)
  execute_process(COMMAND nproc OUTPUT_VARIABLE count OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(NOT count MATCHES "^[0-9]+$")
    cmake_host_system_information(RESULT count QUERY NUMBER_OF_LOGICAL_CORES)
  endif()
  set(${result} "${count}" PARENT_SCOPE)
endfunction()

# Removes a build folder that was made for another place, generator or compiler: CMake would refuse to reuse it.
function(decant_drop_stale_build build source)
  if(NOT EXISTS "${build}/CMakeCache.txt")
    return()
  endif()
  foreach(entry "CMAKE_HOME_DIRECTORY|${source}" "CMAKE_CACHEFILE_DIR|${build}" "CMAKE_GENERATOR|${DECANT_GENERATOR}"
                "CMAKE_CXX_COMPILER|${DECANT_CXX}")
    string(REPLACE "|" ";" entry "${entry}")
    list(GET entry 0 name)
    list(GET entry 1 value)
    file(STRINGS "${build}/CMakeCache.txt" line REGEX "^${name}:[A-Z]+=")
    string(REGEX REPLACE "^[^=]*=" "" cached "${line}")
    if(NOT cached STREQUAL value)
      message(STATUS "${build} was made with another ${name}: starting afresh")
      file(REMOVE_RECURSE "${build}")
      return()
    endif()
  endforeach()
endfunction()

function(decant_configure build)
  get_filename_component(source "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/.." ABSOLUTE)
  decant_drop_stale_build("${build}" "${source}")
  set(options "")
  decant_find_program(ccache ccache)
  if(ccache)
    list(APPEND options "-DCMAKE_CXX_COMPILER_LAUNCHER=${ccache}")
  endif()
  execute_process(COMMAND "${CMAKE_COMMAND}" -S "${source}" -B "${build}" -G "${DECANT_GENERATOR}"
                          "-DCMAKE_CXX_COMPILER=${DECANT_CXX}" ${options} ${ARGN}
                  RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "The build could not be configured.")
  endif()
endfunction()

function(decant_build build)
  set(ENV{CCACHE_SLOPPINESS} "pch_defines,time_macros,include_file_mtime,include_file_ctime")
  decant_parallelism(jobs)
  set(targets "")
  if(ARGN)
    set(targets --target ${ARGN})
  endif()
  execute_process(COMMAND "${CMAKE_COMMAND}" --build "${build}" --parallel ${jobs} ${targets} RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "The build failed.")
  endif()
endfunction()
