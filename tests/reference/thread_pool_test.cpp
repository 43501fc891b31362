// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/reference/thread_pool.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <thread>
#include <vector>

#include "support/test_kit.hpp"

TEST_CASE("for_each calls every index once, for every team, count and grain") {
  for (std::size_t threads = 1; threads <= 4; ++threads) {
    decant::thread_pool pool(threads);
    REQUIRE(pool.size() == threads);
    for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{100}}) {
      for (const std::size_t grain : {std::size_t{1}, std::size_t{3}, std::size_t{1000}}) {
        std::vector<std::atomic<int>> calls(count);
        pool.run([&](decant::thread_pool::worker& self) {
          self.for_each(count, grain, [&](std::size_t i) { calls[i].fetch_add(1); });
        });
        int wrong = 0;
        for (const std::atomic<int>& c : calls) wrong += c.load() == 1 ? 0 : 1;
        CHECK(wrong == 0);
      }
    }
  }
}

TEST_CASE("a phase sees all that the phase before wrote") {
  for (const std::size_t threads : {std::size_t{2}, std::size_t{3}}) {
    decant::thread_pool pool(threads);
    constexpr std::size_t phases = 2000;
    constexpr std::size_t width = 5;
    // Plain memory: a phase that starts too early is a data race, and a wrong number.
    std::vector<std::size_t> cells(width, 0);
    std::vector<std::size_t> next(width, 0);
    pool.run([&](decant::thread_pool::worker& self) {
      for (std::size_t phase = 0; phase < phases; ++phase) {
        std::vector<std::size_t>& from = phase % 2 == 0 ? cells : next;
        std::vector<std::size_t>& to = phase % 2 == 0 ? next : cells;
        self.for_each(width, 1, [&](std::size_t i) {
          to[i] = (from[i] + from[(i + 1) % width] + from[(i + 2) % width] + i) % 1000003;
        });
      }
    });
    std::vector<std::size_t> expected(width, 0);
    for (std::size_t phase = 0; phase < phases; ++phase) {
      const std::vector<std::size_t> from = expected;
      for (std::size_t i = 0; i < width; ++i) {
        expected[i] = (from[i] + from[(i + 1) % width] + from[(i + 2) % width] + i) % 1000003;
      }
    }
    CHECK(cells == expected);
  }
}

TEST_CASE("a region ends although some of its phases are empty and some threads come late") {
  decant::thread_pool pool(3);
  for (int i = 0; i < 500; ++i) {
    std::atomic<int> calls{0};
    pool.run([&](decant::thread_pool::worker& self) {
      self.for_each(0, 1, [&](std::size_t) { calls.fetch_add(1000); });
      self.for_each(2, 5, [&](std::size_t) { calls.fetch_add(1); });
      self.for_each(0, 1, [&](std::size_t) { calls.fetch_add(1000); });
    });
    CHECK(calls.load() == 2);
    if (i % 100 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));  // the team falls asleep
  }
}

TEST_CASE("a pool runs many short regions and none") {
  decant::thread_pool idle(3);
  decant::thread_pool pool(2);
  std::atomic<std::size_t> total{0};
  for (std::size_t i = 0; i < 3000; ++i) {
    pool.run([&](decant::thread_pool::worker& self) {
      self.for_each(3, 1, [&](std::size_t item) { total.fetch_add(item); });
    });
  }
  CHECK(total.load() == 9000);
}

TEST_CASE("an idle pool uses no processor time") {
  decant::thread_pool pool(4);
  pool.run([](decant::thread_pool::worker& self) { self.for_each(8, 1, [](std::size_t) {}); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // let the team fall asleep
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const double used = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  CHECK(used < 0.05);
}
