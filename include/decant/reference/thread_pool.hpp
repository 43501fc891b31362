// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A fixed team of threads that runs one parallel region at a time, as a series of phases of a few microseconds each.
#ifndef DECANT_REFERENCE_THREAD_POOL_HPP
#define DECANT_REFERENCE_THREAD_POOL_HPP

#include <decant/core/error.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace decant::inline DECANT_ABI {

/// A team of `size()` threads, the calling thread included.
///
/// Work is cut into one share per thread. A thread takes its own share first, run by run, and then what is left of the
/// others': in the common case no two threads write the same cache line until they report, once, what they did.
///
/// A phase ends when all of its work is done, not when all threads have come: a thread that the system has put aside
/// while it holds no work delays nobody, and finds its way to the current phase when it is back. Waiting threads spin
/// for a few tens of microseconds and then sleep in the kernel, so an idle pool uses no processor time.
class thread_pool {
 public:
  /// One thread's hold on the running region.
  class worker {
   public:
    /// Below the size of the team, different for each thread; for choosing scratch memory.
    [[nodiscard]] std::size_t index() const noexcept { return index_; }

    /// One phase: calls `body(i)` once for each i in [0, count), shared out over the team in runs of `grain`, and
    /// returns when all calls are done. What they wrote is then visible to every thread. Every thread of the team must
    /// go through the same phases with the same counts. Preconditions: grain > 0, count + grain < 2^32.
    template <class Body>
    void for_each(std::size_t count, std::size_t grain, Body&& body) {
      for_ranges(count, grain, [&](std::size_t first, std::size_t last) {
        for (std::size_t i = first; i < last; ++i) body(i);
      });
    }

    /// As `for_each`, but calls `body(first, last)` for each run.
    template <class Body>
    void for_ranges(std::size_t count, std::size_t grain, Body&& body) {
      if (count == 0) return;
      const std::size_t runs = (count + grain - 1) / grain;
      const std::size_t team = pool_.size();
      std::size_t done = 0;
      for (std::size_t i = 0; i < team; ++i) {
        const std::size_t owner = index_ + i < team ? index_ + i : index_ + i - team;
        const std::size_t begin = runs * owner / team;
        const std::size_t end = runs * (owner + 1) / team;
        for (std::size_t run = 0; pool_.claim(owner, phase_, end - begin, run); ++done) {
          const std::size_t first = (begin + run) * grain;
          body(first, count - first < grain ? count : first + grain);
        }
      }
      pool_.finish(phase_, runs, done);
      wait_for_change(pool_.phase_, phase_);
      ++phase_;
    }

   private:
    friend class thread_pool;
    worker(thread_pool& pool, std::size_t index, std::uint32_t phase) noexcept
        : pool_(pool), index_(index), phase_(phase) {}
    thread_pool& pool_;
    std::size_t index_;
    std::uint32_t phase_;  // the phase this thread is in; the pool may be ahead
  };

  /// Starts `threads - 1` threads (the caller is the first); when the system refuses some, the team is smaller.
  explicit thread_pool(std::size_t threads) : shares_(std::make_unique<share[]>(threads > 0 ? threads : 1)) {
    threads_.reserve(threads);
    while (size() < threads && start(size())) {
    }
  }

  thread_pool(const thread_pool&) = delete;
  thread_pool& operator=(const thread_pool&) = delete;

  ~thread_pool() {
    stopping_.store(true, std::memory_order_relaxed);
    announce();
    for (std::thread& thread : threads_) thread.join();
  }

  [[nodiscard]] std::size_t size() const noexcept { return threads_.size() + 1; }

  /// Calls `body(worker&)` on the threads of the team and returns when all have left it; a thread that comes too late
  /// is not waited for. `body` must not throw, and must do its work in phases. Not to be nested nor called by two
  /// threads.
  template <class Body>
  void run(Body&& body) {
    using body_type = std::remove_reference_t<Body>;
    call_ = [](void* object, worker& self) { (*static_cast<body_type*>(object))(self); };
    object_ = const_cast<void*>(static_cast<const void*>(&body));
    first_phase_ = phase_.load(std::memory_order_relaxed);
    gate_.store(open, std::memory_order_release);
    announce();
    worker self(*this, 0, first_phase_);
    call_(object_, self);
    std::uint32_t inside = gate_.fetch_and(~open, std::memory_order_acq_rel) & ~open;
    while (inside != 0) {
      wait_for_change(gate_, inside);
      inside = gate_.load(std::memory_order_acquire);
    }
  }

 private:
  static constexpr std::uint32_t open = 0x80000000U;  // bit of gate_; the rest counts the threads inside
  static constexpr int spins = 3000;

  /// The phase in which a share was last taken from, in the upper half, and how many of its runs are taken.
  struct alignas(64) share {
    std::atomic<std::uint64_t> taken{0};
  };

  /// Takes the next of the `runs` runs of a thread's share of a phase; false when none is left or the phase is over.
  [[nodiscard]] bool claim(std::size_t owner, std::uint32_t phase, std::size_t runs, std::size_t& run) noexcept {
    if (runs == 0) return false;
    std::atomic<std::uint64_t>& ticket = shares_[owner].taken;
    std::uint64_t taken = ticket.load(std::memory_order_acquire);
    for (;;) {
      // A share that nobody has taken from since an earlier phase is whole; of a phase that is over none is.
      const auto age = static_cast<std::int32_t>(phase - static_cast<std::uint32_t>(taken >> 32));
      const std::uint64_t now = age > 0 ? std::uint64_t{phase} << 32 : taken;
      run = static_cast<std::uint32_t>(now);
      if (age < 0 || run >= runs) return false;
      if (ticket.compare_exchange_weak(taken, now + 1, std::memory_order_acq_rel, std::memory_order_acquire))
        return true;
    }
  }

  /// Reports runs of a phase as done; whoever reports the last opens the next phase.
  void finish(std::uint32_t phase, std::size_t runs, std::size_t done) noexcept {
    if (done == 0 || done_.fetch_add(done, std::memory_order_acq_rel) + done != runs) return;
    done_.store(0, std::memory_order_relaxed);
    phase_.store(phase + 1, std::memory_order_release);
    phase_.notify_all();
  }

  void announce() noexcept {
    region_.fetch_add(1, std::memory_order_release);
    region_.notify_all();
  }

  void serve(std::size_t index) {
    for (std::uint32_t seen = 0; !stopping_.load(std::memory_order_relaxed);) {
      wait_for_change(region_, seen);
      seen = region_.load(std::memory_order_acquire);
      if (!enter()) continue;
      worker self(*this, index, first_phase_);
      call_(object_, self);
      if (gate_.fetch_sub(1, std::memory_order_acq_rel) == 1) gate_.notify_all();
    }
  }

  /// Enters the running region unless it is closed.
  [[nodiscard]] bool enter() noexcept {
    std::uint32_t gate = gate_.load(std::memory_order_acquire);
    while ((gate & open) != 0) {
      if (gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acq_rel, std::memory_order_acquire))
        return true;
    }
    return false;
  }

  static void wait_for_change(const std::atomic<std::uint32_t>& value, std::uint32_t old) noexcept {
    for (int i = 0; i < spins; ++i) {
      if (value.load(std::memory_order_acquire) != old) return;
      relax();
    }
    while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
  }

  static void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  [[nodiscard]] bool start(std::size_t index) {
#if DECANT_HAS_EXCEPTIONS()
    try {
      threads_.emplace_back([this, index] { serve(index); });
    } catch (...) {
      return false;
    }
#else
    threads_.emplace_back([this, index] { serve(index); });
#endif
    return true;
  }

  // Each on a cache line of its own: they are written by different threads at different times.
  alignas(64) std::atomic<std::size_t> done_{0};      // runs of the phase that are done
  alignas(64) std::atomic<std::uint32_t> phase_{0};   // to wait on
  alignas(64) std::atomic<std::uint32_t> region_{0};  // counts regions, to wait on
  alignas(64) std::atomic<std::uint32_t> gate_{0};
  alignas(64) std::atomic<bool> stopping_{false};
  std::unique_ptr<share[]> shares_;  // of each thread
  std::uint32_t first_phase_ = 0;    // of the running region
  void (*call_)(void*, worker&) = nullptr;
  void* object_ = nullptr;
  std::vector<std::thread> threads_;
};

}  // namespace decant::inline DECANT_ABI

#endif
