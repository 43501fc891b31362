// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Read-only bytes of a whole file: mapped where the system can, else read into memory.
#ifndef DECANT_REFERENCE_MAPPED_FILE_HPP
#define DECANT_REFERENCE_MAPPED_FILE_HPP

#include <decant/core/error.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <new>
#include <span>
#include <utility>

#if defined(__unix__) || defined(__APPLE__)
#define DECANT_HAS_MMAP() 1
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#else
#define DECANT_HAS_MMAP() 0
#endif

namespace decant::inline DECANT_ABI {

/// How a file's bytes are brought in. A mapped file that is truncated by somebody else while it is in use raises SIGBUS
/// on POSIX systems; `read` costs a copy and has no such hazard.
enum class file_mode : std::uint8_t { map, read };

/// Owns the bytes of a file. Movable; the address of the bytes does not change when the object moves.
class mapped_file {
 public:
  mapped_file() noexcept = default;
  mapped_file(mapped_file&& other) noexcept { swap(other); }
  mapped_file& operator=(mapped_file&& other) noexcept {
    mapped_file taken(std::move(other));
    swap(taken);
    return *this;
  }
  mapped_file(const mapped_file&) = delete;
  mapped_file& operator=(const mapped_file&) = delete;
  ~mapped_file() { release(); }

  /// Opens a regular file. Errors: `file_unreadable` with the path, `out_of_memory`.
  [[nodiscard]] static result<mapped_file> open(const char* path, file_mode mode = file_mode::map) {
#if DECANT_HAS_MMAP()
    if (mode == file_mode::map) return map(path);
#endif
    static_cast<void>(mode);
    return read(path);
  }

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }

 private:
  void swap(mapped_file& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(owned_, other.owned_);
  }

  void release() noexcept {
#if DECANT_HAS_MMAP()
    if (data_ != nullptr && owned_ == nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
#endif
    data_ = nullptr;
  }

#if DECANT_HAS_MMAP()
  [[nodiscard]] static result<mapped_file> map(const char* path) {
    const int descriptor = ::open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return error{error_code::file_unreadable, path};
    result<mapped_file> file = map_descriptor(descriptor, path);
    ::close(descriptor);
    return file;
  }

  [[nodiscard]] static result<mapped_file> map_descriptor(int descriptor, const char* path) {
    struct stat status {};
    if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return error{error_code::file_unreadable, path};
    mapped_file file;
    if (status.st_size == 0) return file;
    const auto size = static_cast<std::size_t>(status.st_size);
    void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (address == MAP_FAILED) return error{error_code::file_unreadable, path};
    file.data_ = static_cast<const std::byte*>(address);
    file.size_ = size;
    return file;
  }
#endif

  [[nodiscard]] static result<mapped_file> read(const char* path) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream(std::fopen(path, "rb"), &std::fclose);
    if (stream == nullptr) return error{error_code::file_unreadable, path};
    if (std::fseek(stream.get(), 0, SEEK_END) != 0) return error{error_code::file_unreadable, path};
    const long end = std::ftell(stream.get());
    if (end < 0 || std::fseek(stream.get(), 0, SEEK_SET) != 0) return error{error_code::file_unreadable, path};
    const auto size = static_cast<std::size_t>(end);
    mapped_file file;
    file.owned_.reset(new (std::nothrow) std::byte[size + 1]);
    if (file.owned_ == nullptr) return error{error_code::out_of_memory, path};
    if (std::fread(file.owned_.get(), 1, size, stream.get()) != size) return error{error_code::file_unreadable, path};
    file.data_ = file.owned_.get();
    file.size_ = size;
    return file;
  }

  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::unique_ptr<std::byte[]> owned_;
};

}  // namespace decant::inline DECANT_ABI

#endif
