// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Memory between two pages that nobody may touch: what reads or writes outside of it ends the program.
#ifndef DECANT_TESTS_SUPPORT_GUARDED_ROW_HPP
#define DECANT_TESTS_SUPPORT_GUARDED_ROW_HPP

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <span>
#include <stdexcept>

namespace decant_test {

/// Which end of the row touches its guard page.
enum class guarded_end { first, last };

/// A row of `size` elements, zero at first.
template <class T>
class guarded_row {
 public:
  guarded_row(std::size_t size, guarded_end end) : size_(size) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t inside = (size * sizeof(T) + page - 1) / page * page;
    bytes_ = inside + 2 * page;
    memory_ = mmap(nullptr, bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory_ == MAP_FAILED) throw std::runtime_error("no memory for a guarded row");
    char* usable = static_cast<char*>(memory_) + page;
    if (inside > 0 && mprotect(usable, inside, PROT_READ | PROT_WRITE) != 0) {
      throw std::runtime_error("a guarded row cannot be made usable");
    }
    data_ = reinterpret_cast<T*>(end == guarded_end::first ? usable : usable + inside - size * sizeof(T));
  }
  ~guarded_row() { munmap(memory_, bytes_); }
  guarded_row(const guarded_row&) = delete;
  guarded_row& operator=(const guarded_row&) = delete;

  [[nodiscard]] T* data() noexcept { return data_; }
  [[nodiscard]] std::span<T> span() noexcept { return {data_, size_}; }

 private:
  std::size_t size_;
  std::size_t bytes_ = 0;
  void* memory_ = nullptr;
  T* data_ = nullptr;
};

}  // namespace decant_test

#endif
