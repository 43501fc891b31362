// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A large zeroed array, aligned to cache lines, on huge pages where the system offers them.
#ifndef DECANT_KERNELS_ALIGNED_BUFFER_HPP
#define DECANT_KERNELS_ALIGNED_BUFFER_HPP

#include <decant/core/error.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <type_traits>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace decant::inline DECANT_ABI {

inline constexpr std::size_t cache_line = 64;

/// Smallest multiple of `step` not below `value`.
[[nodiscard]] constexpr std::size_t round_up(std::size_t value, std::size_t step) noexcept {
  return (value + step - 1) / step * step;
}

/// Owns `size()` zero-initialised elements of a trivial type. Large buffers come straight from the system, so pages
/// that are never touched cost nothing.
template <class T>
class aligned_buffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  aligned_buffer() noexcept = default;
  aligned_buffer(aligned_buffer&& other) noexcept { swap(other); }
  aligned_buffer& operator=(aligned_buffer&& other) noexcept {
    aligned_buffer taken(std::move(other));
    swap(taken);
    return *this;
  }
  aligned_buffer(const aligned_buffer&) = delete;
  aligned_buffer& operator=(const aligned_buffer&) = delete;
  ~aligned_buffer() { release(); }

  /// Replaces the contents by `size` zeros. Error: `out_of_memory`, and the buffer is then empty.
  [[nodiscard]] result<void> allocate(std::size_t size) {
    release();
    if (size > (std::numeric_limits<std::size_t>::max() - huge_page) / sizeof(T)) return error_code::out_of_memory;
    bytes_ = round_up(size * sizeof(T), cache_line);
    void* memory = bytes_ == 0 ? nullptr : is_mapped() ? map(bytes_) : allocate_small(bytes_);
    if (memory == nullptr && bytes_ != 0) {
      bytes_ = 0;
      return error_code::out_of_memory;
    }
    data_ = static_cast<T*>(memory);
    size_ = size;
    return {};
  }

  [[nodiscard]] T* data() noexcept { return data_; }
  [[nodiscard]] const T* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  static constexpr std::size_t huge_page = std::size_t{1} << 21;

  void swap(aligned_buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(bytes_, other.bytes_);
  }

  [[nodiscard]] static void* allocate_small(std::size_t bytes) noexcept {
    void* memory = ::operator new (bytes, std::align_val_t{cache_line}, std::nothrow);
    if (memory != nullptr) std::memset(memory, 0, bytes);
    return memory;
  }

#if defined(__linux__)
  [[nodiscard]] bool is_mapped() const noexcept { return bytes_ >= huge_page; }
  // Maps one huge page more than asked for and gives the unaligned ends back.
  [[nodiscard]] static void* map(std::size_t bytes) noexcept {
    const std::size_t usable = round_up(bytes, huge_page);
    void* memory = ::mmap(nullptr, usable + huge_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    auto* start = static_cast<std::byte*>(memory);
    const std::size_t before = (huge_page - reinterpret_cast<std::uintptr_t>(start) % huge_page) % huge_page;
    if (before != 0) ::munmap(start, before);
    start += before;
    if (const std::size_t after = huge_page - before; after != 0) ::munmap(start + usable, after);
    ::madvise(start, usable, MADV_HUGEPAGE);
    return start;
  }
  void release() noexcept {
    if (data_ != nullptr && is_mapped()) ::munmap(data_, round_up(bytes_, huge_page));
    if (data_ != nullptr && !is_mapped()) ::operator delete (data_, std::align_val_t{cache_line});
    forget();
  }
#else
  [[nodiscard]] bool is_mapped() const noexcept { return false; }
  [[nodiscard]] static void* map(std::size_t bytes) noexcept { return allocate_small(bytes); }
  void release() noexcept {
    if (data_ != nullptr) ::operator delete (data_, std::align_val_t{cache_line});
    forget();
  }
#endif

  void forget() noexcept {
    data_ = nullptr;
    size_ = 0;
    bytes_ = 0;
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace decant::inline DECANT_ABI

#endif
