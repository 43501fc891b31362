// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The presets against the engines' own procedures, written down here step by step as the engines run them (sorted
// arrays, ascending sums, masks of -infinity), in double. Admitted sets and laws, with every step switched on and off.
#include <decant/sample/presets.hpp>

#include "tests/support/random.hpp"
#include "tests/support/sampling.hpp"

#include <map>
#include <set>

namespace {

using decant::index;
using decant::token;
using decant_test::largest_difference;
using decant_test::probabilities;
using decant_test::random_source;
using decant_test::support;

using tokens = std::vector<token>;
using scores = std::vector<double>;

constexpr double inf = std::numeric_limits<double>::infinity();

scores soft_max(const scores& row) {
  const double top = *std::max_element(row.begin(), row.end());
  scores p;
  double sum = 0;
  for (const double l : row) {
    p.push_back(std::exp(l - top));
    sum += p.back();
  }
  for (double& x : p) x /= sum;
  return p;
}

/// Indices of a row in ascending order of its values.
std::vector<std::size_t> ascending(const scores& row) {
  std::vector<std::size_t> order(row.size());
  for (std::size_t i = 0; i < row.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return row[a] < row[b]; });
  return order;
}

bool ends_in(const tokens& text, const tokens& tail) {
  return tail.size() <= text.size() && std::equal(tail.rbegin(), tail.rend(), text.rbegin());
}

// --- Hugging Face: processors over masked scores ---------------------------------------------------------------------

void hf_bias(scores& row, const tokens& ids, const tokens& sequence, double bias) {
  if (sequence.size() > 1 && sequence.size() > ids.size()) return;
  if (ends_in(ids, tokens(sequence.begin(), sequence.end() - 1))) row[index(sequence.back())] += bias;
}

void remove_below_kth(scores& row, std::size_t k) {
  const double kth = row[ascending(row)[row.size() - std::min(k, row.size())]];
  for (double& l : row) l = l < kth ? -inf : l;
}

void remove_ascending_top_p(scores& row, double p) {
  const auto order = ascending(row);
  const scores law = soft_max(row);
  double sum = 0;
  for (std::size_t i = 0; i + 1 < order.size(); ++i) {  // the last one always stays
    sum += law[order[i]];
    if (sum <= 1 - p) row[order[i]] = -inf;
  }
}

void remove_below_share_of_top(scores& row, double share) {
  const scores law = soft_max(row);
  const double top = *std::max_element(law.begin(), law.end());
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (law[i] < share * top) row[i] = -inf;
  }
}

double entropy(const scores& law) {
  double sum = 0;
  for (const double p : law) sum -= p > 0 ? p * std::log(p) : 0;
  return sum;
}

void hf_typical(scores& row, double mass) {
  const scores law = soft_max(row);
  const double h = entropy(law);
  scores shifted;
  for (const double p : law) shifted.push_back(p > 0 ? std::abs(-std::log(p) - h) : inf);
  const auto order = ascending(shifted);
  double sum = 0;
  std::size_t last = 0;  // number of cumulative sums below the mass
  for (const std::size_t i : order) last += (sum += law[i]) < mass;
  const double border = shifted[order[std::min(last, order.size() - 1)]];
  for (std::size_t i = 0; i < row.size(); ++i) row[i] = shifted[i] > border ? -inf : row[i];
}

void hf_remove_below(scores& row, double bar) {
  const scores law = soft_max(row);
  const double best = *std::max_element(row.begin(), row.end());
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (law[i] < bar && row[i] < best) row[i] = -inf;
  }
}

scores hf(scores row, const tokens& ids, std::size_t prompt_length, const decant::hf_settings& s) {
  for (const auto& [sequence, bias] : s.sequence_bias) hf_bias(row, ids, sequence, static_cast<double>(bias));
  for (const token id : std::set<token>(ids.begin(), ids.end())) {
    double& l = row[index(id)];
    l = l < 0 ? l * static_cast<double>(s.repetition_penalty) : l / static_cast<double>(s.repetition_penalty);
  }
  if (const std::size_t n = index(s.no_repeat_ngram_size); n > 0 && ids.size() + 1 >= n) {
    std::map<tokens, tokens> generated;
    for (std::size_t i = 0; i + n <= ids.size(); ++i) {
      const auto at = ids.begin() + static_cast<std::ptrdiff_t>(i);
      const auto last = at + static_cast<std::ptrdiff_t>(n - 1);
      generated[tokens(at, last)].push_back(*last);
    }
    for (const token t : generated[tokens(ids.end() - static_cast<std::ptrdiff_t>(n - 1), ids.end())]) {
      row[index(t)] = -inf;
    }
  }
  for (const tokens& words : s.bad_words_ids) hf_bias(row, ids, words, -inf);
  for (const token eos : s.eos_token_id) {
    if (ids.size() < s.min_length) row[index(eos)] = -inf;
    if (ids.size() < prompt_length + s.min_new_tokens && s.min_new_tokens > 0) row[index(eos)] = -inf;
  }
  for (const token t : s.suppress_tokens) row[index(t)] = -inf;
  for (const token t : s.begin_suppress_tokens) row[index(t)] = ids.size() == prompt_length ? -inf : row[index(t)];
  for (double& l : row) l /= static_cast<double>(s.temperature);
  if (s.top_k > 0) remove_below_kth(row, index(s.top_k));
  if (s.top_p < 1) remove_ascending_top_p(row, static_cast<double>(s.top_p));
  if (s.min_p > 0) remove_below_share_of_top(row, static_cast<double>(s.min_p));
  if (s.typical_p < 1) hf_typical(row, static_cast<double>(s.typical_p));
  if (s.epsilon_cutoff > 0) hf_remove_below(row, static_cast<double>(s.epsilon_cutoff));
  if (const auto e = static_cast<double>(s.eta_cutoff); e > 0) {
    hf_remove_below(row, std::min(e, std::sqrt(e) * std::exp(-entropy(soft_max(row)))));
  }
  return soft_max(row);
}

// --- vLLM: masks, counts and sorted rows -----------------------------------------------------------------------------

scores vllm(scores row, const tokens& prompt, const tokens& output, const decant::vllm_settings& s) {
  if (!s.allowed_token_ids.empty()) {
    scores masked(row.size(), -inf);
    for (const token t : s.allowed_token_ids) masked[index(t)] = row[index(t)];
    row = masked;
  }
  for (const tokens& bad : s.bad_words) {
    if (bad.size() <= output.size() + 1 && ends_in(output, tokens(bad.begin(), bad.end() - 1))) {
      row[index(bad.back())] = -inf;
    }
  }
  if (output.size() < s.min_tokens) {
    for (const token t : s.stop_token_ids) row[index(t)] = -inf;
  }
  for (const auto& [id, bias] : s.logit_bias) row[index(id)] += static_cast<double>(bias);
  for (std::size_t i = 0; i < row.size(); ++i) {
    const auto id = static_cast<token>(i);
    const auto in_output = std::count(output.begin(), output.end(), id);
    const bool seen = in_output > 0 || std::count(prompt.begin(), prompt.end(), id) > 0;
    const auto repetition = static_cast<double>(s.repetition_penalty);
    if (seen) row[i] = row[i] > 0 ? row[i] / repetition : row[i] * repetition;
    row[i] -= static_cast<double>(s.frequency_penalty) * static_cast<double>(in_output);
    row[i] -= static_cast<double>(s.presence_penalty) * (in_output > 0 ? 1 : 0);
  }
  for (double& l : row) l /= static_cast<double>(s.temperature);
  if (s.min_p > 0) remove_below_share_of_top(row, static_cast<double>(s.min_p));
  if (s.top_k > 0) remove_below_kth(row, index(s.top_k));
  if (s.top_p < 1) remove_ascending_top_p(row, static_cast<double>(s.top_p));
  return soft_max(row);
}

// --- llama.cpp: an array of candidates that is sorted and cut --------------------------------------------------------

struct llama_candidate {
  token id;
  double logit;
  double p;
};
using llama_array = std::vector<llama_candidate>;

void sort_and_soft_max(llama_array& set) {
  std::stable_sort(set.begin(), set.end(), [](const auto& a, const auto& b) { return a.logit > b.logit; });
  double sum = 0;
  for (auto& c : set) sum += c.p = std::exp(c.logit - set[0].logit);
  for (auto& c : set) c.p /= sum;
}

/// DRY as that engine runs it: breakers from the end, the Z algorithm read backwards, the longest match of each token.
void llama_dry(llama_array& set, const tokens& text, const decant::llama_cpp_settings& s,
               const std::vector<tokens>& breakers) {
  if (s.dry_multiplier == 0 || s.dry_penalty_last_n == 0) return;
  const auto size = static_cast<int>(text.size());
  const int last_n = s.dry_penalty_last_n < 0 ? size : std::min(size, s.dry_penalty_last_n);
  if (last_n <= s.dry_allowed_length) return;
  const auto rat = [&](int i) { return text[static_cast<std::size_t>(size - 1 - i)]; };
  int rep_limit = last_n;
  for (int i = 0; i < last_n; ++i) {
    int longest = -1;
    for (const tokens& sequence : breakers) {
      const auto tail = static_cast<int>(sequence.size()) - 1;
      if (sequence[0] != rat(i) || tail <= longest || tail > i) continue;
      bool match = true;
      for (int offset = 0; offset < tail; ++offset) match &= sequence[index(offset + 1)] == rat(i - offset - 1);
      if (match) longest = tail;
    }
    if (longest >= 0) {
      rep_limit = i - longest;
      break;
    }
  }
  if (rep_limit < s.dry_allowed_length) return;
  std::vector<int> count(index(last_n), 0);
  const int last = last_n - 1;
  for (int k = 1, rt = 0, lt = 0; k < last_n; ++k) {
    if (k > rt) {
      int n = 0;
      while (n + k < last_n && rat(n) == rat(n + k)) ++n;
      count[index(last - k)] = std::min(n, rep_limit);
      if (n > 0) {
        lt = k;
        rt = k + n - 1;
      }
    } else if (count[index(last - (k - lt))] < rt - k + 1) {
      count[index(last - k)] = std::min(count[index(last - (k - lt))], rep_limit);
    } else {
      int i = rt + 1;
      while (i < last_n && rat(i) == rat(i - k)) ++i;
      count[index(last - k)] = std::min(i - k, rep_limit);
      lt = k;
      rt = i - 1;
    }
  }
  std::map<token, int> longest_of;
  for (int i = 0; i < last_n - 1; ++i) {
    if (count[index(i)] < s.dry_allowed_length) continue;
    int& longest = longest_of[rat(last_n - 2 - i)];
    longest = std::max(longest, count[index(i)]);
  }
  for (auto& c : set) {
    const auto found = longest_of.find(c.id);
    if (found == longest_of.end() || std::count(breakers.begin(), breakers.end(), tokens{c.id}) > 0) continue;
    const int exponent =
        std::min(found->second - s.dry_allowed_length, static_cast<int>(88.7228391f / std::log(s.dry_base)));
    c.logit -= static_cast<double>(s.dry_multiplier) * std::pow(static_cast<double>(s.dry_base), exponent);
  }
}

void llama_typical(llama_array& set, double p) {
  sort_and_soft_max(set);
  double h = 0;
  for (const auto& c : set) h -= c.p > 0 ? c.p * std::log(c.p) : 0;  // the guard that it lacks
  std::vector<std::pair<double, llama_candidate>> shifted;
  for (const auto& c : set) shifted.push_back({c.p > 0 ? std::abs(-std::log(c.p) - h) : inf, c});
  std::stable_sort(shifted.begin(), shifted.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  double sum = 0;
  std::size_t kept = 0;
  while (kept < shifted.size() && !(sum > p)) sum += shifted[kept++].second.p;
  set.clear();
  for (std::size_t i = 0; i < kept; ++i) set.push_back(shifted[i].second);
}

scores llama_cpp(const scores& row, const tokens& text, const decant::llama_cpp_settings& s,
                 const std::vector<tokens>& breakers) {
  llama_array set;
  for (std::size_t i = 0; i < row.size(); ++i) set.push_back({static_cast<token>(i), row[i], 0});
  for (const auto& [id, bias] : s.logit_bias) set[index(id)].logit += static_cast<double>(bias);
  const std::size_t window = std::min(text.size(), index(s.penalty_last_n));
  std::map<token, int> counts;
  for (std::size_t i = text.size() - window; i < text.size(); ++i) ++counts[text[i]];
  for (auto& c : set) {
    if (counts.count(c.id) == 0) continue;
    const auto repeat = static_cast<double>(s.penalty_repeat);
    c.logit = c.logit <= 0 ? c.logit * repeat : c.logit / repeat;
    c.logit -= counts[c.id] * static_cast<double>(s.penalty_freq) + static_cast<double>(s.penalty_present);
  }
  llama_dry(set, text, s, breakers);
  if (s.top_n_sigma > 0) {
    double top = -inf, sum = 0, squares = 0, n = 0;
    for (const auto& c : set) {
      if (c.logit == -inf) continue;
      top = std::max(top, c.logit);
      sum += c.logit;
      ++n;
    }
    for (const auto& c : set) squares += c.logit == -inf ? 0 : (c.logit - sum / n) * (c.logit - sum / n);
    const double bar = top - static_cast<double>(s.top_n_sigma) * std::sqrt(squares / n);
    for (auto& c : set) c.logit = c.logit < bar ? -inf : c.logit;
  }
  sort_and_soft_max(set);
  if (s.top_k > 0) set.resize(std::min(set.size(), index(s.top_k)));
  if (s.typ_p < 1) llama_typical(set, static_cast<double>(s.typ_p));
  sort_and_soft_max(set);
  if (s.top_p < 1) {
    double sum = 0;
    std::size_t kept = 0;
    while (kept < set.size()) {
      sum += set[kept++].p;
      if (sum >= static_cast<double>(s.top_p)) break;
    }
    set.resize(kept);
  }
  if (s.min_p > 0) {
    const double bar = set[0].logit + std::log(static_cast<double>(s.min_p));
    set.erase(std::remove_if(set.begin(), set.end(), [&](const auto& c) { return c.logit < bar; }), set.end());
  }
  sort_and_soft_max(set);
  if (s.xtc_probability >= 1 && s.xtc_threshold <= 0.5f && set.size() >= 2) {  // tossed only where it always fires
    std::size_t last = 0;
    for (std::size_t i = 0; i < set.size() && set[i].p >= static_cast<double>(s.xtc_threshold); ++i) last = i;
    set.erase(set.begin(), set.begin() + static_cast<std::ptrdiff_t>(last));
  }
  sort_and_soft_max(set);
  auto heat = static_cast<double>(s.temperature);
  if (const auto range = static_cast<double>(s.dynatemp_range); range > 0 && set.size() > 1) {
    double h = 0;
    std::size_t n = 0;
    for (const auto& c : set) {
      h -= c.p > 0 ? c.p * std::log(c.p) : 0;
      n += c.logit > -inf;  // that engine counts banned tokens
    }
    const double low = std::max(0.0, heat - range);
    if (n > 1) {
      heat = low + (heat + range - low) *
                       std::pow(h / std::log(static_cast<double>(n)), static_cast<double>(s.dynatemp_exponent));
    }
  }
  for (auto& c : set) c.logit /= heat;
  sort_and_soft_max(set);
  scores out(row.size(), 0.0);
  for (const auto& c : set) out[index(c.id)] = c.p;
  return out;
}

// --- Random settings -------------------------------------------------------------------------------------------------

tokens random_tokens(random_source& random, std::size_t count, std::size_t vocab_size) {
  tokens out(count);
  for (token& t : out) t = random.token_below(vocab_size);
  return out;
}
float some(random_source& random, float off, double low, double high) {
  return random.below(2) == 0 ? off : static_cast<float>(random.uniform(low, high));
}
std::vector<tokens> some_sequences(random_source& random, std::size_t vocab_size, std::size_t longest) {
  std::vector<tokens> out(random.below(4));
  for (tokens& sequence : out) sequence = random_tokens(random, random.between(1, longest), vocab_size);
  return out;
}

/// A row whose best token no list below can ban: lists take tokens below `size - 2`.
scores random_row(random_source& random) { return random.logits<double>(random.between(8, 120), 3); }

/// The law that the engine gives and the preset's, with the sets that have weight.
void check_parity(const scores& found, const scores& expected) {
  CHECK(support(found) == support(expected));
  CHECK(largest_difference(found, expected) < 1e-6);
}

}  // namespace

TEST_CASE("the Hugging Face preset admits what that engine admits, with its law") {
  random_source random(601);
  for (int round = 0; round < 400; ++round) {
    const scores row = random_row(random);
    const std::size_t listed = row.size() - 2;
    const tokens text = random_tokens(random, random.between(4, 30), 6);
    decant::hf_settings s;
    s.temperature = some(random, 1, 0.4, 2);
    s.top_k = static_cast<std::int32_t>(random.below(40));
    s.top_p = some(random, 1, 0.3, 0.99);
    s.min_p = some(random, 0, 0.01, 0.3);
    s.typical_p = some(random, 1, 0.2, 0.95);
    s.epsilon_cutoff = some(random, 0, 3e-4, 0.3);
    s.eta_cutoff = some(random, 0, 3e-4, 0.3);
    s.repetition_penalty = some(random, 1, 0.7, 1.6);
    s.no_repeat_ngram_size = static_cast<std::int32_t>(random.below(4));
    const std::size_t prompt_length = random.below(text.size() + 1);
    s.min_length = random.below(40);
    s.min_new_tokens = random.below(20);
    s.eos_token_id = random_tokens(random, random.below(3), listed);
    s.suppress_tokens = random_tokens(random, random.below(4), listed);
    s.begin_suppress_tokens = random_tokens(random, random.below(4), listed);
    s.bad_words_ids = some_sequences(random, 6, 3);
    for (const tokens& sequence : some_sequences(random, 6, 3)) s.sequence_bias.push_back({sequence, 1.5f});
    check_parity(probabilities(decant::hf_order(s), row, text, prompt_length), hf(row, text, prompt_length, s));
  }
}

TEST_CASE("the vLLM preset admits what that engine admits, with its law") {
  random_source random(602);
  for (int round = 0; round < 400; ++round) {
    const scores row = random_row(random);
    const std::size_t listed = row.size() - 2;
    const tokens prompt = random_tokens(random, random.between(1, 12), row.size());
    const tokens output = random_tokens(random, random.below(12), row.size());
    tokens text = prompt;
    text.insert(text.end(), output.begin(), output.end());
    decant::vllm_settings s;
    s.temperature = some(random, 1, 0.4, 2);
    s.top_k = static_cast<std::int32_t>(random.below(40));
    s.top_p = some(random, 1, 0.3, 0.99);
    s.min_p = some(random, 0, 0.01, 0.3);
    s.repetition_penalty = some(random, 1, 0.7, 1.6);
    s.frequency_penalty = some(random, 0, -1, 1);
    s.presence_penalty = some(random, 0, -1, 1);
    s.min_tokens = random.below(14);
    s.stop_token_ids = random_tokens(random, random.below(3), listed);
    if (random.below(2) == 0) {
      s.allowed_token_ids = random_tokens(random, random.between(1, 20), row.size());
      s.allowed_token_ids.push_back(static_cast<token>(row.size() - 1));
    }
    s.bad_words = some_sequences(random, listed, 2);
    s.logit_bias = {{random.token_below(row.size()), -2.0f}, {random.token_below(listed), 3.0f}};
    check_parity(probabilities(decant::vllm_order(s), row, text, prompt.size()), vllm(row, prompt, output, s));
  }
}

TEST_CASE("the llama.cpp preset admits what that engine admits, with its law") {
  random_source random(603);
  for (int round = 0; round < 400; ++round) {
    const scores row = random_row(random);
    const tokens text = random_tokens(random, random.below(90), random.between(2, 8));
    const std::vector<tokens> breakers = some_sequences(random, 5, 3);
    decant::llama_cpp_settings s;
    s.temperature = some(random, 1, 0.4, 2);
    s.dynatemp_range = some(random, 0, 0.1, 1);
    s.dynatemp_exponent = some(random, 1, 0.5, 2);
    s.top_k = static_cast<std::int32_t>(random.below(60));
    s.top_p = some(random, 1, 0.3, 0.99);
    s.min_p = some(random, 0, 0.01, 0.3);
    s.typ_p = some(random, 1, 0.2, 0.95);
    s.top_n_sigma = some(random, -1, 0.3, 3);
    s.xtc_probability = random.below(2) == 0 ? 0.0f : 1.0f;
    s.xtc_threshold = static_cast<float>(random.uniform(0.02, 0.6));
    s.penalty_repeat = some(random, 1, 0.7, 1.6);
    s.penalty_freq = some(random, 0, -0.5, 0.5);
    s.penalty_present = some(random, 0, -0.5, 0.5);
    s.dry_multiplier = some(random, 0, 0.1, 1);
    s.dry_penalty_last_n = random.below(2) == 0 ? 64 : -1;
    s.dry_sequence_breakers = decant::sequence_breakers(breakers);
    s.logit_bias = {{random.token_below(row.size()), -2.0f},
                    {random.token_below(row.size() - 1), -std::numeric_limits<float>::infinity()}};
    check_parity(probabilities(decant::llama_cpp_order(s), row, text), llama_cpp(row, text, s, breakers));
  }
}

TEST_CASE("ties at the border of top-k: llama.cpp keeps k, Hugging Face and vLLM all of them") {
  const scores row{1, 3, 2, 2, 2, 0};
  CHECK(support(probabilities(decant::llama_cpp_order({.top_k = 2, .top_p = 1, .min_p = 0}), row)) == tokens{1, 2});
  CHECK(support(probabilities(decant::hf_order({.top_k = 2}), row)) == tokens{1, 2, 3, 4});
  CHECK(support(probabilities(decant::vllm_order({.top_k = 2}), row)) == tokens{1, 2, 3, 4});
  random_source random(604);
  for (int round = 0; round < 100; ++round) {
    scores tied = random.logits<double>(random.between(3, 300));
    for (double& l : tied) l = std::round(l);
    const auto k = static_cast<std::int32_t>(random.between(1, 40));
    decant::vllm_settings s;
    s.top_k = k;
    s.temperature = some(random, 1, 0.4, 2);
    check_parity(probabilities(decant::vllm_order(s), tied), vllm(tied, {}, {}, s));
    decant::hf_settings same;
    same.top_k = k;
    same.temperature = s.temperature;
    const std::vector<float> narrow(tied.begin(), tied.end());
    CHECK(support(probabilities(decant::hf_order(same), narrow)) == support(hf(tied, {}, 0, same)));
  }
}

TEST_CASE("typical: llama.cpp wants more than p, Hugging Face at least p") {
  // Four equal probabilities: two of them are exactly one half.
  const scores row{0, 0, 0, 0};
  CHECK(support(probabilities(decant::make_sampler(decant::typical{0.5f}), row)) == tokens{0, 1});
  CHECK(support(probabilities(decant::llama_cpp_order({.temperature = 1, .top_p = 1, .min_p = 0, .typ_p = 0.5f}),
                              row)) == tokens{0, 1, 2});
}

TEST_CASE("mirostat replaces llama.cpp's chain: truncations and penalties are ignored") {
  const scores row{2, 1, 0, -1};
  const decant::llama_cpp_settings s{
      .temperature = 0.5f, .top_k = 1, .penalty_repeat = 9, .mirostat_tau = 3, .logit_bias = {{1, 1.0f}}};
  const auto law = probabilities(decant::llama_cpp_mirostat_2(s), row, tokens{0, 0});
  const scores expected = soft_max({4, 4, 0, -2});
  for (std::size_t i = 0; i < 4; ++i) CHECK((law[i] > 0) == (-std::log2(expected[i]) <= 6));
  CHECK(support(probabilities(decant::llama_cpp_mirostat_1(s), row, tokens{0, 0})).size() > 1);
}
