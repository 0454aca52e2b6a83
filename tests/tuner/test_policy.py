"""Decisions by hand where they can be, properties over whole searches where they cannot."""

import pickle
import random
from dataclasses import replace

import pytest

from tuner.candidates import SpaceSource
from tuner.policy import Begin, Promote, PromotingPolicy, Rest, Terms

RUNGS, LONGEST = (1, 3), 9


def space(trial):
    return {"x": trial.suggest_float("x", 0.0, 1.0), "kind": trial.suggest_categorical("kind", ("a", "b"))}


def coin(trial):
    return {"side": trial.suggest_categorical("side", ("heads", "tails"))}


TERMS = Terms(rung_epochs=RUNGS, max_epochs=LONGEST, reduction_factor=3, mode="max", slots=1, seed=0, num_trials=12)


def make(asked=space, *, first=(), **changed):
    return PromotingPolicy(SpaceSource(asked), replace(TERMS, **changed), first=first)


def quality(params, epoch):
    return (1 - (params["x"] - 0.7) ** 2 + 0.1 * (params["kind"] == "b")) * (1 - 0.5**epoch)


class Player:
    """Plays a search: does what the policy says, and lets running trials advance in an order that is drawn."""

    def __init__(self, policy, *, bad=lambda params: False, seed=0):
        self.policy, self.bad, self.draw = policy, bad, random.Random(seed)
        self.running, self.epochs, self.params, self.log = [], {}, {}, []

    def play(self, steps=10_000):
        for _ in range(steps):
            while not isinstance(action := self.policy.action(), Rest):
                self.obey(action)
            if action is Rest.FINISHED:
                return self
            self.advance(self.draw.choice(self.running))
        return self

    def obey(self, action):
        if isinstance(action, Begin):
            trial = f"t{len(self.params)}"
            self.policy.begin(trial, action.candidate)
            self.params[trial], self.epochs[trial] = action.candidate.params, 0
            self.log.append((trial, tuple(action.candidate.params.values())))
        else:
            trial = action.trial
            assert trial in self.policy.promotions.paused
            self.policy.promote(action)
            self.log.append((trial, "promoted"))
        self.running.append(trial)
        assert len(self.running) <= 3

    def advance(self, trial):
        self.epochs[trial] += 1
        epoch, params = self.epochs[trial], self.params[trial]
        if epoch == 2 and self.bad(params):
            self.running.remove(trial)
            self.policy.end(trial, is_bad=True)
            return
        if self.policy.record(trial, epoch=epoch, value=quality(params, epoch)):
            self.running.remove(trial)
        if epoch == LONGEST:
            self.policy.end(trial)


def test_the_given_configurations_come_first():
    source = SpaceSource(space)
    first = [source.of({"x": 0.25, "kind": "b"}), source.of({"x": 0.5, "kind": "a"})]
    player = Player(make(first=first)).play()
    assert [player.params[f"t{number}"] for number in range(2)] == [one.params for one in first]


def test_nothing_is_promoted_until_enough_is_known():
    policy = make(num_trials=8)
    for number in range(4):
        action = policy.action()
        assert isinstance(action, Begin)
        policy.begin(f"t{number}", action.candidate)
        policy.record(f"t{number}", epoch=1, value=float(number))
    assert isinstance(policy.action(), Promote)


def test_of_equal_configurations_but_for_luck_the_better_measured_is_promoted():
    policy = make(num_trials=4, reduction_factor=2)
    source = SpaceSource(space)
    for trial, x, value in (("bad", 0.1, 0.2), ("good", 0.9, 0.8)):
        policy.begin(trial, source.of({"x": x, "kind": "a"}))
        policy.record(trial, epoch=1, value=value)
    assert policy.action() == Promote("good")


def test_lower_is_better_when_the_mode_says_so():
    policy = make(num_trials=4, mode="min", reduction_factor=2)
    source = SpaceSource(space)
    for trial, x, value in (("bad", 0.1, 0.8), ("good", 0.9, 0.2)):
        policy.begin(trial, source.of({"x": x, "kind": "a"}))
        policy.record(trial, epoch=1, value=value)
    assert policy.action() == Promote("good")
    assert policy.favourite() == "good"


def test_no_more_run_at_a_time_than_there_are_slots():
    policy = make(slots=2)
    for number in range(2):
        policy.begin(f"t{number}", policy.action().candidate)
    assert policy.action() is Rest.WAIT


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("seed", range(4))
def test_a_search_ends_with_its_favourite_at_full_length_and_nothing_running(slots, seed):
    player = Player(make(slots=slots, seed=seed), seed=seed).play()
    assert len(player.params) == 12
    assert len({tuple(params.items()) for params in player.params.values()}) == 12
    assert not player.policy.promotions.running
    assert player.epochs[player.policy.favourite()] == LONGEST


def test_the_forecast_leads_towards_the_best_configuration():
    player = Player(make(num_trials=40)).play()
    late = [player.params[f"t{number}"] for number in range(25, 40)]
    assert sum(params["kind"] == "b" and abs(params["x"] - 0.7) < 0.2 for params in late) >= 8
    assert quality(player.params[player.policy.favourite()], LONGEST) > 0.99 * 1.1 * (1 - 0.5**9)


def test_what_the_first_rung_cannot_tell_is_not_explored_for_ever():
    """No trial of kind a is promoted, so its value at full length stays uncertain; that must not attract for good."""
    player = Player(make(num_trials=40)).play()
    late = [player.params[f"t{number}"]["kind"] for number in range(25, 40)]
    assert late.count("a") <= 3


def test_a_configuration_that_went_bad_neither_wins_nor_goes_on():
    player = Player(make(num_trials=30), bad=lambda params: params["x"] > 0.5).play()
    assert player.params[player.policy.favourite()]["x"] <= 0.5
    assert all(epoch <= 2 for trial, epoch in player.epochs.items() if player.params[trial]["x"] > 0.5)


def test_late_proposals_avoid_where_configurations_went_bad():
    player = Player(make(num_trials=40), bad=lambda params: params["x"] > 0.5).play()
    late = [player.params[f"t{number}"]["x"] for number in range(25, 40)]
    assert sum(x > 0.55 for x in late) <= 4


def test_a_trial_that_failed_without_blame_cannot_win():
    policy = make(num_trials=4)
    source = SpaceSource(space)
    for trial, x, value in (("poor", 0.1, 0.2), ("lost", 0.9, 0.8)):
        policy.begin(trial, source.of({"x": x, "kind": "a"}))
        policy.record(trial, epoch=1, value=value)
    policy.end("lost", may_win=False)
    assert policy.favourite() == "poor"


def test_a_space_that_is_exhausted_ends_the_search_without_a_duplicate():
    policy = make(coin, num_trials=8)
    values = {"heads": 0.5, "tails": 0.6}
    while (action := policy.action()) is not Rest.FINISHED:
        if isinstance(action, Begin):
            trial = action.candidate.params["side"]
            policy.begin(trial, action.candidate)
            policy.record(trial, epoch=1, value=values[trial])
        else:
            policy.promote(action)
            for epoch in range(2, policy.promotions.running[action.trial] + 1):
                if policy.record(action.trial, epoch=epoch, value=values[action.trial]) and epoch == LONGEST:
                    policy.end(action.trial)
    assert policy.favourite() == "tails"


@pytest.mark.parametrize("steps", [7, 25, 60])
def test_a_search_that_is_saved_and_restored_decides_the_same(steps):
    undisturbed = Player(make(num_trials=20)).play()
    player = Player(make(num_trials=20)).play(steps)
    player.policy = pickle.loads(pickle.dumps(player.policy))
    assert player.play().log == undisturbed.log


def test_asking_twice_changes_nothing():
    policy = make()
    assert policy.action() is policy.action()


@pytest.mark.parametrize("longest", [1, 4])
def test_without_rungs_every_trial_trains_to_its_full_length(longest):
    policy = make(rung_epochs=(), max_epochs=longest, num_trials=30)
    for number in range(30):
        action = policy.action()
        policy.begin(f"t{number}", action.candidate)
        params = action.candidate.params
        assert policy.record(f"t{number}", epoch=longest, value=quality(params, longest))
        policy.end(f"t{number}")
    assert policy.action() is Rest.FINISHED
    assert policy.favourite() is not None


@pytest.mark.parametrize("seed", range(3))
def test_the_first_configuration_that_was_asked_for_is_trained_to_its_full_length_however_poor(seed):
    poor = SpaceSource(space).of({"x": 0.0, "kind": "a"})
    player = Player(make(first=[poor], seed=seed), seed=seed).play()
    assert player.params["t0"] == poor.params
    assert player.epochs["t0"] == LONGEST


class Watched(Player):
    def advance(self, trial):
        assert len(self.running) == 3 or "t0" in self.running or self.epochs["t0"] == LONGEST
        super().advance(trial)


@pytest.mark.parametrize("seed", range(3))
def test_no_slot_rests_while_the_default_has_epochs_to_go(seed):
    """Nothing else is worth its while when all have begun, and who is the favourite shows when the last one is done."""
    poor = SpaceSource(space).of({"x": 0.0, "kind": "a"})
    player = Watched(make(first=[poor], seed=seed, slots=3), seed=seed).play()
    assert player.epochs["t0"] == player.epochs[player.policy.favourite()] == LONGEST
