// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/owning_ptr.hpp>

#include "tests/support/test_kit.hpp"

#include <stdexcept>
#include <type_traits>

namespace {

using decant::erased_work;
using decant::owning_ptr;

struct counted {
  static inline int alive = 0;
  counted() { ++alive; }
  counted(const counted&) = delete;
  counted& operator=(const counted&) = delete;
  virtual ~counted() { --alive; }
  int value = 7;
};
struct derived final : counted {};

struct refusing {
  refusing() { throw std::runtime_error("not now"); }
};

}  // namespace

TEST_CASE("an owner destroys its object once") {
  {
    owning_ptr<counted> owner(new derived);
    CHECK(counted::alive == 1);
    CHECK(owner);
    CHECK(owner->value == 7);
    CHECK((*owner).value == 7);
    CHECK(owner.get() != nullptr);
  }
  CHECK(counted::alive == 0);
  const owning_ptr<counted> empty;
  CHECK_FALSE(empty);
  CHECK(empty.get() == nullptr);
}

TEST_CASE("moving hands the object over") {
  {
    owning_ptr<counted> a(new derived);
    counted* object = a.get();
    owning_ptr<counted> b(std::move(a));
    CHECK_FALSE(a);  // NOLINT(bugprone-use-after-move): moved-from owners are empty
    CHECK(b.get() == object);
    owning_ptr<counted> c(new derived);
    c = std::move(b);
    CHECK(c.get() == object);
    b = owning_ptr<counted>();
    CHECK(counted::alive == 1);
    owning_ptr<counted>& self = c;
    c = std::move(self);
    CHECK(c.get() == object);
    std::swap(a, c);
    CHECK(a.get() == object);
  }
  CHECK(counted::alive == 0);
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<owning_ptr<counted>>);
  STATIC_REQUIRE_FALSE(std::is_copy_assignable_v<owning_ptr<counted>>);
  STATIC_REQUIRE(std::is_nothrow_move_constructible_v<owning_ptr<counted>>);
}

TEST_CASE("working memory is made at its first use and then kept") {
  owning_ptr<erased_work> slot;
  int& made = decant::work_in<int>(slot);
  CHECK(made == 0);
  made = 5;
  CHECK(decant::work_in<int>(slot) == 5);
  CHECK(&decant::work_in<int>(slot) == &made);
}

TEST_CASE("working memory that cannot be made leaves the slot empty") {
  owning_ptr<erased_work> slot;
  CHECK_THROWS_AS(decant::work_in<refusing>(slot), std::runtime_error);
  CHECK_FALSE(slot);
}
