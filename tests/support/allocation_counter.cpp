// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tests/support/allocation_counter.hpp"

#include <cstdlib>
#include <limits>
#include <new>

namespace {

constexpr std::size_t never = std::numeric_limits<std::size_t>::max();

constinit thread_local std::size_t allocation_count = 0;
constinit thread_local std::size_t allocations_until_failure = never;

bool must_fail() noexcept {
  ++allocation_count;
  if (allocations_until_failure == never) return false;
  return allocations_until_failure-- == 0;
}

void* try_to_allocate(std::size_t size) noexcept { return must_fail() ? nullptr : std::malloc(size == 0 ? 1 : size); }

void* allocate(std::size_t size) {
  void* memory = try_to_allocate(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void* try_to_allocate(std::size_t size, std::align_val_t alignment) noexcept {
  const auto unit = static_cast<std::size_t>(alignment);
  const std::size_t rounded = (size == 0 ? unit : size + unit - 1) / unit * unit;
  return must_fail() ? nullptr : std::aligned_alloc(unit, rounded);
}

void* allocate(std::size_t size, std::align_val_t alignment) {
  void* memory = try_to_allocate(size, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

namespace decant_test {

std::size_t allocations() noexcept { return allocation_count; }

failing_allocation::failing_allocation(std::size_t which) noexcept { allocations_until_failure = which; }
failing_allocation::~failing_allocation() { allocations_until_failure = never; }

// The count wraps around to `never` exactly when the chosen allocation fails.
bool failing_allocation::happened() const noexcept { return allocations_until_failure == never; }

}  // namespace decant_test

// The remaining forms (arrays) of the standard library call these. The nothrow forms would too, but a sanitizer brings
// its own, which do not match the deletes below.
void* operator new(std::size_t size) { return allocate(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return try_to_allocate(size); }
void* operator new(std::size_t size, std::align_val_t alignment) { return allocate(size, alignment); }
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return try_to_allocate(size, alignment);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
