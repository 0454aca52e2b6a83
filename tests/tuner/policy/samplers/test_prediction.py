"""Predictions at full length from what was measured at rungs."""

import math
import random
from itertools import pairwise

import numpy as np
import pytest

from tests.tuner.policy.playing import DEFAULT, SOURCE
from tuner.policy.promotion_rungs import PromotionRungs
from tuner.policy.samplers.prediction import MAX_EXPECTED, REFIT_GROWTH, GaussianProcessPredictor

RUNGS, LONGEST = (1, 3), 9


def level(answers):
    return 0.9 - 0.1 * math.log10(answers["rate"] / 1e-2) ** 2


def taught(num_trials, *, full=2, after_each=lambda predictor, rungs: None):
    """A predictor and the rungs of trials over a range of rates; every `full`-th at its full length."""
    predictor, rungs = GaussianProcessPredictor(LONGEST), PromotionRungs(RUNGS, max_epochs=LONGEST, reduction_factor=3)
    for number, rate in enumerate(np.geomspace(1e-4, 1e-1, num_trials)):
        candidate = SOURCE.of(DEFAULT | {"rate": float(rate)})
        predictor.add(f"t{number}", candidate)
        rungs.start(f"t{number}")
        for epoch in (1, 3, 9) if number % full == 0 else (1,):
            rungs.report(f"t{number}", epoch=epoch, value=level(candidate.answers) * (1 - 0.6**epoch))
            if epoch < (9 if number % full == 0 else 1):
                rungs.promote(f"t{number}")
        predictor.fit(rungs)
        after_each(predictor, rungs)
    return predictor, rungs


def test_trials_of_the_first_rung_are_predicted_from_those_that_came_further():
    predictor, rungs = taught(20)
    names = [f"t{number}" for number in range(20)]
    predicted = predictor.predict(rungs, names).predicted
    rates = np.geomspace(1e-4, 1e-1, 20)
    expected = [level({"rate": rate}) * (1 - 0.6**LONGEST) for rate in rates]
    np.testing.assert_allclose([predicted[name] for name in names], expected, atol=0.04)
    predicted = predictor.predict(rungs, names).predicted
    assert max(predicted, key=predicted.get) in ("t12", "t13", "t14")


def test_the_best_is_expected_to_improve_where_it_is_not_known():
    predictor, rungs = taught(20)
    prediction = predictor.predict(rungs, [f"t{number}" for number in range(20)])
    gain = prediction.improvement(["t13", "t1"])
    assert gain[0] > 3 * gain[1] >= 0


def test_a_neighbour_of_a_trial_is_no_new_chance_however_uncertain_the_trial():
    """Measured at the first rung alone, the best trial may become much better; its neighbour becomes so with it."""
    predictor, rungs = taught(20, full=30)
    prediction = predictor.predict(rungs, [f"t{number}" for number in range(20)])
    best = max(prediction.predicted, key=prediction.predicted.get)
    rate = float(np.geomspace(1e-4, 1e-1, 20)[int(best[1:])])
    near, elsewhere = (SOURCE.of(DEFAULT | {"rate": rate * 1.01} | other) for other in ({}, {"layers": 6}))
    gain = prediction.improvement_if_new([near, elsewhere])
    assert gain[0] < 0.02 * gain[1]
    assert gain[0] < 0.02 * prediction.improvement([best])[0]


def test_what_a_trial_reports_between_two_rungs_is_known_before_it_arrives():
    predictor, rungs = taught(20, full=30)
    rungs.promote("t3")
    names = [f"t{number}" for number in range(20)]
    before = predictor.predict(rungs, names).predicted["t3"]
    expected = {}
    for value in (0.2, 0.9):
        rungs.report("t3", epoch=2, value=value)
        expected[value] = predictor.predict(rungs, names).predicted["t3"]
    assert expected[0.2] < before < expected[0.9]


def test_an_earlier_epoch_between_two_rungs_is_forgotten_for_a_later_one_and_at_the_rung():
    predictor, rungs = taught(20, full=30)
    rungs.promote("t3")
    for epoch, value in ((2, 0.0), (3, 0.4)):
        rungs.report("t3", epoch=epoch, value=value)
    straight, others = taught(20, full=30)
    others.promote("t3")
    others.report("t3", epoch=3, value=0.4)
    names = [f"t{number}" for number in range(20)]
    assert predictor.predict(rungs, names).predicted == straight.predict(others, names).predicted


@pytest.mark.parametrize("num_candidates", [1, 32, 100])
def test_candidates_come_in_the_order_of_their_improvement_over_every_trial(num_candidates):
    """The order is found with fewer comparisons than the improvements themselves."""
    predictor, rungs = taught(20, full=30)
    prediction = predictor.predict(rungs, [f"t{number}" for number in range(20)])
    generator = random.Random(0)
    candidates = [SOURCE.any(generator) for _ in range(num_candidates)]
    gains = prediction.improvement_if_new(candidates)
    found = [candidates.index(candidate) for candidate in prediction.best_first(candidates)]
    assert sorted(found) == list(range(num_candidates))
    np.testing.assert_allclose(gains[found], np.sort(gains)[::-1], rtol=1e-6, atol=1e-12)


def test_predictions_can_be_asked_for_before_anything_was_fitted():
    predictor, rungs = GaussianProcessPredictor(LONGEST), PromotionRungs(RUNGS, max_epochs=LONGEST, reduction_factor=3)
    for trial, rate, value in (("a", 1e-2, 0.8), ("b", 1e-4, 0.2)):
        predictor.add(trial, SOURCE.of(DEFAULT | {"rate": rate}))
        rungs.start(trial)
        rungs.report(trial, epoch=1, value=value)
    predicted = predictor.predict(rungs, ["a", "b"]).predicted
    assert 0.8 >= predicted["a"] > predicted["b"] >= 0.2


def test_predicting_changes_nothing():
    asked, never = taught(8), taught(8)
    for number in range(8):
        asked[0].predict(asked[1], [f"t{number}"])
    for predictor, rungs in (asked, never):
        for number in range(8, 16):
            predictor.add(f"t{number}", SOURCE.of(DEFAULT | {"rate": 1e-3 * number}))
            rungs.start(f"t{number}")
            rungs.report(f"t{number}", epoch=1, value=0.1 * number)
            predictor.fit(rungs)
    names = [f"t{number}" for number in range(16)]
    assert asked[0].predict(asked[1], names).predicted == never[0].predict(never[1], names).predicted


def test_scales_are_fitted_again_when_the_values_have_grown_enough_or_a_parameter_is_new():
    scales = []

    def note(predictor, rungs):
        scales.append((rungs.num_values, predictor.predict(rungs, ["t0"]).gaussian_process.theta))

    predictor, rungs = taught(40, full=100, after_each=note)
    changes = [now for (_, before), (now, after) in pairwise(scales) if not np.array_equal(before, after)]
    assert len(changes) > 5
    assert all(later >= REFIT_GROWTH * earlier for earlier, later in pairwise(changes))
    assert changes[-1] * REFIT_GROWTH > rungs.num_values
    predictor.add("new", SOURCE.of(DEFAULT | {"kind": "mixed", "experts": 8, "top_k": 1}))
    predictor.fit(rungs)
    assert len(predictor.predict(rungs, ["t0"]).gaussian_process.theta) > len(scales[-1][1])


def test_a_running_trial_counts_as_if_it_had_its_prediction():
    """Beside it little is left to be gained."""
    gains = []
    for is_running in (False, True):
        predictor, rungs = taught(20)
        for name in ("waiting", "running"):
            predictor.add(name, SOURCE.of(DEFAULT | {"rate": 1e-2, "layers": 6}))
            rungs.start(name)
            rungs.report(name, epoch=1, value=0.35)
        if is_running:
            rungs.promote("running", to_epoch=LONGEST)
        predictor.fit(rungs)
        names = [*(f"t{number}" for number in range(20)), "waiting"]
        gains.append(predictor.predict(rungs, names).improvement(["waiting"])[0])
    assert gains[1] < 0.5 * gains[0]


def test_no_running_configuration_is_a_new_chance_however_many_run():
    """The process expects values of the latest alone; the comparison with every trial that began covers the rest."""
    predictor, rungs = taught(20)
    running = [SOURCE.any(random.Random(number)) for number in range(3 * MAX_EXPECTED)]
    for number, candidate in enumerate(running):
        predictor.add(f"running{number}", candidate)
        rungs.start(f"running{number}")
    prediction = predictor.predict(rungs, [f"t{number}" for number in range(20)])
    fresh = [SOURCE.any(random.Random(1_000 + number)) for number in range(50)]
    assert prediction.improvement_if_new(running).max() < 1e-3 < prediction.improvement_if_new(fresh).max()


@pytest.mark.parametrize("value", [0.5, -math.inf])
def test_values_that_cannot_be_told_apart_predict_something_finite(value):
    predictor, rungs = GaussianProcessPredictor(LONGEST), PromotionRungs(RUNGS, max_epochs=LONGEST, reduction_factor=3)
    for trial, rate in (("a", 1e-2), ("b", 1e-3)):
        predictor.add(trial, SOURCE.of(DEFAULT | {"rate": rate}))
        rungs.start(trial)
        rungs.report(trial, epoch=1, value=value)
        predictor.fit(rungs)
    prediction = predictor.predict(rungs, ["a", "b"])
    assert all(map(math.isfinite, prediction.predicted.values()))
    assert np.isfinite(prediction.improvement(["a", "b"])).all()
    assert np.isfinite(prediction.improvement_if_new([SOURCE.of(DEFAULT)])).all()
