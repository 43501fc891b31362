// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/control/calibrate.hpp>
#include <decant/model/law_model.hpp>
#include <decant/model/laws.hpp>
#include <decant/model/simulated_engine.hpp>

#include "tests/support/random.hpp"
#include "tests/support/test_kit.hpp"

using namespace decant;
using decant_test::near;

namespace {

auto toy_model(std::size_t context) { return make_law_model(shifted_law<float>::toy_a_target(0), context); }

/// Shows the simulated time in seconds, with disturbances if asked for.
struct simulated_clock {
  const virtual_clock* time;
  double plain_seconds;

  [[nodiscard]] double now() const { return time->now * plain_seconds; }
};

struct standing_clock {
  [[nodiscard]] double now() const { return 0; }
};

/// An engine whose passes now and then take much longer.
template <class M>
class disturbed_engine : public model_wrapper<M> {
 public:
  disturbed_engine(M&& model, virtual_clock& time) : model_wrapper<M>(std::forward<M>(model)), time_(&time) {}
  using typename model_wrapper<M>::rows_type;
  result<rows_type> evaluate(const token_tree& tree, node_span nodes) {
    if (random_.coin(0.2)) time_->advance(random_.uniform(1, 5));
    return model_wrapper<M>::evaluate(tree, nodes);
  }

 private:
  virtual_clock* time_;
  decant_test::random_source random_{9};
};
template <class M>
disturbed_engine(M&&, virtual_clock&) -> disturbed_engine<M>;

}  // namespace

TEST_CASE("calibration finds the cost curve of an engine") {
  for (const cost_curve& truth : {cost_curve::cpu_like(), cost_curve::flat()}) {
    virtual_clock time;
    simulated_engine engine(toy_model(1024), truth, time);
    const auto found = calibrate(engine, simulated_clock{&time, 0.001});
    REQUIRE(found.has_value());
    CHECK(near(found->plain_seconds, 0.001, 1e-9));
    CHECK(found->context == 256);
    REQUIRE(found->curve.points.size() == calibrated_sizes.size());
    for (const cost_point& point : found->curve.points) CHECK(near(point.time, truth.time(point.nodes), 1e-6));
    CHECK(engine.length() == 0);
  }
}

TEST_CASE("disturbances do not reach the curve") {
  virtual_clock time;
  simulated_engine engine(toy_model(1024), cost_curve::flat(), time);
  disturbed_engine disturbed(engine, time);
  const auto found = calibrate(disturbed, simulated_clock{&time, 0.0001});
  REQUIRE(found.has_value());
  for (const cost_point& point : found->curve.points) {
    CHECK(near(point.time, cost_curve::flat().time(point.nodes), 1e-6));
  }
}

TEST_CASE("calibration keeps to its time, and leaves the largest sizes out") {
  const calibration_settings settings;
  for (const double plain_seconds : {0.0001, 0.01, 0.1, 0.5}) {
    virtual_clock time;
    simulated_engine engine(toy_model(1024), cost_curve::cpu_like(), time);
    const auto found = calibrate(engine, simulated_clock{&time, plain_seconds}, settings);
    INFO(plain_seconds);
    REQUIRE(found.has_value());
    // One chunk of the context, one warm-up pass and one measured pass may be over the time.
    const double chunk = cost_curve::cpu_like().time(32) * plain_seconds;
    CHECK(time.now * plain_seconds <= settings.context_seconds + settings.seconds + chunk + 2 * plain_seconds);
    CHECK(found->curve.points.front() == cost_point{1, 1.0});
    CHECK((found->curve.points.size() == calibrated_sizes.size()) == (plain_seconds < 0.005));
    CHECK(found->curve.check());
  }
}

TEST_CASE("a model that holds text is measured as it is, and gets its text back") {
  virtual_clock time;
  simulated_engine engine(toy_model(1024), cost_curve::flat(), time);
  const std::vector<token> text(300, 1);
  REQUIRE(engine.prefill(text));
  const auto found = calibrate(engine, simulated_clock{&time, 0.001});
  REQUIRE(found.has_value());
  CHECK(found->context == 300);
  CHECK(engine.length() == 300);
}

TEST_CASE("a small context leaves room for fewer sizes, a full one for none") {
  virtual_clock time;
  simulated_engine engine(toy_model(10), cost_curve::flat(), time);
  const auto found = calibrate(engine, simulated_clock{&time, 0.001});
  REQUIRE(found.has_value());
  CHECK(found->context == 0);
  CHECK(found->curve.points.back().nodes == 8);
  const std::vector<token> text(10, 1);
  REQUIRE(engine.prefill(text));
  CHECK(calibrate(engine, simulated_clock{&time, 0.001}).code() == error_code::context_full);
}

TEST_CASE("a clock that stands still is an error") {
  auto model = toy_model(256);
  calibration_settings settings;
  settings.repetitions = 2;
  CHECK(calibrate(model, standing_clock{}, settings).code() == error_code::invalid_argument);
}
