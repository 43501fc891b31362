# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# What decant::reference needs, for the build tree and for the installed package alike.

# Sets DECANT_REFERENCE_FOUND and, when it is false, DECANT_REFERENCE_MISSING to the reason.
macro(decant_find_reference_dependencies)
  find_package(PkgConfig QUIET)
  if(PkgConfig_FOUND)
    pkg_check_modules(DECANT_PC_PCRE2 QUIET libpcre2-8)
  endif()
  find_path(DECANT_PCRE2_INCLUDE_DIR pcre2.h HINTS ${DECANT_PC_PCRE2_INCLUDE_DIRS})
  find_library(DECANT_PCRE2_LIBRARY pcre2-8 HINTS ${DECANT_PC_PCRE2_LIBRARY_DIRS})
  mark_as_advanced(DECANT_PCRE2_INCLUDE_DIR DECANT_PCRE2_LIBRARY)
  find_package(Threads QUIET)

  set(DECANT_REFERENCE_FOUND FALSE)
  if(NOT DECANT_PCRE2_INCLUDE_DIR OR NOT DECANT_PCRE2_LIBRARY)
    set(DECANT_REFERENCE_MISSING "PCRE2 was not found (libpcre2-dev on Debian, pcre2 elsewhere)")
  elseif(NOT Threads_FOUND)
    set(DECANT_REFERENCE_MISSING "no thread library was found")
  else()
    set(DECANT_REFERENCE_FOUND TRUE)
  endif()
endmacro()

# Gives `target` the usage requirements of decant::reference.
function(decant_link_reference target)
  target_link_libraries(${target} INTERFACE decant::decant Threads::Threads "${DECANT_PCRE2_LIBRARY}")
  target_include_directories(${target} SYSTEM INTERFACE "${DECANT_PCRE2_INCLUDE_DIR}")
endfunction()
