"""A policy's state is a function of what it was told, not of when it was asked: so a resume is a retelling."""

import json
import subprocess
import sys
from dataclasses import asdict

import pytest

from tests.tuner.policy.playing import MAX_EPOCHS, PAIRS, SOURCE, Noted, Player, add_past, make, quality, retold, space
from tuner.policy.candidates import SpaceSource
from tuner.policy.outcomes import Outcome
from tuner.policy.samplers import tpe
from tuner.policy.schedulers.promoting import PromotingPolicy
from tuner.policy.simulation import SimulatedSearch
from tuner.policy_from_records import replay_events
from tuner.records.events import Decided, EpochDone, PastTrialKnown, TrialEnded, TrialStarted, read_event

KINDS = ("asha", "asha tpe", "asha-stopping tpe", "asha-stopping random")


@pytest.fixture
def shortens_early(monkeypatch):
    """TPE's study is replaced several times within fifty trials."""
    for name, number in (("NUM_BEST", 5), ("NUM_LATEST", 6), ("NUM_BETWEEN", 4)):
        monkeypatch.setattr(tpe, name, number)


def simulated(kind, *, stop_after=None, with_past=False, **changed):
    """The calls of a search and their answers; after so many epochs one with the same history replaces its policy."""
    noted = Noted(make(kind, **changed))
    if with_past:
        add_past(noted)
    search = SimulatedSearch(
        noted,
        slots=changed.get("slots", 1),
        max_epochs=MAX_EPOCHS,
        value=lambda trial: quality(trial.candidate.params, trial.epoch),
        seconds=lambda trial, begins: 1.0 + trial.candidate.params["layers"] + begins,
    )
    if stop_after is not None:
        search.run(stop_after)
        noted.policy = retold(noted.calls, make(kind, **changed))
    search.run()
    return noted.calls


@pytest.mark.parametrize(
    ("slots", "with_past"),
    [(1, True), (3, False), *(pytest.param(*pair, marks=pytest.mark.slow) for pair in [(1, False), (3, True)])],
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_policy_that_was_told_all_again_decides_the_same_to_the_last_bit(kind, slots, with_past):
    options = {"slots": slots, "with_past": with_past}
    undisturbed = simulated(kind, **options)
    assert sum(call[0] == "start" for call in undisturbed) == 30
    for stop_after in (1, 21, 60):
        assert simulated(kind, stop_after=stop_after, **options) == undisturbed


@pytest.mark.parametrize("kind", KINDS)
def test_the_space_is_evaluated_once_for_each_configuration_that_is_tried(kind):
    evaluated = []

    def counting(trial):
        params = space(trial)
        evaluated.append(params)
        return params

    tried = [call[2] for call in simulated(kind, asked=counting) if call[0] == "start"]
    assert len(tried) == 30
    assert [evaluated.count(params) for params in tried] == [1] * 30


@pytest.mark.parametrize("slots", [1, 3])
def test_so_it_does_after_a_long_study_was_shortened(slots, shortens_early):
    undisturbed = simulated("asha-stopping tpe", slots=slots, num_trials=60)
    for stop_after in (50, 80, 120):
        assert simulated("asha-stopping tpe", stop_after=stop_after, slots=slots, num_trials=60) == undisturbed


def played(kind, *, seed, stop_after=None, asks=False):
    player = Player(Asked(make(kind, slots=3)) if asks else make(kind, slots=3), seed=seed)
    if stop_after is not None:
        player.play(stop_after)
        player.noted.policy = retold(player.noted.calls, make(kind, slots=3))
    return player.play().noted.calls


def test_everything_happens_in_these_plays():
    calls = [call for seed in range(8) for call in played("asha-stopping random", seed=seed)]
    assert {call[2] for call in calls if call[0] == "end"} == set(Outcome)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_happened_to_its_trials(kind, seed, shortens_early):
    """They fail, plateau, lose their checkpoints and run out of memory, and come to their epochs in any order."""
    undisturbed = played(kind, seed=seed)
    for stop_after in range(5 + 3 * seed, 110, 33):
        assert played(kind, seed=seed, stop_after=stop_after) == undisturbed


class Asked(Noted):
    """A policy that is asked before and after it is told anything."""

    def _note(self, *call, answer=None):
        self._ask()
        return super()._note(*call, answer=answer)

    def next_work(self):
        self._ask()
        return super().next_work()

    def promotion_of(self, trial):
        self._ask()
        return super().promotion_of(trial)

    def _ask(self):
        assert self.policy.next_work() is self.policy.next_work()
        self.policy.trial_to_evict(kept=())
        if isinstance(self.policy, PromotingPolicy):
            self.policy.forecast.predicted()
            self.policy.finalists()


@pytest.mark.parametrize("kind", KINDS)
def test_asking_changes_nothing(kind):
    assert played(kind, seed=0, asks=True) == played(kind, seed=0)


def is_slow(pair):
    """Optuna's Gaussian process takes seconds; without rungs there is one kind of event less."""
    return pair.endswith(" gp") or pair.startswith("none")


def coins(trial):
    """A space of six configurations."""
    return {"one": trial.suggest_int("one", 1, 3), "other": trial.suggest_categorical("other", ("heads", "tails"))}


def value_of_coins(params, epoch):
    return params["one"] * (1 - 0.5**epoch) + 0.1 * (params["other"] == "heads")


@pytest.mark.parametrize("kind", KINDS)
def test_where_a_small_space_ends_does_not_depend_on_it_either(kind):
    def play(stop_after=None):
        player = Player(make(kind, asked=coins, first=(), slots=2), mishaps=0.0, value=value_of_coins)
        if stop_after is not None:
            player.play(stop_after)
            fresh = make(kind, asked=coins, first=(), slots=2)
            player.noted.policy = retold(player.noted.calls, fresh, source=SpaceSource(coins))
        return player.play().noted.calls

    undisturbed = play()
    assert sum(call[0] == "start" for call in undisturbed) == 6
    for stop_after in range(1, 25, 5):
        assert play(stop_after) == undisturbed


@pytest.mark.parametrize("kind", [pytest.param(one, marks=pytest.mark.slow) if is_slow(one) else one for one in PAIRS])
def test_the_records_tell_it_all(kind):
    """The calls as events, through JSON, which knows no tuples, and back."""
    # Optuna's Gaussian process takes a second per proposal from the tenth value.
    options = {"slots": 3, "num_trials": 12 if kind.endswith(" gp") else 30}
    noted = Noted(make(kind, **options))
    add_past(noted)
    player = Player(noted.policy, seed=1)
    player.policy = noted
    player.play(60)
    lines = [json.dumps(asdict(event)).encode() for call in noted.calls for event in events_of(call)]
    policy = make(kind, **options)
    replay_events([read_event(line, "a line") for line in lines], policy, SOURCE, max_epochs=MAX_EPOCHS)
    so_far = len(noted.calls)
    noted.policy = retold(noted.calls, make(kind, **options))
    player.play()
    again = Player(make(kind, **options), seed=1)
    add_past(again.noted)
    again.play(60)
    again.noted.policy = policy
    assert again.play().noted.calls[so_far:] == noted.calls[so_far:]


def events_of(call):
    """The lines that a session writes of a call."""
    name, *given, answer = call
    match name:
        case "start":
            yield TrialStarted(trial=given[0], params={}, answers=given[1], time=0.0)
        case "report":
            trial, epoch, value = given
            yield EpochDone(trial=trial, epoch=epoch, objective=value, metrics={}, seconds=1.0, time=0.0)
            if answer is not None:
                yield Decided(trial=trial, decision=answer, time=0.0)
        case "promote":
            yield Decided(trial=given[0].trial, decision=answer, time=0.0)
        case "end":
            yield TrialEnded(trial=given[0], outcome=given[1], epoch=0, time=0.0)
        case "add_past_trial":
            yield PastTrialKnown(trial=given[0], answers=given[1], values=given[2], outcome=given[3], time=0.0)


@pytest.mark.parametrize("kind", ["asha", "asha-stopping tpe"])
def test_another_process_decides_the_same(kind):
    """Sets of strings have another order there."""
    code = (
        "from tests.tuner.policy.playing import Player, make\n"
        f"print(Player(make({kind!r}, slots=2), seed=3).play().noted.calls)"
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert printed[0] == printed[1] != ""
