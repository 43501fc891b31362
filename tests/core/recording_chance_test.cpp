// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/recording_chance.hpp>

#include <decant/core/philox.hpp>

#include "tests/support/laws.hpp"
#include "tests/support/random.hpp"
#include "tests/support/test_kit.hpp"

#include <string>

namespace {

using decant::accept_key;
using decant::chance_primitive;
using decant::draft_key;
using decant::error_code;
using decant::philox_chance;
using decant::recording_chance;
using decant::replaying_chance;
using decant::sample_key;
using decant::token;
using decant_test::dense_law;

static_assert(decant::ChanceSource<recording_chance<philox_chance>>);

decant::distribution<double> small_law() { return dense_law(std::vector<double>{1, 2, 0, 4}); }

/// A run of mixed draws; what it saw.
template <class Chance>
std::vector<token> run(Chance& chance, std::size_t rounds) {
  const auto law = small_law();
  std::vector<token> seen;
  for (std::size_t i = 0; i < rounds; ++i) {
    seen.push_back(chance.accept(accept_key(i, 1), 0.4, 1.0) ? 1 : 0);
    seen.push_back(chance.pick(sample_key(i), law.view()));
    std::vector<token> children(1 + i % 4);
    children.resize(chance.ordered_sample(draft_key(i, 0), law.view(), std::span<token>(children)));
    seen.insert(seen.end(), children.begin(), children.end());
  }
  return seen;
}

decant::chance_recording record_two_rounds() {
  recording_chance<philox_chance> recorder{{3}};
  static_cast<void>(run(recorder, 2));
  return recorder.recording;
}

std::string message(const decant::result<void>& status) { return status.error().message().c_str(); }

}  // namespace

TEST_CASE("recording changes no draw, replaying repeats them all") {
  philox_chance plain{3};
  recording_chance<philox_chance> recorder{plain};
  const std::vector<token> seen = run(plain, 30);
  CHECK(run(recorder, 30) == seen);
  CHECK(recorder.recording.draws.size() == 90);
  CHECK(recorder.recording.tokens == seen);
  replaying_chance replay(recorder.recording);
  CHECK(run(replay, 30) == seen);
  CHECK(replay.status().has_value());
  CHECK(replay.check_finished().has_value());
}

TEST_CASE("a recording says what was asked and what came out") {
  const auto recording = record_two_rounds();
  REQUIRE(recording.draws.size() == 6);
  CHECK(recording.draws[1].key == sample_key(0));
  CHECK(recording.draws[1].primitive == chance_primitive::pick);
  CHECK(recording.outcome(recording.draws[1])[0] == philox_chance{3}.pick(sample_key(0), small_law().view()));
  CHECK(recording.outcome(recording.draws[5]).size() == 2);
  CHECK(decant::name(recording.draws[5].primitive) == std::string("ordered sample"));
  recording_chance<philox_chance> again{{3}};
  static_cast<void>(run(again, 2));
  CHECK(again.recording == recording);
  again.recording.clear();
  CHECK(again.recording == decant::chance_recording{});
}

TEST_CASE("a replay reports the first draw that differs and goes on") {
  const auto law = small_law();
  const auto recording = record_two_rounds();
  replaying_chance other_key(recording);
  static_cast<void>(other_key.accept(accept_key(0, 2), 0.4, 1.0));
  CHECK(other_key.status().code() == error_code::replay_differs);
  CHECK(message(other_key.status()) ==
        "the run draws something else than its recording holds: "
        "draw number 0 is accept for accept 0/2, recorded was accept for accept 0/1");
  CHECK(run(other_key, 3).size() >= 9);  // some legal outcome each
  CHECK(message(other_key.status()).find("accept 0/2") != std::string::npos);

  replaying_chance other_primitive(recording);
  CHECK(law.view().weight_of(other_primitive.pick(accept_key(0, 1), law.view())) > 0);
  CHECK(message(other_primitive.status()) ==
        "the run draws something else than its recording holds: "
        "draw number 0 is pick for accept 0/1, recorded was accept for accept 0/1");
}

TEST_CASE("a replay notices a run that is longer or shorter") {
  const auto recording = record_two_rounds();
  replaying_chance longer(recording);
  static_cast<void>(run(longer, 3));
  CHECK(message(longer.status()).find("draw accept 2/1 is one more than were recorded: 6") != std::string::npos);
  replaying_chance shorter(recording);
  static_cast<void>(run(shorter, 1));
  CHECK(shorter.status().has_value());
  CHECK(message(shorter.check_finished()).find("the run ended after draw 3 of 6") != std::string::npos);
}

TEST_CASE("a recorded outcome that has no probability here is a disagreement") {
  const auto law = small_law();
  decant::chance_recording recording;
  const token accepted = 1;
  const token refused = 0;
  const token impossible = 2;
  recording.add(accept_key(0, 1), chance_primitive::accept, {&accepted, 1});
  replaying_chance never(recording);
  CHECK_FALSE(never.accept(accept_key(0, 1), 0.0, 1.0));
  CHECK(never.status().code() == error_code::replay_differs);

  recording.clear();
  recording.add(accept_key(0, 1), chance_primitive::accept, {&refused, 1});
  replaying_chance always(recording);
  CHECK(always.accept(accept_key(0, 1), 1.0, 1.0));
  CHECK(always.status().code() == error_code::replay_differs);

  recording.clear();
  recording.add(sample_key(0), chance_primitive::pick, {&impossible, 1});
  replaying_chance pick(recording);
  CHECK(pick.pick(sample_key(0), law.view()) == 0);
  CHECK(message(pick.status()).find("draw sample 0/0 has a recorded outcome of probability 0: token 2") !=
        std::string::npos);

  recording.clear();
  recording.add(draft_key(0, 0), chance_primitive::ordered_sample, std::vector<token>{3, 1});
  std::vector<token> room(1);
  replaying_chance narrow(recording);
  CHECK(narrow.ordered_sample(draft_key(0, 0), law.view(), std::span<token>(room)) == 1);
  CHECK(message(narrow.status()).find("asks for fewer tokens than were recorded: 1") != std::string::npos);
  const auto small = dense_law(std::vector<double>{1, 1});
  room.resize(3);
  replaying_chance missing(recording);
  CHECK(missing.ordered_sample(draft_key(0, 0), small.view(), std::span<token>(room)) == 2);
  CHECK(missing.status().code() == error_code::replay_differs);
}
