"""A session whose legs are played: reports come from a formula instead of a training, checkpoints are empty files."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trainable.leg import Leg, LegReport, checkpoint_name
from trainable.run import Ending, EpochResult
from tuner.policy.policy import NoWork
from tuner.policy.simulation import SimulatedSlots
from tuner.records import Recorder
from tuner.session import Session, open_session

PAIRS = (("asha", "forecast"), ("asha", "tpe"), ("asha-stopping", "cmaes"), ("none", "random"))
"""Schedulers and samplers that differ in what goes on record."""


def space(trial):
    """A level, how steeply a curve rises, and a choice that decides whether there is a third parameter."""
    params = {"level": trial.suggest_float("level", 0.1, 0.9), "rate": trial.suggest_float("rate", 0.3, 3.0, log=True)}
    if trial.suggest_categorical("bonus", [False, True]):
        params["size"] = trial.suggest_int("size", 1, 4)
    return params


DEFAULT = {"level": 0.5, "rate": 1.0, "bonus": False}
FIRST = (DEFAULT, DEFAULT | {"level": 0.6})


def objective(params: dict, epoch: int) -> float:
    return params["level"] * (1 - math.exp(-params["rate"] * epoch)) + 0.01 * params.get("size", 0)


def report_of(leg: Leg, epoch: int, **ending: object) -> LegReport:
    """Report of a trained epoch, with its checkpoint on disk."""
    Path(leg.folder, checkpoint_name(epoch)).write_bytes(b"weights")
    value = objective(leg.params, epoch)
    result = EpochResult(epoch=epoch, objective=value, metrics={"val/s_measure": value}, seconds=1.0, precision="fp32")
    return LegReport(result=result, ending=Ending(**ending) if ending else None, process="here:1")


@contextmanager
def opened(folder: Path, *, asking: Callable | None = None, **options) -> Iterator[Session]:
    """A session on what is on record in the folder, as a resume opens it; `asking` in place of this file's space."""
    recorder = Recorder.resume(folder)
    try:
        yield open_session(recorder, asking or space, **options)
    finally:
        recorder.close()


@dataclass(slots=True)
class RunningLeg:
    """A leg and the last epoch that is done."""

    leg: Leg
    epoch: int


class Player(SimulatedSlots[RunningLeg]):
    """Runs the legs of a session in so many slots, an epoch each in turn."""

    def __init__(
        self, session: Session, slots: int = 1, *, report: Callable[[Leg, int], LegReport] = report_of
    ) -> None:
        super().__init__(slots)
        self.session, self.report = session, report
        self.is_over = False

    def play(self, max_epochs: float = math.inf) -> int:
        """Runs until nothing is left to do, or for this many epochs; returns the number of epochs trained."""
        before = self.num_epochs
        self.run(before + max_epochs)
        return self.num_epochs - before

    def next_work(self) -> RunningLeg | None:
        """Returns the next leg; asks the session no more once it has finished."""
        leg = NoWork.FINISHED if self.is_over else self.session.next_leg()
        self.is_over = leg is NoWork.FINISHED
        return RunningLeg(leg, leg.from_epoch) if isinstance(leg, Leg) else None

    def advance(self, work: RunningLeg) -> bool:
        work.epoch += 1
        return self.session.take(work.leg.trial, self.report(work.leg, work.epoch))
