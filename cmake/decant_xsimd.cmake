# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# xsimd, on which the vocabulary kernels are built where DECANT_WITH_XSIMD is defined.

# Sets DECANT_XSIMD_FOUND and, when it is false, DECANT_XSIMD_MISSING to the reason.
macro(decant_find_xsimd)
  find_path(DECANT_XSIMD_INCLUDE_DIR xsimd/xsimd.hpp)
  mark_as_advanced(DECANT_XSIMD_INCLUDE_DIR)
  set(DECANT_XSIMD_FOUND FALSE)
  if(NOT DECANT_XSIMD_INCLUDE_DIR)
    set(DECANT_XSIMD_MISSING "xsimd was not found (libxsimd-dev on Debian, xsimd elsewhere)")
  else()
    # Its package files accept no version but the wanted major one.
    file(STRINGS "${DECANT_XSIMD_INCLUDE_DIR}/xsimd/config/xsimd_config.hpp" version
         REGEX "define XSIMD_VERSION_(MAJOR|MINOR)")
    string(REGEX REPLACE ".*MAJOR ([0-9]+).*MINOR ([0-9]+).*" "\\1.\\2" version "${version}")
    if(version VERSION_LESS 8.1)
      set(DECANT_XSIMD_MISSING "xsimd ${version} was found, but 8.1 is needed")
    else()
      set(DECANT_XSIMD_FOUND TRUE)
    endif()
  endif()
endmacro()

# Gives those who build with `target` in this build tree the kernels on xsimd. Users of an installed copy of the library
# define DECANT_WITH_XSIMD themselves.
function(decant_link_xsimd target)
  target_compile_definitions(${target} INTERFACE $<BUILD_INTERFACE:DECANT_WITH_XSIMD>)
  target_include_directories(${target} SYSTEM INTERFACE "$<BUILD_INTERFACE:${DECANT_XSIMD_INCLUDE_DIR}>")
endfunction()
