// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The packed matrices of a model in one piece of memory, and that piece as a file which the next load maps instead of
// packing again. Nothing in such a file is believed: a plan made from the model file says byte for byte what its header
// must be, and a hash over the rest has to fit. A file that is anything else is an error, and its content is not used.
//
// Layout, in the byte order of the machine (another order does not fit): header, zeros up to a cache line, body.
// Header, 64-bit words: title, layout version, hash of the source, matrices, bytes of the body, hash of the body, then
// format, rows, columns and offset in the body of each matrix.
#ifndef DECANT_REFERENCE_PACKED_WEIGHTS_HPP
#define DECANT_REFERENCE_PACKED_WEIGHTS_HPP

#include <decant/kernels/aligned_buffer.hpp>
#include <decant/reference/fnv_hash.hpp>
#include <decant/reference/gguf.hpp>
#include <decant/reference/mapped_file.hpp>
#include <decant/reference/packed_matrix.hpp>
#include <decant/reference/thread_pool.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace decant::inline DECANT_ABI {

/// Counts changes of `packed_layout` and of how rows are packed: files of another number are packed anew.
inline constexpr std::uint64_t packed_layout_version = 2;

/// Keeps what packed matrices point to.
struct packed_memory {
  aligned_buffer<std::uint8_t> packed;
  mapped_file mapped;
};

namespace detail {

/// A hash of whole 64-bit words in eight lanes, at the speed of memory. Bytes after the last word count as one word.
[[nodiscard]] inline std::uint64_t hash_of_words(std::span<const std::uint8_t> bytes) noexcept {
  constexpr std::size_t lanes = 8;
  std::uint64_t sum[lanes] = {1, 2, 3, 4, 5, 6, 7, 8};
  const auto include = [&](std::size_t lane, std::size_t at, std::size_t size) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, size);
    sum[lane] = std::rotl((sum[lane] ^ word) * 0x9E3779B97F4A7C15U, 29);
  };
  std::size_t at = 0;
  for (; at + 8 * lanes <= bytes.size(); at += 8 * lanes) {
    for (std::size_t lane = 0; lane < lanes; ++lane) include(lane, at + 8 * lane, 8);
  }
  for (std::size_t lane = 0; at < bytes.size(); ++lane, at += 8) {
    include(lane, at, std::min<std::size_t>(8, bytes.size() - at));
  }
  fnv_hash hash;
  hash.add(bytes.size());
  for (const std::uint64_t lane : sum) hash.add(lane);
  return hash.value();
}

}  // namespace detail

/// Which matrices a model has, from which tensors, and where each lies in the common memory. Tensors and matrices that
/// are added must stay where they are.
class packed_plan {
 public:
  /// Gives the matrix the tensor's shape; it has no weights until `pack` or `map`. Precondition: two dimensions.
  void add(const gguf_tensor& tensor, packed_matrix& matrix) {
    matrix = packed_matrix::shape_of(tensor);
    items_.push_back({&tensor, &matrix, bytes_});
    bytes_ = round_up(bytes_ + matrix.bytes(), cache_line);
  }

  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

  /// Packs all tensors with a team of threads. `progress(done, total)` is called after each. O(size). Errors:
  /// `out_of_memory`, `file_malformed` with the first tensor that has a value which is not finite.
  template <class Progress>
  [[nodiscard]] result<void> pack(thread_pool& pool, packed_memory& memory, Progress&& progress) const {
    if (auto r = memory.packed.allocate(bytes_); !r) return r;
    std::uint8_t* base = memory.packed.data();
    std::atomic<const item*> poisoned = nullptr;
    pool.run([&](thread_pool::worker& self) {
      for (const item& one : items_) {
        self.for_ranges(one.matrix->groups(), 4, [&](std::size_t first, std::size_t last) {
          // All threads go through all phases, even when there is no more to do: they wait for each other.
          if (poisoned != nullptr) return;
          if (!one.matrix->pack_groups(*one.tensor, base + one.offset, first, last)) poisoned = &one;
        });
        if (self.index() == 0) progress(static_cast<std::size_t>(&one - items_.data()) + 1, items_.size());
      }
    });
    if (const item* culprit = poisoned) return packed_matrix::not_finite(*culprit->tensor);
    place(base);
    return {};
  }

  /// Takes the weights from a file that `save` wrote for the same tensors. Reads all of it once. Errors, with no matrix
  /// changed: `file_unreadable`; `invalid_argument` when it is of another model or version; `file_truncated`;
  /// `file_malformed` when its content is damaged.
  [[nodiscard]] result<void> map(thread_pool& pool, packed_memory& memory, const std::filesystem::path& path) const {
    result<mapped_file> file = mapped_file::open(path.string().c_str());
    if (!file) return file.error();
    const result<const std::uint8_t*> body = check(pool, file->bytes());
    if (!body) return body.error();
    memory.mapped = std::move(*file);
    place(*body);
    return {};
  }

  /// Where the body of a right file begins. O(size); errors as those of `map`.
  [[nodiscard]] result<const std::uint8_t*> check(thread_pool& pool, std::span<const std::byte> file) const {
    const std::vector<std::uint64_t> wanted = header(0);
    const std::size_t header_bytes = wanted.size() * sizeof(std::uint64_t);
    if (file.size() < header_bytes) return error{error_code::file_truncated, "stored weights: header"};
    std::vector<std::uint64_t> found(wanted.size());
    std::memcpy(found.data(), file.data(), header_bytes);
    const std::uint64_t hash = std::exchange(found[hash_word], 0);
    if (found != wanted) return error{error_code::invalid_argument, "stored weights: of another model or version"};
    if (file.size() != body_at() + bytes_) return error{error_code::file_truncated, "stored weights: body"};
    const auto* body = reinterpret_cast<const std::uint8_t*>(file.data()) + body_at();
    if (hash_of(pool, body) != hash) return error{error_code::file_malformed, "stored weights: damaged"};
    return body;
  }

  /// Writes the weights, and the folder if there is none, so that a reader sees the file whole or not at all.
  /// Precondition: `memory` was packed by this plan. Error: `file_unreadable` when that is not possible.
  [[nodiscard]] result<void> save(thread_pool& pool, const packed_memory& memory,
                                  const std::filesystem::path& path) const {
    std::error_code failed;
    std::filesystem::create_directories(path.parent_path(), failed);
    const std::filesystem::path unfinished = path.string() + ".new";
    std::ofstream file(unfinished, std::ios::binary | std::ios::trunc);
    const std::vector<std::uint64_t> words = header(hash_of(pool, memory.packed.data()));
    std::vector<char> start(body_at(), '\0');
    std::memcpy(start.data(), words.data(), words.size() * sizeof(std::uint64_t));
    file.write(start.data(), static_cast<std::streamsize>(start.size()));
    file.write(reinterpret_cast<const char*>(memory.packed.data()), static_cast<std::streamsize>(bytes_));
    file.close();
    if (file) std::filesystem::rename(unfinished, path, failed);
    if (!file || failed) {
      std::filesystem::remove(unfinished, failed);
      return error{error_code::file_unreadable, "stored weights: cannot be written"};
    }
    return {};
  }

  /// A name for the file, different for different tensors. O(size / 256).
  [[nodiscard]] std::string file_name() const {
    fnv_hash hash;
    for (const std::uint64_t word : header(0)) hash.add(word);
    std::string name = "weights-0000000000000000.bin";
    for (std::size_t i = 0; i < 16; ++i) name[23 - i] = "0123456789abcdef"[hash.value() >> (4 * i) & 15];
    return name;
  }

 private:
  struct item {
    const gguf_tensor* tensor;
    packed_matrix* matrix;
    std::size_t offset;
  };

  static constexpr std::size_t hash_word = 5;

  void place(const std::uint8_t* base) const noexcept {
    for (const item& one : items_) one.matrix->place_at(base + one.offset);
  }

  [[nodiscard]] std::size_t body_at() const {
    return round_up((6 + 4 * items_.size()) * sizeof(std::uint64_t), cache_line);
  }

  [[nodiscard]] std::vector<std::uint64_t> header(std::uint64_t body_hash) const {
    constexpr std::uint64_t title = 0x3177746E61636564;  // "decantw1" on a little-endian machine
    std::vector<std::uint64_t> words{title, packed_layout_version, source_hash(), items_.size(), bytes_, body_hash};
    for (const item& one : items_) {
      const packed_matrix& matrix = *one.matrix;
      words.insert(words.end(),
                   {static_cast<std::uint64_t>(matrix.format()), matrix.rows(), matrix.columns(), one.offset});
    }
    return words;
  }

  /// Of the names and types of the tensors and of 64 of every 16384 of their bytes: other weights differ everywhere.
  [[nodiscard]] std::uint64_t source_hash() const noexcept {
    constexpr std::size_t step = 16384;
    constexpr std::size_t sampled = 64;
    fnv_hash hash;
    for (const item& one : items_) {
      const std::span<const std::byte> bytes = one.tensor->bytes;
      for (const char c : one.tensor->name) hash.add(static_cast<unsigned char>(c));
      hash.add(static_cast<std::uint64_t>(one.tensor->type));
      for (std::size_t at = 0; at < bytes.size(); at += step) {
        const auto* from = reinterpret_cast<const std::uint8_t*>(bytes.data()) + at;
        hash.add(detail::hash_of_words({from, std::min(sampled, bytes.size() - at)}));
      }
    }
    return hash.value();
  }

  [[nodiscard]] std::uint64_t hash_of(thread_pool& pool, const std::uint8_t* body) const {
    constexpr std::size_t piece = std::size_t{1} << 20;
    std::vector<std::uint64_t> hashes((bytes_ + piece - 1) / piece);
    pool.run([&](thread_pool::worker& self) {
      self.for_each(hashes.size(), 1, [&](std::size_t i) {
        hashes[i] = detail::hash_of_words({body + i * piece, std::min(piece, bytes_ - i * piece)});
      });
    });
    fnv_hash hash;
    for (const std::uint64_t one : hashes) hash.add(one);
    return hash.value();
  }

  std::vector<item> items_;
  std::size_t bytes_ = 0;
};

}  // namespace decant::inline DECANT_ABI

#endif
