"""A recorder on a small search, and a clock that a test sets."""

import pytest

from tests.tuner.conftest import recorded_settings
from tuner.policy.decision import Decision
from tuner.policy.outcomes import Outcome
from tuner.records import Recorder, trial_name

MAX_EPOCHS = 6


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "moe" / "run"


@pytest.fixture
def recorder(folder, clock):
    settings = recorded_settings(max_epochs=MAX_EPOCHS, rung_epochs=(1, 2), num_trials=4)
    recorder = Recorder.create(folder, settings, clock=clock)
    yield recorder
    recorder.close()


def record_curve(recorder, *values, outcome: Outcome | None = None) -> str:
    """The next trial, with these objectives from epoch 1 on; returns its name."""
    params = {"max_lr": 1e-3 * (1 + len(recorder.record.trials)), "top_k": 2}
    trial = trial_name(len(recorder.record.trials), params)
    recorder.start(trial, params=params, answers=params)
    for epoch, value in enumerate(values, start=1):
        recorder.result(trial, epoch=epoch, objective=value, metrics={"val/loss": 1 - value}, seconds=0.5)
    if outcome:
        recorder.end(trial, outcome, numbers={"epoch": len(values)}, epoch=len(values))
    return trial


def decision(epoch: int = 1, **changes) -> Decision:
    plain = {"rung": 1, "value": 0.4, "cutoff": None, "rank": 1, "of": 1, "action": "continue"}
    return Decision(epoch=epoch, **plain | changes)
