// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef DECANT_TESTS_CONSUMERS_PROGRAM_OTHER_HPP
#define DECANT_TESTS_CONSUMERS_PROGRAM_OTHER_HPP

#include <decant/decant.hpp>

/// `id` when it is a token of a vocabulary of `vocab_size`, else an error.
decant::result<decant::token> checked_token(decant::token id, decant::token vocab_size);

#endif
