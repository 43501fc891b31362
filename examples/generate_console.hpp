// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `generate`: mistakes, files, standard streams, progress and Ctrl-C.
#ifndef DECANT_EXAMPLES_GENERATE_CONSOLE_HPP
#define DECANT_EXAMPLES_GENERATE_CONSOLE_HPP

#include <decant/decode/steady_clock.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace generate_program {

/// A mistake of the user's, as a sentence.
struct refusal : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// --- Ctrl-C ---

inline volatile std::sig_atomic_t interrupted = 0;

/// The first Ctrl-C asks the loop to end, a second one kills the program.
inline void on_interrupt(int) {
  interrupted = 1;
  std::signal(SIGINT, SIG_DFL);
}

// --- Files and standard output ---

struct file_closer {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
using owned_file = std::unique_ptr<std::FILE, file_closer>;

inline owned_file open_file(const std::string& path, const char* mode) {
  owned_file file(std::fopen(path.c_str(), mode));
  if (!file) throw refusal(fmt::format("the file {} cannot be opened", path));
  return file;
}

inline std::string read_all(std::FILE* file, const std::string& name) {
  std::string text;
  char block[65536];
  for (std::size_t size = 0; (size = std::fread(block, 1, sizeof block, file)) > 0;) text.append(block, size);
  if (std::ferror(file) != 0) throw refusal(fmt::format("{} cannot be read", name));
  return text;
}

inline void write_file(std::FILE* file, const std::string& path, std::string_view text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size() && std::fflush(file) == 0;
  if (!written) throw refusal(fmt::format("the file {} cannot be written", path));
}

inline void write_text(std::string_view text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (!written) throw refusal("the text cannot be written to standard output");
}

// --- Progress ---

/// How far something is, on standard error: a bar on a terminal, which vanishes in the end; elsewhere a plain line now
/// and then, so that a log of a short run holds none.
class progress_bar {
 public:
  explicit progress_bar(std::string what) : what_(std::move(what)) {}
  progress_bar(const progress_bar&) = delete;
  progress_bar& operator=(const progress_bar&) = delete;
  ~progress_bar() { clear(); }

  void operator()(std::size_t done, std::size_t total) {
    const int percent = static_cast<int>(100 * std::min(done, total) / std::max<std::size_t>(total, 1));
    if (percent == shown_) return;
    if (is_terminal_) {
      draw(percent, done, total);
    } else if (const double now = clock_.now(); now - last_line_ >= seconds_between_lines) {
      fmt::print(stderr, "{}: {} of {}\n", what_, done, total);
      last_line_ = now;
    }
    shown_ = percent;
  }

  void clear() {
    if (is_terminal_ && shown_ >= 0) fmt::print(stderr, "\r\033[K");
    shown_ = -1;
  }

 private:
  static constexpr double seconds_between_lines = 5;
  static constexpr int width = 30;

  void draw(int percent, std::size_t done, std::size_t total) const {
    const auto full = static_cast<std::size_t>(percent * width / 100);
    fmt::print(stderr, "\r{:<19} [{:.<{}}] {:3} % {} of {}\033[K", what_, std::string(full, '#'), width, percent, done,
               total);
    std::fflush(stderr);
  }

  std::string what_;
  bool is_terminal_ = ::isatty(STDERR_FILENO) != 0;
  int shown_ = -1;
  decant::steady_clock clock_;
  double last_line_ = clock_.now();
};

}  // namespace generate_program

#endif
