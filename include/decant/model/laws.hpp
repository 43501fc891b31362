// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// All token laws that ship with the library.
#ifndef DECANT_MODEL_LAWS_HPP
#define DECANT_MODEL_LAWS_HPP

#include <decant/model/hashed_law.hpp>
#include <decant/model/law.hpp>
#include <decant/model/mixed_law.hpp>
#include <decant/model/ngram_law.hpp>
#include <decant/model/shifted_law.hpp>
#include <decant/model/table_law.hpp>

#endif
