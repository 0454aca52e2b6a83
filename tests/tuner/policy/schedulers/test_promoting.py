"""Decisions by hand where they can be, properties over whole searches where they cannot."""

import math
import random
from dataclasses import replace
from statistics import median
from types import SimpleNamespace

import pytest

from tests.tuner.policy import playing
from tests.tuner.policy.playing import Noted
from tuner.policy.candidates import SpaceSource
from tuner.policy.decision import PAUSE, PROMOTE, STOP
from tuner.policy.halving import HalvingConfig
from tuner.policy.outcomes import Outcome
from tuner.policy.policy import NoWork, Promote, Start
from tuner.policy.samplers.prediction import LastPrediction, LastValues
from tuner.policy.schedulers.promoting import PromotingPolicy
from tuner.policy.simulation import SimulatedSearch

RUNGS, LONGEST = (1, 3), 9


def space(trial):
    return {"x": trial.suggest_float("x", 0.0, 1.0), "kind": trial.suggest_categorical("kind", ("a", "b"))}


def coin(trial):
    return {"side": trial.suggest_categorical("side", ("heads", "tails"))}


SOURCE = SpaceSource(space)
CONFIG = HalvingConfig(
    rung_epochs=RUNGS, max_epochs=LONGEST, reduction_factor=3, mode="max", slots=1, seed=0, num_trials=12
)

DEFAULT_TRIAL = "00000-00000000"


def make(asked=space, *, first=(), **changed):
    return PromotingPolicy(SpaceSource(asked), replace(CONFIG, **changed), first=first)


def quality(params, epoch):
    return (1 - (params["x"] - 0.7) ** 2 + 0.1 * (params["kind"] == "b")) * (1 - 0.5**epoch)


def begun(policy, *trials, kind="a"):
    """Trials at these places with these values at the first rung, by name."""
    for trial, x, value in trials:
        policy.start(trial, SOURCE.of({"x": x, "kind": kind}))
        policy.report(trial, epoch=1, value=value)
    return policy


def played(policy, *, slots=1, value=quality, bad=lambda params: False):
    """The search once it is over; those that are bad diverge in their second epoch."""
    search = SimulatedSearch(
        Noted(policy),
        slots=slots,
        max_epochs=LONGEST,
        value=lambda t: math.nan if t.epoch == 2 and bad(t.candidate.params) else value(t.candidate.params, t.epoch),
        seconds=lambda trial, begins: 1.0 + trial.candidate.params.get("x", 0.5),
    )
    search.run()
    return SimpleNamespace(
        policy=policy,
        trials=search.trials,
        params=[trial.candidate.params for trial in search.trials],
        params_of={trial.name: trial.candidate.params for trial in search.trials},
        epochs={trial.name: trial.epoch for trial in search.trials},
        calls=search.policy.calls,
    )


def test_the_given_configurations_come_first():
    first = [SOURCE.of({"x": 0.25, "kind": "b"}), SOURCE.of({"x": 0.5, "kind": "a"})]
    assert played(make(first=first)).params[:2] == [one.params for one in first]


def test_nothing_is_promoted_until_enough_is_known():
    policy = make(num_trials=8)
    for number in range(4):
        work = policy.next_work()
        assert isinstance(work, Start)
        policy.start(f"t{number}", work.candidate)
        policy.report(f"t{number}", epoch=1, value=float(number))
    assert isinstance(policy.next_work(), Promote)


def test_of_equal_configurations_but_for_luck_the_better_measured_is_promoted():
    policy = begun(make(num_trials=4, reduction_factor=2), ("bad", 0.1, 0.2), ("good", 0.9, 0.8))
    assert policy.next_work() == Promote("good")


def test_lower_is_better_when_the_mode_says_so():
    policy = begun(make(num_trials=4, mode="min", reduction_factor=2), ("bad", 0.1, 0.8), ("good", 0.9, 0.2))
    assert policy.next_work() == Promote("good")
    assert policy.finalists() == ("good",)


class Contrary(LastValues):
    """Predicts the best of what was measured worst."""

    def predict(self, rungs, contenders):
        measured = super().predict(rungs, contenders).predicted
        return LastPrediction(predicted={trial: -value for trial, value in measured.items()})


def at_full_length(policy, trial, value):
    policy.promote(Promote(trial, to_epoch=LONGEST))
    policy.report(trial, epoch=LONGEST, value=value)
    policy.end(trial, Outcome.COMPLETED)


def test_the_best_predicted_and_the_best_measured_beside_the_default_get_their_full_length_until_these_have_it():
    default = SOURCE.of({"x": 0.0, "kind": "a"})
    policy = PromotingPolicy(SOURCE, replace(CONFIG, num_trials=4), first=[default], predictor=Contrary())
    assert policy.finalists() == ()
    begun(policy, ("default", 0.0, 0.9), ("good", 0.5, 0.8), ("fair", 0.3, 0.7), ("poor", 0.9, 0.1))
    assert policy.finalists() == ("poor", "good")
    at_full_length(policy, "default", 0.95)
    at_full_length(policy, "good", 0.5)
    assert policy.finalists() == ("poor", "fair")
    at_full_length(policy, "fair", 0.7)
    assert policy.finalists() == ("poor", "fair")


def test_a_default_that_is_predicted_best_is_no_reason_to_train_no_other():
    default = SOURCE.of({"x": 0.0, "kind": "a"})
    policy = PromotingPolicy(SOURCE, replace(CONFIG, num_trials=4), first=[default], predictor=LastValues())
    begun(policy, ("default", 0.0, 0.9), ("good", 0.5, 0.8))
    assert policy.finalists() == ("default", "good")


def test_the_last_value_makes_a_finalist_not_one_of_before_that_was_luckier():
    policy = PromotingPolicy(SOURCE, replace(CONFIG, num_trials=4), predictor=Contrary())
    begun(policy, ("lucky", 0.1, 0.6), ("steady", 0.9, 0.5), ("poor", 0.5, 0.1))
    assert policy.finalists()[-1] == "lucky"
    policy.promote(Promote("lucky"))
    policy.report("lucky", epoch=3, value=0.4)
    assert policy.finalists()[-1] == "steady"


def test_the_default_and_both_finalists_are_trained_at_the_same_time_where_slots_are_free():
    default = SOURCE.of({"x": 0.0, "kind": "a"})
    policy = PromotingPolicy(SOURCE, replace(CONFIG, num_trials=3, slots=4), first=[default], predictor=Contrary())
    begun(policy, ("default", 0.0, 0.5), ("good", 0.5, 0.8), ("poor", 0.9, 0.1))
    policy.close()
    promoted = []
    while isinstance(work := policy.next_work(), Promote):
        policy.promote(work)
        promoted.append((work.trial, work.to_epoch))
    assert promoted == [("default", LONGEST), ("poor", LONGEST), ("good", LONGEST)]


def test_no_more_run_at_a_time_than_there_are_slots():
    policy = make(slots=2)
    for number in range(2):
        policy.start(f"t{number}", policy.next_work().candidate)
    assert policy.next_work() is NoWork.WAIT


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("seed", range(4))
def test_a_search_ends_with_its_finalists_at_full_length_and_nothing_running(slots, seed):
    search = played(make(slots=slots, seed=seed), slots=slots)
    assert len(search.trials) == 12
    assert len({tuple(params.items()) for params in search.params}) == 12
    assert not search.policy.rungs.running
    assert {search.epochs[trial] for trial in search.policy.finalists()} == {LONGEST}
    assert search.policy.next_work() is NoWork.FINISHED


@pytest.mark.parametrize("seed", range(4))
def test_no_trial_is_left_waiting_that_would_be_best_if_it_lost_as_much_as_the_others(seed):
    luck = random.Random(seed)
    drawn = {}

    def noisy(params, epoch):
        return drawn.setdefault((*params.values(), epoch), quality(params, epoch) + luck.gauss(0.0, 0.3))

    search = played(make(slots=2, seed=seed), slots=2, value=noisy)
    full = [trial.candidate.params for trial in search.trials if trial.epoch == LONGEST]
    best = max(noisy(params, LONGEST) for params in full)
    for trial in search.trials:
        lost = median(noisy(params, trial.epoch) - noisy(params, LONGEST) for params in full)
        assert noisy(trial.candidate.params, trial.epoch) - max(0.0, lost) <= best


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize(("predictor", "trained"), [(LastValues(), 4), (None, 3 + 1 + 4)])
def test_values_that_fall_with_the_epochs_are_no_reason_to_train_all_trials(predictor, trained, slots):
    """A ninth by promotions, the default and four finalists at most."""
    policy = PromotingPolicy(SOURCE, replace(CONFIG, num_trials=30, slots=slots), predictor=predictor)
    search = played(policy, slots=slots, value=lambda params, epoch: 0.1 * params["x"] - 0.05 * epoch)
    assert list(search.epochs.values()).count(LONGEST) <= trained


class Hopeful(LastValues):
    """Predicts that each trial becomes better than all that have come to their full length."""

    def predict(self, rungs, contenders):
        done = rungs.values[LONGEST]
        measured = super().predict(rungs, contenders).predicted
        return LastPrediction(predicted={trial: value + (trial not in done) for trial, value in measured.items()})


def promoted_to_full_length(policy, *, bad=(), outcome=Outcome.COMPLETED):
    """The number of trials that are promoted until nothing is left to do; those that are bad have another outcome."""
    count = 0
    while isinstance(work := policy.next_work(), Promote):
        policy.promote(work)
        if work.trial not in bad:
            policy.report(work.trial, epoch=LONGEST, value=0.5)
        policy.end(work.trial, outcome if work.trial in bad else Outcome.COMPLETED)
        count += 1
    return count


def test_four_trials_at_most_are_finalists_until_more_trials_begin():
    default = SOURCE.of({"x": 0.0, "kind": "a"})
    policy = PromotingPolicy(SOURCE, replace(CONFIG, num_trials=9), first=[default], predictor=Hopeful())
    begun(policy, ("default", 0.0, 0.9), *((f"t{number}", number / 10, 0.5) for number in range(1, 8)))
    policy.close()
    assert promoted_to_full_length(policy) == 1 + 4
    begun(policy, ("late", 0.95, 0.3))
    assert promoted_to_full_length(policy) == 4


@pytest.mark.parametrize("outcome", [Outcome.DIVERGED, Outcome.FAILED])
def test_a_finalist_that_ends_badly_on_the_way_leaves_its_place_to_another(outcome):
    default = SOURCE.of({"x": 0.0, "kind": "a"})
    policy = PromotingPolicy(SOURCE, replace(CONFIG, num_trials=9), first=[default], predictor=Hopeful())
    begun(policy, ("default", 0.0, 0.9), *((f"t{number}", number / 10, 0.5) for number in range(1, 8)))
    policy.close()
    assert promoted_to_full_length(policy, bad=("t4", "t5", "t6", "t7"), outcome=outcome) == 1 + 4 + 3


def test_a_trial_that_was_stopped_takes_no_other_ones_place_among_the_finalists():
    default = SOURCE.of({"x": 0.0, "kind": "a"})
    policy = PromotingPolicy(SOURCE, replace(CONFIG, num_trials=4), first=[default], predictor=Contrary())
    begun(policy, ("default", 0.0, 0.5), ("good", 0.5, 0.8), ("fair", 0.3, 0.6), ("poor", 0.9, 0.2), ("last", 0.8, 0.1))
    for trial in ("good", "last"):
        policy.end(trial, Outcome.STOPPED_AT_RUNG)
    assert policy.finalists() == ("poor", "fair")


def test_predictions_lead_towards_the_best_configuration():
    search = played(make(num_trials=40))
    late = search.params[25:]
    assert sum(params["kind"] == "b" and abs(params["x"] - 0.7) < 0.2 for params in late) >= 8
    assert quality(search.params_of[search.policy.finalists()[0]], LONGEST) > 0.99 * 1.1 * (1 - 0.5**9)


def test_what_the_first_rung_cannot_tell_is_not_explored_for_ever():
    """No trial of kind a is promoted, so its value at full length stays uncertain; that must not attract for good."""
    late = [params["kind"] for params in played(make(num_trials=40)).params[25:]]
    assert late.count("a") <= 3


def test_what_diverges_is_never_promoted_again_and_late_proposals_avoid_it():
    search = played(make(num_trials=40), bad=lambda params: params["x"] > 0.5)
    assert all(trial.epoch <= 2 for trial in search.trials if trial.candidate.params["x"] > 0.5)
    assert sum(params["x"] > 0.55 for params in search.params[25:]) <= 4


def test_a_trial_that_failed_without_blame_cannot_win():
    policy = begun(make(num_trials=4), ("poor", 0.1, 0.2), ("lost", 0.9, 0.8))
    policy.end("lost", Outcome.FAILED)
    assert policy.finalists() == ("poor",)


def test_a_space_that_is_exhausted_ends_the_search_without_a_duplicate():
    values = {"heads": 0.5, "tails": 0.6}
    search = played(make(coin, num_trials=8), value=lambda params, epoch: values[params["side"]])
    assert sorted(params["side"] for params in search.params) == ["heads", "tails"]
    assert search.params_of[search.policy.finalists()[0]] == {"side": "tails"}


@pytest.mark.parametrize("longest", [1, 4])
def test_without_rungs_every_trial_trains_to_its_full_length(longest):
    policy = make(rung_epochs=(), max_epochs=longest, num_trials=30)
    for number in range(30):
        work = policy.next_work()
        policy.start(f"t{number}", work.candidate)
        assert policy.report(f"t{number}", epoch=longest, value=quality(work.candidate.params, longest)) is None
        policy.end(f"t{number}", Outcome.COMPLETED)
    assert policy.next_work() is NoWork.FINISHED
    assert policy.finalists()


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_the_default_is_trained_to_its_full_length_however_poor(seed, slots):
    poor = SOURCE.of({"x": 0.0, "kind": "a"})
    search = played(make(first=[poor], seed=seed, slots=slots), slots=slots)
    assert search.params[0] == poor.params
    assert {search.epochs[trial] for trial in (DEFAULT_TRIAL, *search.policy.finalists())} == {LONGEST}


@pytest.mark.parametrize("seed", range(3))
def test_a_default_that_is_best_is_compared_with_the_best_of_the_others_at_full_length(seed):
    """Too few trials for a promotion by the quota: one in four of three."""
    best = SOURCE.of({"x": 0.7, "kind": "b"})
    search = played(make(first=[best], num_trials=3, reduction_factor=4, seed=seed))
    full = [trial.candidate.params for trial in search.trials if trial.epoch == LONGEST]
    waited = [trial.candidate.params for trial in search.trials if trial.epoch < LONGEST]
    assert full[0] == best.params
    assert len(full) == 2
    assert all(quality(full[1], 1) >= quality(params, 1) for params in waited)


@pytest.mark.parametrize("seed", range(3))
def test_no_slot_rests_while_the_default_has_epochs_to_go(seed):
    """When all have begun nothing else is worth its while, and the finalists are settled when nothing runs."""
    policy = make(first=[SOURCE.of({"x": 0.0, "kind": "a"})], seed=seed, slots=3)
    default_epochs = [0]

    def value(params, epoch):
        running = policy.rungs.running
        assert len(running) == 3 or DEFAULT_TRIAL in running or default_epochs[-1] == LONGEST
        default_epochs.extend([epoch] if params["x"] == 0.0 else [])
        return quality(params, epoch)

    search = played(policy, slots=3, value=value)
    assert {search.epochs[trial] for trial in (DEFAULT_TRIAL, *search.policy.finalists())} == {LONGEST}


def test_a_promotion_follows_a_pause_at_the_same_rung_and_says_what_was_predicted():
    first = [SOURCE.of({"x": 0.0, "kind": "a"})]
    decisions = [(call[1], call[-1]) for call in played(make(first=first, num_trials=20)).calls if call[-1] is not None]
    paused = set()
    for named, decision in decisions:
        if decision.action == PAUSE:
            paused.add((named, decision.epoch))
            assert decision.predicted is None
        else:
            assert decision.action == PROMOTE
            assert (named.trial, decision.epoch) in paused
            assert decision.predicted is not None
            assert 1 <= decision.rank <= decision.of
            assert decision.to_epoch in (None, LONGEST)
    assert {decision.rung for _, decision in decisions} == {1, 2}


def test_a_decision_says_rank_and_value_in_the_words_of_the_objective():
    policy = begun(make(num_trials=4, mode="min"), ("a", 0.1, 0.8), ("b", 0.9, 0.2))
    policy.start("c", SOURCE.of({"x": 0.5, "kind": "a"}))
    decision = policy.report("c", epoch=1, value=0.5)
    assert (decision.value, decision.rank, decision.of, decision.action) == (0.5, 2, 3, PAUSE)
    stopped = policy.decision_on("a", STOP)
    assert (stopped.value, stopped.rank, stopped.of, stopped.action) == (0.8, 3, 3, STOP)
    assert stopped.predicted == pytest.approx(0.8, abs=0.3)


def test_ranks_are_those_among_the_trials_of_this_search():
    policy = make()
    policy.add_past_trial("past/0", SOURCE.of({"x": 0.6, "kind": "b"}), {1: 0.9}, Outcome.STOPPED_AT_RUNG)
    policy.start("own", SOURCE.of({"x": 0.5, "kind": "a"}))
    decision = policy.report("own", epoch=1, value=0.5)
    assert len(policy.rungs.values[1]) == 2
    assert (decision.rung, decision.rank, decision.of) == (1, 1, 1)
    assert policy.finalists() == ("own",)


def test_a_past_trial_is_not_tried_again_but_the_default_is_another_search_s_matter():
    one = SOURCE.of({"x": 0.6, "kind": "b"})
    policy = make(first=[SOURCE.of({"x": 0.1, "kind": "a"}), one], num_trials=6)
    policy.add_past_trial("past/0", one, {1: 0.9}, Outcome.STOPPED_AT_RUNG)
    search = played(policy)
    assert search.params[0] == {"x": 0.1, "kind": "a"}
    assert len(search.params) == 6
    assert one.params not in search.params


ENDINGS = [
    (Outcome.DIVERGED, [0.5, 0.6, 0.7], False),
    (Outcome.DIVERGED, [0.5], False),
    (Outcome.DIVERGED, [], False),
    (Outcome.OUT_OF_MEMORY, [0.5, 0.6, 0.7, 0.8], False),
    (Outcome.EXPERTS_COLLAPSED, [0.5, 0.6, 0.7], True),
    (Outcome.PLATEAUED, [0.5, 0.6, 0.7, 0.7], True),
    (Outcome.PLATEAUED, [0.5, 0.6, 0.6], True),
    (Outcome.STOPPED_AT_RUNG, [0.5, 0.6, 0.7], True),
    (Outcome.COMPLETED, [0.1 * epoch for epoch in range(1, LONGEST + 1)], True),
]
"""With what was measured, and whether the trial ended with its last value: else it was on its way to another."""


@pytest.mark.parametrize(("outcome", "values", "ends_with_last"), ENDINGS)
def test_what_is_learned_of_a_past_trial_is_what_was_seen_of_it_live(outcome, values, ends_with_last):
    candidate, others = (
        SOURCE.of({"x": 0.3, "kind": "a"}),
        [(f"o{number}", number / 9, number / 9) for number in range(9)],
    )
    live = begun(make(), *others)
    live.start("a", candidate)
    for epoch, value in enumerate(values, start=1):
        live.report("a", epoch=epoch, value=value)
        if "a" in live.paused and not (ends_with_last and epoch == len(values)):
            live.promote(Promote("a"))
    live.end("a", outcome)
    past = begun(make(), *others)
    past.add_past_trial("a", candidate, dict(enumerate(values, start=1)), outcome)
    for epoch in live.rungs.epochs:
        assert past.rungs.values[epoch] == live.rungs.values[epoch]
    assert past.rungs.num_values == live.rungs.num_values > 9
    assert past.forecast.predicted() == live.forecast.predicted()
    assert past.paused == live.paused


def test_without_room_the_worst_prediction_goes_first_and_the_default_last():
    default = SOURCE.of({"x": 0.0, "kind": "a"})
    policy = make(first=[default])
    begun(policy, ("default", 0.0, 0.1), ("good", 0.9, 0.9), ("fair", 0.6, 0.6), ("last", 0.3, 0.2))
    evicted = []
    while (trial := policy.trial_to_evict(kept={"fair"})) is not None:
        assert policy.decision_on(trial, STOP).action == STOP
        policy.end(trial, Outcome.STOPPED_AT_RUNG)
        evicted.append(trial)
    assert evicted[0] == "last"
    assert set(evicted) == {"last", "default", "good"}
    assert policy.paused == {"fair": 1}


def test_a_trial_that_ended_badly_keeps_no_value():
    policy = make()
    policy.start("a", SOURCE.of({"x": 0.5, "kind": "a"}))
    policy.end("a", Outcome.DIVERGED)
    assert policy.rungs.values[1] == {"a": -math.inf}
    assert policy.forecast.predicted() == {}
    assert policy.finalists() == ()


def test_a_search_whose_trials_all_diverge_ends():
    search = played(make(), bad=lambda params: True)
    assert len(search.trials) == 12
    assert search.policy.next_work() is NoWork.FINISHED


def test_with_random_proposals_the_best_value_at_a_rung_goes_on_and_no_model_predicts():
    policy = playing.make("asha random", reduction_factor=2, num_trials=8, slots=8)
    values = {"a": 0.1, "b": 0.4, "c": 0.3, "d": 0.2}
    for number, (trial, value) in enumerate(values.items()):
        policy.start(trial, playing.SOURCE.of(playing.DEFAULT | {"layers": number + 1}))
        assert policy.report(trial, epoch=1, value=value).action == PAUSE
    promoted = []
    while isinstance(work := policy.next_work(), Promote):
        told = policy.decision_on(work.trial, PROMOTE)
        promoted.append((work.trial, told.rank, told.predicted))
        policy.promote(work)
    assert promoted == [("b", 1, None), ("c", 2, None)]
