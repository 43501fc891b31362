// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Errors are values: a code, one clear sentence per code written here and nowhere else, and an optional detail (a file
// name, a key, a number). The library never prints, exits or aborts.
#ifndef DECANT_CORE_ERROR_HPP
#define DECANT_CORE_ERROR_HPP

#include <decant/config.hpp>

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

#if DECANT_HAS_EXCEPTIONS()
#include <exception>
#endif

namespace decant::inline DECANT_ABI {

/// What went wrong. `none` is success; every other code has one sentence in `sentence()`.
enum class error_code : std::uint8_t {
  none,
  invalid_argument,  ///< a parameter is outside its documented range
  invalid_token,     ///< a token id is negative or not below the vocabulary size
  invalid_tree,      ///< a token tree breaks one of its invariants
  context_full,      ///< the model's context has no room for the tokens
  row_unavailable,   ///< a logits row was asked for and not handed out
  row_wrong_size,    ///< a logits row does not have one entry per vocabulary token
  row_not_finite,    ///< a logits row holds NaN or +infinity
  row_empty,         ///< no token of a row has positive probability
  wrong_call_order,  ///< plan, supply and absorb were not called in their order
  refused_pairing,   ///< the parts of a decoder do not fit together
  replay_differs,    ///< a replayed run draws something else than its recording holds
  model_failed,      ///< the model reported a failure of its own
  cancelled,         ///< the caller asked to stop
  file_unreadable,   ///< a file cannot be opened or read
  file_truncated,    ///< a file ends before what it declares
  file_malformed,    ///< a file breaks its format
  file_too_large,    ///< a declared size is beyond the limit of the reader
  unsupported,       ///< a valid file or request uses a feature that is not supported
  out_of_memory,     ///< an allocation failed
  count_             ///< number of codes; not an error
};

/// The one sentence of a code, from the user's point of view, without a final full stop.
[[nodiscard]] constexpr const char* sentence(error_code code) noexcept {
  switch (code) {
    case error_code::none: return "no error";
    case error_code::invalid_argument: return "a parameter is outside its range";
    case error_code::invalid_token: return "a token id is not below the vocabulary size";
    case error_code::invalid_tree: return "the token tree is not valid";
    case error_code::context_full: return "the context has no room for more tokens";
    case error_code::row_unavailable: return "a logits row was asked for but not handed out";
    case error_code::row_wrong_size: return "a logits row does not have one entry per vocabulary token";
    case error_code::row_not_finite: return "a logits row holds NaN or +infinity";
    case error_code::row_empty: return "no token of a logits row has positive probability";
    case error_code::wrong_call_order: return "plan, supply and absorb were called in the wrong order";
    case error_code::refused_pairing: return "the parts of the decoder do not fit together";
    case error_code::replay_differs: return "the run draws something else than its recording holds";
    case error_code::model_failed: return "the model reported a failure";
    case error_code::cancelled: return "the caller asked to stop";
    case error_code::file_unreadable: return "the file cannot be read";
    case error_code::file_truncated: return "the file is truncated";
    case error_code::file_malformed: return "the file is malformed";
    case error_code::file_too_large: return "the file declares a size beyond the limit";
    case error_code::unsupported: return "the feature is not supported";
    case error_code::out_of_memory: return "an allocation failed";
    case error_code::count_: break;
  }
  return "unknown error";
}

/// A short text held in place, cut at `Capacity` characters: errors carry one without allocating.
template <std::size_t Capacity>
class fixed_text {
 public:
  constexpr fixed_text() noexcept = default;
  constexpr fixed_text(const char* text) noexcept { append(text); }  // NOLINT(google-explicit-constructor)
  constexpr fixed_text(const char* text, std::size_t size) noexcept { append(text, size); }

  constexpr fixed_text& append(const char* text) noexcept {
    while (*text != '\0' && size_ < Capacity) characters_[size_++] = *text++;
    return *this;
  }
  constexpr fixed_text& append(const char* text, std::size_t size) noexcept {
    for (std::size_t i = 0; i < size && size_ < Capacity; ++i) characters_[size_++] = text[i];
    return *this;
  }
  /// Appends a number in decimal.
  constexpr fixed_text& append_number(std::int64_t value) noexcept {
    char digits[20];
    std::size_t count = 0;
    auto rest = value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
    do {
      digits[count++] = static_cast<char>('0' + rest % 10);
      rest /= 10;
    } while (rest != 0);
    if (value < 0) append("-");
    while (count > 0) append(&digits[--count], 1);
    return *this;
  }

  [[nodiscard]] constexpr const char* c_str() const noexcept { return characters_; }
  [[nodiscard]] constexpr const char* data() const noexcept { return characters_; }
  [[nodiscard]] constexpr std::size_t size() const noexcept { return size_; }
  [[nodiscard]] constexpr bool empty() const noexcept { return size_ == 0; }

  friend constexpr bool operator==(const fixed_text&, const fixed_text&) = default;

 private:
  std::size_t size_ = 0;
  char characters_[Capacity + 1] = {};
};

/// An error value: a code and, where it helps, a detail that names the culprit. Trivially copyable.
struct error {
  error_code code = error_code::none;
  fixed_text<118> detail{};

  constexpr error() = default;
  constexpr error(error_code c) noexcept : code(c) {}  // NOLINT(google-explicit-constructor): a code alone is complete
  constexpr error(error_code c, fixed_text<118> d) noexcept : code(c), detail(d) {}
  constexpr error(error_code c, const char* d) noexcept : code(c), detail(d) {}

  /// The sentence of the code, followed by the detail after a colon when there is one.
  [[nodiscard]] constexpr fixed_text<222> message() const noexcept {
    fixed_text<222> text(sentence(code));
    if (!detail.empty()) text.append(": ").append(detail.data(), detail.size());
    return text;
  }

  friend constexpr bool operator==(const error&, const error&) = default;
};

#if DECANT_HAS_EXCEPTIONS()
/// What `value_or_throw()` throws.
class decant_error : public std::exception {
 public:
  explicit decant_error(error e) noexcept : value_(e), message_(e.message()) {}
  [[nodiscard]] const error& value() const noexcept { return value_; }
  [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }

 private:
  error value_;
  fixed_text<222> message_;
};
#endif

/// Either a `T` or an `error`. The own form of C++23's `std::expected`, which the baseline compilers lack.
template <class T>
class [[nodiscard]] result {
 public:
  using value_type = T;

  result(T value) noexcept(std::is_nothrow_move_constructible_v<T>)  // NOLINT(google-explicit-constructor)
      : value_(std::move(value)), has_value_(true) {}
  result(decant::error e) noexcept : error_(e), has_value_(false) {}     // NOLINT(google-explicit-constructor)
  result(error_code code) noexcept : error_(code), has_value_(false) {}  // NOLINT(google-explicit-constructor)

  result(const result& other) : has_value_(other.has_value_) { construct_from(other); }
  result(result&& other) noexcept(std::is_nothrow_move_constructible_v<T>) : has_value_(other.has_value_) {
    construct_from(std::move(other));
  }
  result& operator=(result other) noexcept(std::is_nothrow_move_constructible_v<T>) {
    destroy();
    has_value_ = other.has_value_;
    construct_from(std::move(other));
    return *this;
  }
  ~result() { destroy(); }

  [[nodiscard]] bool has_value() const noexcept { return has_value_; }
  explicit operator bool() const noexcept { return has_value_; }

  /// Precondition: has_value().
  [[nodiscard]] T& operator*() & noexcept {
    DECANT_PRECONDITION(has_value_);
    return value_;
  }
  [[nodiscard]] const T& operator*() const& noexcept {
    DECANT_PRECONDITION(has_value_);
    return value_;
  }
  [[nodiscard]] T&& operator*() && noexcept {
    DECANT_PRECONDITION(has_value_);
    return std::move(value_);
  }
  [[nodiscard]] T* operator->() noexcept {
    DECANT_PRECONDITION(has_value_);
    return &value_;
  }
  [[nodiscard]] const T* operator->() const noexcept {
    DECANT_PRECONDITION(has_value_);
    return &value_;
  }

  /// Precondition: !has_value().
  [[nodiscard]] const decant::error& error() const noexcept {
    DECANT_PRECONDITION(!has_value_);
    return error_;
  }
  [[nodiscard]] error_code code() const noexcept { return has_value_ ? error_code::none : error_.code; }

#if DECANT_HAS_EXCEPTIONS()
  /// The value, or throws `decant_error`: the convenience for programs that prefer exceptions.
  [[nodiscard]] T value_or_throw() && {
    if (!has_value_) throw decant_error(error_);
    return std::move(value_);
  }
#endif

 private:
  template <class Other>
  void construct_from(Other&& other) {
    if (has_value_) {
      ::new (static_cast<void*>(&value_)) T(std::forward<Other>(other).value_);
    } else {
      ::new (static_cast<void*>(&error_)) decant::error(other.error_);
    }
  }
  void destroy() noexcept {
    if (has_value_) value_.~T();
  }

  union {
    T value_;
    decant::error error_;
  };
  bool has_value_;
};

template <>
class [[nodiscard]] result<void> {
 public:
  using value_type = void;

  result() = default;
  result(decant::error e) : error_(std::move(e)) {}  // NOLINT(google-explicit-constructor)
  result(error_code code) : error_(code) {}          // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool has_value() const noexcept { return error_.code == error_code::none; }
  explicit operator bool() const noexcept { return has_value(); }
  [[nodiscard]] const decant::error& error() const noexcept { return error_; }
  [[nodiscard]] error_code code() const noexcept { return error_.code; }

#if DECANT_HAS_EXCEPTIONS()
  void value_or_throw() && {
    if (!has_value()) throw decant_error(error_);
  }
#endif

 private:
  decant::error error_{};
};

/// What a part finds wrong with its parameters, for parts that have `check() -> result<void>`; nothing for others.
template <class Part>
[[nodiscard]] result<void> check_of([[maybe_unused]] const Part& part) {
  if constexpr (requires { part.check(); }) {
    return part.check();
  } else {
    return {};
  }
}

}  // namespace decant::inline DECANT_ABI

#endif
