// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Exact rationals for proofs that are equalities: a plain value over GMP's mpq_class, without its expression templates,
// which would surprise generic code (`auto`, deduced arguments, conditional expressions). Include it where
// DECANT_TEST_HAS_GMP is 1.
#ifndef DECANT_TESTS_SUPPORT_RATIONAL_HPP
#define DECANT_TESTS_SUPPORT_RATIONAL_HPP

#include <gmpxx.h>

#include <compare>
#include <ostream>
#include <utility>

namespace decant_test {

class rational {
 public:
  rational() = default;
  rational(int value) : value_(value) {}  // NOLINT(google-explicit-constructor): scalars convert from int
  rational(int numerator, int denominator) : value_(numerator, 1) {
    value_ /= denominator;  // also brings the sign into place and lowest terms
  }

  rational& operator+=(const rational& other) {
    value_ += other.value_;
    return *this;
  }
  rational& operator-=(const rational& other) {
    value_ -= other.value_;
    return *this;
  }
  rational& operator*=(const rational& other) {
    value_ *= other.value_;
    return *this;
  }
  /// The divisor is not zero.
  rational& operator/=(const rational& other) {
    value_ /= other.value_;
    return *this;
  }

  friend rational operator+(rational a, const rational& b) { return std::move(a += b); }
  friend rational operator-(rational a, const rational& b) { return std::move(a -= b); }
  friend rational operator*(rational a, const rational& b) { return std::move(a *= b); }
  friend rational operator/(rational a, const rational& b) { return std::move(a /= b); }
  friend rational operator-(const rational& a) { return rational(0) - a; }

  friend bool operator==(const rational& a, const rational& b) { return a.value_ == b.value_; }
  friend std::strong_ordering operator<=>(const rational& a, const rational& b) {
    return cmp(a.value_, b.value_) <=> 0;
  }

  [[nodiscard]] friend double to_double(const rational& a) { return a.value_.get_d(); }
  friend std::ostream& operator<<(std::ostream& out, const rational& a) { return out << a.value_; }

 private:
  mpq_class value_;
};

}  // namespace decant_test

#endif
