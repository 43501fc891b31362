# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Installs the headers, the CMake package and the pkg-config file. The package serves every architecture.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(DECANT_CMAKE_DIR "${CMAKE_INSTALL_DATADIR}/cmake/decant")
set(DECANT_PKGCONFIG_DIR "${CMAKE_INSTALL_DATADIR}/pkgconfig")

install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/decant" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        FILES_MATCHING PATTERN "*.hpp" PATTERN "*.inl" PATTERN "*.cuh")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DATADIR}/licenses/decant")

install(TARGETS decant EXPORT decant_targets INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(EXPORT decant_targets NAMESPACE decant:: DESTINATION "${DECANT_CMAKE_DIR}")

configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/decant-config.cmake.in" "${PROJECT_BINARY_DIR}/decant-config.cmake"
  INSTALL_DESTINATION "${DECANT_CMAKE_DIR}" NO_SET_AND_CHECK_MACRO)
# While the major version is 0 a new minor version may break a name, so only the same minor version is compatible.
set(DECANT_COMPATIBILITY SameMajorVersion)
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(DECANT_COMPATIBILITY SameMinorVersion)
endif()
write_basic_package_version_file("${PROJECT_BINARY_DIR}/decant-config-version.cmake"
                                 COMPATIBILITY ${DECANT_COMPATIBILITY} ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/decant-config.cmake" "${PROJECT_BINARY_DIR}/decant-config-version.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/decant_reference.cmake" DESTINATION "${DECANT_CMAKE_DIR}")

# The prefix in the pkg-config file is relative to the file itself, so the installed tree can be moved.
file(RELATIVE_PATH DECANT_PKGCONFIG_TO_PREFIX "/${DECANT_PKGCONFIG_DIR}" "/")
configure_file("${PROJECT_SOURCE_DIR}/cmake/decant.pc.in" "${PROJECT_BINARY_DIR}/decant.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/decant.pc" DESTINATION "${DECANT_PKGCONFIG_DIR}")
