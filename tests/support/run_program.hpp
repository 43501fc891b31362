// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Running programs as a user would, for tests of command lines. POSIX systems only.
#ifndef DECANT_TESTS_SUPPORT_RUN_PROGRAM_HPP
#define DECANT_TESTS_SUPPORT_RUN_PROGRAM_HPP

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

namespace decant_test {

/// A folder of its own, with spaces in its path, that vanishes with the object.
class scratch_folder {
 public:
  scratch_folder() {
    static int count = 0;
    const std::string name = "decant test " + std::to_string(::getpid()) + " " + std::to_string(count++);
    path_ = std::filesystem::temp_directory_path() / name;
    std::filesystem::create_directories(path_);
  }
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;
  ~scratch_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] std::string path() const { return path_.string(); }
  /// The path of a file in the folder.
  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }
  /// The same, after writing the file.
  [[nodiscard]] std::string file(const std::string& name, const std::string& content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
    return file(name);
  }

 private:
  std::filesystem::path path_;
};

[[nodiscard]] inline std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// An argument as the shell wants it.
[[nodiscard]] inline std::string quoted(const std::string& argument) {
  std::string shell = "'";
  for (const char c : argument) shell += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return shell + "'";
}

[[nodiscard]] inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

struct program_result {
  int status;  ///< exit status, -1 when the program did not exit by itself
  std::string out;
  std::string err;
};

[[nodiscard]] inline int exit_status(int wait_status) { return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1; }

/// Runs a shell command with this standard input.
[[nodiscard]] inline program_result run_command(const std::string& command, const std::string& input = "") {
  const scratch_folder scratch;
  const std::string redirected = command + " <" + quoted(scratch.file("in", input)) + " >" +
                                 quoted(scratch.file("out")) + " 2>" + quoted(scratch.file("err"));
  const int status = std::system(redirected.c_str());  // NOLINT(cert-env33-c): command lines are what is tested
  return {exit_status(status), content_of(scratch.file("out")), content_of(scratch.file("err"))};
}

}  // namespace decant_test

#endif
