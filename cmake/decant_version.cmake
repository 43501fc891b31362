# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Reads the version out of the header that holds it.

# Sets `result` to "major.minor.patch".
function(decant_read_version header result)
  set(version "")
  foreach(part MAJOR MINOR PATCH)
    file(STRINGS "${header}" line REGEX "^#define DECANT_VERSION_${part} [0-9]+")
    if(NOT line MATCHES "DECANT_VERSION_${part} ([0-9]+)")
      message(FATAL_ERROR "${header} does not define DECANT_VERSION_${part}.")
    endif()
    list(APPEND version "${CMAKE_MATCH_1}")
  endforeach()
  list(JOIN version "." version)
  set(${result} "${version}" PARENT_SCOPE)
endfunction()
