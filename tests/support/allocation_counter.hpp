// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Counts the heap allocations of the current thread, and can make one of them fail. The test programs replace the
// global operator new (allocation_counter.cpp), so every allocation through it is seen.
#ifndef DECANT_TESTS_SUPPORT_ALLOCATION_COUNTER_HPP
#define DECANT_TESTS_SUPPORT_ALLOCATION_COUNTER_HPP

#include <cstddef>

namespace decant_test {

/// Allocations made by this thread so far, failed ones included.
[[nodiscard]] std::size_t allocations() noexcept;

/// Allocations made by `work()`.
template <class Work>
[[nodiscard]] std::size_t allocations_of(Work&& work) {
  const std::size_t before = allocations();
  work();
  return allocations() - before;
}

/// While it lives, this thread's allocation number `which` (0 is the next one) throws std::bad_alloc, once.
class failing_allocation {
 public:
  explicit failing_allocation(std::size_t which) noexcept;
  ~failing_allocation();
  failing_allocation(const failing_allocation&) = delete;
  failing_allocation& operator=(const failing_allocation&) = delete;

  /// Whether the allocation was reached and has failed.
  [[nodiscard]] bool happened() const noexcept;
};

}  // namespace decant_test

#endif
