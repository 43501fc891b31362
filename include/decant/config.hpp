// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Feature switches and the replaceable precondition macro. Every DECANT_HAS_*() is always defined, as 0 or 1 and in
// function form, so that a misspelt name is an error instead of a silent 0.
#ifndef DECANT_CONFIG_HPP
#define DECANT_CONFIG_HPP

#include <decant/version.hpp>

#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define DECANT_HAS_EXCEPTIONS() 1
#else
#define DECANT_HAS_EXCEPTIONS() 0
#endif

#if defined(__cpp_rtti) || defined(_CPPRTTI)
#define DECANT_HAS_RTTI() 1
#else
#define DECANT_HAS_RTTI() 0
#endif

#if defined(__SIZEOF_INT128__)
#define DECANT_HAS_INT128() 1
#else
#define DECANT_HAS_INT128() 0
#endif

/// Checks a precondition of a function, that is a mistake of the calling program, never bad input. Define it before the
/// first include to route failures into your own handler; by default it is `assert`.
#ifndef DECANT_PRECONDITION
#include <cassert>
#define DECANT_PRECONDITION(condition) assert(condition)
#endif

#endif
