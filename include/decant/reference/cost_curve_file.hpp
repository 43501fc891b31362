// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Measured costs of a model, kept in a small text file between runs. The file says what it was measured with; costs of
// another model, thread count, instruction set or library version are refused.
//
//   decant pass costs 1
//   model 98362432 1f2e3d4c5b6a7988
//   setup 2 avx2 0.1.0
//   plain 0.0088 256
//   nodes 1 1
//   nodes 2 1.24
//
// `model`: bytes of the file and hash of its beginning; `setup`: threads, instruction set, library version; `plain`:
// seconds of a pass over one node and the tokens before it; `nodes`: points of the cost curve.
#ifndef DECANT_REFERENCE_COST_CURVE_FILE_HPP
#define DECANT_REFERENCE_COST_CURVE_FILE_HPP

#include <decant/control/calibrate.hpp>
#include <decant/reference/fnv_hash.hpp>
#include <decant/version.hpp>

#include <array>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

namespace decant::inline DECANT_ABI {

/// What costs depend on.
struct cost_key {
  std::uint64_t model_bytes = 0;
  std::uint64_t model_hash = 0;  ///< of the beginning of the file, where its shapes and types are
  std::size_t threads = 0;
  std::string instructions{};
  std::string library{};

  friend bool operator==(const cost_key&, const cost_key&) = default;
};

namespace detail {

inline constexpr std::size_t hashed_bytes = std::size_t{1} << 20;
inline constexpr std::size_t longest_cost_file = std::size_t{1} << 16;
inline constexpr std::string_view cost_file_title = "decant pass costs 1";

[[nodiscard]] inline std::uint64_t hash_of(std::string_view bytes) noexcept {
  fnv_hash hash;
  for (const char c : bytes) hash.add(static_cast<unsigned char>(c));
  return hash.value();
}

[[nodiscard]] inline std::string hexadecimal(std::uint64_t value) {
  std::string digits(16, '0');
  for (std::size_t i = 0; i < 16; ++i) digits[15 - i] = "0123456789abcdef"[value >> (4 * i) & 15];
  return digits;
}

/// Shortest text that reads back as the same number.
[[nodiscard]] inline std::string shortest(double value) {
  std::array<char, 40> digits{};
  return {digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr};
}

/// The first `limit` bytes of a file. Error `file_unreadable`.
[[nodiscard]] inline result<std::string> beginning_of(const std::filesystem::path& path, std::size_t limit) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(limit, '\0');
  if (!file || !file.read(bytes.data(), static_cast<std::streamsize>(limit)).good()) {
    if (file.bad() || !file.eof()) return error_code::file_unreadable;
  }
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  return bytes;
}

/// Takes text apart into lines, and lines into words separated by single spaces.
class cost_file_reader {
 public:
  explicit cost_file_reader(std::string_view text) : text_(text) {}

  [[nodiscard]] bool at_end() const noexcept { return text_.empty(); }

  /// The next line, without its end.
  [[nodiscard]] std::string_view line() noexcept {
    ++number_;
    const std::size_t end = std::min(text_.find('\n'), text_.size());
    const std::string_view taken = text_.substr(0, end);
    text_.remove_prefix(std::min(end + 1, text_.size()));
    return taken;
  }

  /// A line of a word and two numbers.
  template <class A, class B>
  [[nodiscard]] result<void> numbers(std::string_view word, A& a, B& b) {
    std::string_view rest = line();
    if (take_word(rest) == word && take_number(rest, a) && take_number(rest, b) && rest.empty()) return {};
    return malformed();
  }

  [[nodiscard]] error malformed() const {
    return {error_code::file_malformed, fixed_text<118>("line ").append_number(number_)};
  }

 private:
  [[nodiscard]] static std::string_view take_word(std::string_view& rest) noexcept {
    const std::size_t end = std::min(rest.find(' '), rest.size());
    const std::string_view word = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return word;
  }
  template <class Number>
  [[nodiscard]] static bool take_number(std::string_view& rest, Number& number) noexcept {
    const std::string_view word = take_word(rest);
    const auto read = std::from_chars(word.data(), word.data() + word.size(), number);
    return read.ec == std::errc() && read.ptr == word.data() + word.size();
  }

  std::string_view text_;
  std::int64_t number_ = 0;
};

}  // namespace detail

/// The key of a model file as it is run here. Errors: `file_unreadable`.
[[nodiscard]] inline result<cost_key> make_cost_key(const std::filesystem::path& model, std::size_t threads,
                                                    const char* instructions) {
  std::error_code failed;
  const std::uint64_t bytes = std::filesystem::file_size(model, failed);
  if (failed) return error_code::file_unreadable;
  const result<std::string> beginning = detail::beginning_of(model, detail::hashed_bytes);
  if (!beginning) return beginning.error();
  const std::string version = std::to_string(DECANT_VERSION_MAJOR) + '.' + std::to_string(DECANT_VERSION_MINOR) + '.' +
                              std::to_string(DECANT_VERSION_PATCH);
  return cost_key{bytes, detail::hash_of(*beginning), threads, instructions, version};
}

/// The first lines of a file with these costs.
[[nodiscard]] inline std::string write_cost_key(const cost_key& key) {
  return std::string(detail::cost_file_title) + "\nmodel " + std::to_string(key.model_bytes) + ' ' +
         detail::hexadecimal(key.model_hash) + "\nsetup " + std::to_string(key.threads) + ' ' + key.instructions + ' ' +
         key.library + '\n';
}

[[nodiscard]] inline std::string write_pass_costs(const cost_key& key, const pass_costs& costs) {
  std::string text = write_cost_key(key);
  text += "plain " + detail::shortest(costs.plain_seconds) + ' ' + std::to_string(costs.context) + '\n';
  for (const cost_point& point : costs.curve.points) {
    text += "nodes " + std::to_string(point.nodes) + ' ' + detail::shortest(point.time) + '\n';
  }
  return text;
}

/// Reads the text of a file; every byte may be wrong. Errors: `file_malformed` (with the line, or what is unsound),
/// `invalid_argument` when the costs are of something else than the key says.
[[nodiscard]] inline result<pass_costs> parse_pass_costs(std::string_view text, const cost_key& key) {
  detail::cost_file_reader reader(text);
  if (reader.line() != detail::cost_file_title) return reader.malformed();
  if (!text.starts_with(write_cost_key(key))) {
    return error{error_code::invalid_argument, "the costs were measured with another model or setup"};
  }
  (void)reader.line();
  (void)reader.line();
  pass_costs costs;
  if (auto read = reader.numbers("plain", costs.plain_seconds, costs.context); !read) return read.error();
  if (!(costs.plain_seconds > 0 && std::isfinite(costs.plain_seconds))) return reader.malformed();
  costs.curve.points.clear();
  while (!reader.at_end()) {
    cost_point point{};
    if (auto read = reader.numbers("nodes", point.nodes, point.time); !read) return read.error();
    costs.curve.points.push_back(point);
  }
  if (auto sound = costs.curve.check(); !sound) return error{error_code::file_malformed, sound.error().detail};
  return costs;
}

/// A name for the file of a key, different for different keys.
[[nodiscard]] inline std::string cost_file_name(const cost_key& key) {
  return "costs-" + detail::hexadecimal(detail::hash_of(write_cost_key(key))) + ".txt";
}

/// Errors: those of parse_pass_costs, `file_unreadable`, `file_too_large`.
[[nodiscard]] inline result<pass_costs> load_pass_costs(const std::filesystem::path& path, const cost_key& key) {
  const result<std::string> text = detail::beginning_of(path, detail::longest_cost_file);
  if (!text) return text.error();
  if (text->size() == detail::longest_cost_file) return error_code::file_too_large;
  return parse_pass_costs(*text, key);
}

/// Writes the file, and the folder if there is none, so that a reader sees it whole or not at all. Error:
/// `file_unreadable` when that is not possible.
[[nodiscard]] inline result<void> save_pass_costs(const std::filesystem::path& path, const cost_key& key,
                                                  const pass_costs& costs) {
  std::error_code failed;
  std::filesystem::create_directories(path.parent_path(), failed);
  const std::filesystem::path unfinished = path.string() + ".new";
  std::ofstream file(unfinished, std::ios::binary | std::ios::trunc);
  file << write_pass_costs(key, costs);
  file.close();
  if (file) std::filesystem::rename(unfinished, path, failed);
  if (!file || failed) {
    std::filesystem::remove(unfinished, failed);
    return error{error_code::file_unreadable, "the costs cannot be written"};
  }
  return {};
}

}  // namespace decant::inline DECANT_ABI

#endif
