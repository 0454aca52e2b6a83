"""One small real search by Ray, stopped in the middle and restored; the trials are toys with prescribed curves."""

import json
from types import SimpleNamespace

import pytest
from optuna.trial import TrialState
from ray.tune.schedulers import TrialScheduler

from tests.tuner.toy_search import MAX_EPOCHS, SETTINGS, Bookkeeper, Toy, stopped_and_restored, toy_tuner
from tuner.outcomes import Outcome
from tuner.proposer import Proposer
from tuner.recorder import Recorder
from tuner.records import read_search
from tuner.rungs import rung_epochs
from tuner.scheduler import StoppingScheduler
from tuner.study_mirror import StudyMirror, load_mirror


def space(trial):
    return {
        "quality": trial.suggest_float("quality", 0.0, 1.0),
        "fate": trial.suggest_categorical("fate", ["complete", "nan", "out_of_memory", "error"]),
    }


def point(quality, fate="complete"):
    return {"quality": quality, "fate": fate}


POINTS = [
    point(0.5),
    point(0.9),
    point(0.1),
    point(0.6, "nan"),
    point(0.61, "out_of_memory"),
    point(0.62, "error"),
    point(0.8),
    point(0.2),
    point(0.99),
]
INTERRUPTED_AT = 0.8
"""The quality of the trial during which the search is stopped, after its second epoch."""


class Fated(Toy):
    def step(self):
        result = super().step() | {"objective": self.config["quality"] * (1 - 0.5**self.epoch)}
        fate = self.config["fate"]
        if self.epoch == 2 and fate == "error":
            raise OSError("a disk that is gone")
        if self.epoch == 2 and fate == "nan":
            result["objective"] = float("nan")
        if self.epoch == 2 and fate == "out_of_memory":
            return result | {"objective": 0.0, "done": True, "outcome": "out_of_memory"}
        return result


class Witness(Bookkeeper):
    """Keeps the states that the study had when each session ended."""

    def on_experiment_end(self, trials, **info):
        super().on_experiment_end(trials, **info)
        states = [trial.state.name for trial in self.proposer.study.get_trials()]
        with (self.recorder.folder / "states.jsonl").open("a") as file:
            file.write(json.dumps(states) + "\n")


def must_stop(recorder, trial, result):
    return trial.config["quality"] == INTERRUPTED_AT and result["epoch"] == 2


def begin(folder):
    recorder = Recorder.create(folder, SETTINGS)
    mirror = StudyMirror(folder / "study.journal", study_name="toy")
    proposer = Proposer(
        space, metric="objective", mode="max", max_epochs=MAX_EPOCHS, seed=0, enqueue=POINTS, mirror=mirror
    )
    epochs = rung_epochs(grace_epochs=1, max_epochs=MAX_EPOCHS, reduction_factor=2)
    scheduler = StoppingScheduler(recorder, rung_epochs=epochs, reduction_factor=2)
    return toy_tuner(
        Fated,
        recorder,
        proposer,
        scheduler,
        listener=Witness(recorder, proposer, must_stop),
        num_samples=len(POINTS),
        max_concurrent_trials=1,
    )


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    """The folder of a search that was stopped in the middle and restored."""
    folder = tmp_path_factory.mktemp("search") / "run"
    stopped_and_restored(begin, folder, Fated)
    return folder


@pytest.fixture(scope="module")
def by_quality(search):
    return {trial.params["quality"]: trial for trial in read_search(search).trials}


@pytest.fixture(scope="module")
def study(search):
    return {trial.params["quality"]: trial for trial in load_mirror(search / "study.journal").trials}


def test_each_configuration_was_tried_once_in_the_order_proposed(by_quality):
    assert list(by_quality) == [params["quality"] for params in POINTS]
    assert [trial.number for trial in by_quality.values()] == list(range(len(POINTS)))


def test_no_epoch_is_lost_or_repeated_but_the_one_in_flight(search, by_quality):
    assert list(by_quality[INTERRUPTED_AT].results) == [1, 2, 3, 4]
    lines = [json.loads(line) for line in (search / "trials.jsonl").read_text().splitlines()]
    results = [(line["trial"], line["epoch"]) for line in lines if line["event"] == "result"]
    assert len(results) - len(set(results)) <= 1


def test_trials_stop_where_the_rungs_say(by_quality):
    last_epochs = {quality: trial.last.epoch for quality, trial in by_quality.items()}
    assert last_epochs == {0.5: 4, 0.9: 4, 0.1: 1, 0.6: 2, 0.61: 2, 0.62: 1, 0.8: 4, 0.2: 1, 0.99: 4}


def test_a_value_that_is_not_finite_stops_its_trial_at_once(search, by_quality):
    sick = by_quality[0.6]
    (stop,) = [d for d in read_search(search).decisions if d.trial == sick.trial and d.action == "stop"]
    assert (stop.epoch, stop.value) == (2, None)
    assert sick.last.not_finite == {"objective": "nan"}


def test_a_restored_search_remembers_its_rungs(search, by_quality):
    decisions = {(d.trial, d.rung): d for d in read_search(search).decisions}
    assert decisions[by_quality[0.2].trial, 1].of == 8
    assert decisions[by_quality[0.99].trial, 1].of == 9
    # At the second rung: 0.5, 0.9, 0.8 and itself; the others never reported a finite second epoch.
    assert (decisions[by_quality[0.99].trial, 2].rank, decisions[by_quality[0.99].trial, 2].of) == (1, 4)


@pytest.mark.parametrize(
    ("quality", "state", "outcome", "epochs"),
    [
        (0.5, TrialState.COMPLETE, Outcome.COMPLETED, [1, 2, 3, 4]),
        (0.1, TrialState.PRUNED, Outcome.STOPPED_AT_RUNG, [1]),
        (0.6, TrialState.PRUNED, Outcome.DIVERGED, [1]),
        (0.61, TrialState.PRUNED, Outcome.OUT_OF_MEMORY, [1]),
        (0.62, TrialState.FAIL, Outcome.FAILED, [1]),
        (INTERRUPTED_AT, TrialState.COMPLETE, Outcome.COMPLETED, [1, 2, 3, 4]),
        (0.99, TrialState.COMPLETE, Outcome.COMPLETED, [1, 2, 3, 4]),
    ],
)
def test_optuna_was_told_the_truth(study, quality, state, outcome, epochs):
    trial = study[quality]
    assert (trial.state, trial.user_attrs["outcome"]) == (state, outcome)
    assert trial.intermediate_values == {epoch: quality * (1 - 0.5**epoch) for epoch in epochs}


def test_no_trial_is_left_running_in_the_study(search):
    when_stopped, at_the_end = map(json.loads, (search / "states.jsonl").read_text().splitlines())
    before = ["COMPLETE", "COMPLETE", "PRUNED", "PRUNED", "PRUNED", "FAIL"]
    assert when_stopped == [*before, "FAIL", "WAITING", "WAITING"]
    assert at_the_end == [*before, "COMPLETE", "PRUNED", "COMPLETE"]


class Ledger:
    def __init__(self):
        self.decisions = []

    def decision(self, trial, **fields):
        self.decisions.append(SimpleNamespace(trial=trial, **fields))


def test_without_rungs_trials_train_to_their_full_length_unless_they_diverge():
    scheduler = StoppingScheduler(ledger := Ledger(), rung_epochs=(), reduction_factor=2)
    scheduler.set_search_properties("objective", "max")
    trial = SimpleNamespace(trial_id="a")
    for epoch in range(1, 9):
        result = {"epoch": epoch, "objective": -epoch}
        assert scheduler.on_trial_result(None, trial, result) == TrialScheduler.CONTINUE
    assert ledger.decisions == []
    sick = {"epoch": 9, "objective": float("nan")}
    assert scheduler.on_trial_result(None, trial, sick) == TrialScheduler.STOP
    assert [d.action for d in ledger.decisions] == ["stop"]


def decided(spared, values):
    """The answers to trials that come to the rung at epoch 2 with these values, and what is on record of them."""
    scheduler = StoppingScheduler(ledger := Ledger(), rung_epochs=(2,), reduction_factor=2, is_spared=spared)
    scheduler.set_search_properties("objective", "max")
    answers = [
        scheduler.on_trial_result(None, SimpleNamespace(trial_id=trial), {"epoch": 2, "objective": value})
        for trial, value in values.items()
    ]
    return answers, [decision.action for decision in ledger.decisions]


def test_the_yardstick_of_all_trials_is_never_stopped_at_a_rung_and_the_record_says_so():
    values = {"a": 0.5, "b": 0.6, "default": 0.1, "c": 0.2}
    on, stop = TrialScheduler.CONTINUE, TrialScheduler.STOP
    assert decided(None, values) == ([on, on, stop, stop], ["continue", "continue", "stop", "stop"])
    spared = decided(lambda trial: trial == "default", values)
    assert spared == ([on, on, on, stop], ["continue", "continue", "keep", "stop"])


def test_not_even_the_yardstick_goes_on_with_a_value_that_is_not_finite():
    answers, actions = decided(lambda trial: True, {"default": float("nan")})
    assert (answers, actions) == ([TrialScheduler.STOP], ["stop"])
