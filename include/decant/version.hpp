// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The one place that holds the version: CMake, the package files and the tests read it from here.
#ifndef DECANT_VERSION_HPP
#define DECANT_VERSION_HPP

#define DECANT_VERSION_MAJOR 0  // incompatible change of a documented name or of a seeded draw
#define DECANT_VERSION_MINOR 1  // addition; while the major version is 0 also incompatible change
#define DECANT_VERSION_PATCH 0  // correction only

#define DECANT_VERSION (DECANT_VERSION_MAJOR * 10000 + DECANT_VERSION_MINOR * 100 + DECANT_VERSION_PATCH)

/// 1 when the library is at least version a.b.c, for use in preprocessor conditions.
#define DECANT_VERSION_GE(a, b, c) (DECANT_VERSION >= (a)*10000 + (b)*100 + (c))

/// Inline namespace of the library; an embedder may define it to keep two vendored copies apart.
#ifndef DECANT_ABI
#define DECANT_ABI v0
#endif

#endif
