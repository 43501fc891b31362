// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef DECANT_CORE_OWNING_PTR_HPP
#define DECANT_CORE_OWNING_PTR_HPP

#include <decant/config.hpp>

#include <utility>

namespace decant::inline DECANT_ABI {

/// The few lines of std::unique_ptr that type erasure needs: <memory> would cost every user 0.4 s of parsing (GCC 12).
/// Move-only owner of an object with a virtual destructor.
template <class T>
class owning_ptr {
 public:
  owning_ptr() = default;
  explicit owning_ptr(T* object) noexcept : object_(object) {}
  owning_ptr(owning_ptr&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  owning_ptr& operator=(owning_ptr&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~owning_ptr() { delete object_; }

  [[nodiscard]] T* get() const noexcept { return object_; }
  T* operator->() const noexcept { return object_; }
  T& operator*() const noexcept { return *object_; }
  explicit operator bool() const noexcept { return object_ != nullptr; }

 private:
  T* object_ = nullptr;
};

/// Type-erased working memory: made by the policy that uses it, at its first use.
struct erased_work {
  erased_work() = default;
  erased_work(const erased_work&) = delete;
  erased_work& operator=(const erased_work&) = delete;
  virtual ~erased_work() = default;
};

/// Working memory of a known type behind `erased_work`.
template <class Work>
struct erased_work_of final : erased_work {
  Work value{};
};

/// The working memory of type `Work`, made now if it does not exist yet. One slot always serves one policy object.
template <class Work>
[[nodiscard]] Work& work_in(owning_ptr<erased_work>& slot) {
  if (!slot) slot = owning_ptr<erased_work>(new erased_work_of<Work>);
  return static_cast<erased_work_of<Work>*>(slot.get())->value;
}

}  // namespace decant::inline DECANT_ABI

#endif
