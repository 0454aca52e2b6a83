"""The share of a core that the driver needs while 256 trials run and each reports an epoch a second.

Simulated trials in the code between Ray and the records, as in the benchmark of the driver, with the scheduler and the
sampler that a search has by itself. Trainings of 100 epochs wait at epochs 25 and 50, as the spaces have it. What Ray
Tune itself needs for a report is in docs/scale.md. CPU time is measured.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna

from benchmarks.claims import OURS, Claim, sides_of
from benchmarks.harness import Size
from benchmarks.searches.decision import collecting_only_new_garbage
from benchmarks.searches.simulated_search import SETTINGS, RunningTrial, report_of, space, wired_session
from trainable.leg import Leg
from tuner.policy_from_records import build_policy
from tuner.records import TrialResources
from tuner.session import Session

SLOTS, WARMUP_SECONDS = 256, 60
"""After the warm-up, all slots are busy and trials reach their rungs at different times."""
MAX_EPOCHS, RUNG_EPOCHS = 100, (25, 50)
MAX_SHARE = 0.3


def measure(size: Size) -> list[Claim]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    slots, warmup, rounds = size.pick((SLOTS, WARMUP_SECONDS, 2 * size.rounds), (4, 2, 3))
    with collecting_only_new_garbage():
        shares = shares_of_a_core(slots, warmup_seconds=warmup, rounds=rounds)
    share = float(np.mean(shares))
    return [
        Claim(
            number=8,
            work=f"the driver: {slots} running trials, each with an epoch a second",
            unit="of a core",
            sides=sides_of({OURS: shares}),
            reference=OURS,
            target=f"below {MAX_SHARE} of a core",
            finding=f"{share:.2f} of a core on average, {max(shares):.2f} in the busiest second",
            reached=share < MAX_SHARE,
        )
    ]


def shares_of_a_core(slots: int, *, warmup_seconds: int, rounds: int) -> tuple[float, ...]:
    """CPU seconds of the driver in each second of the search."""
    resources = TrialResources(concurrent=slots, cpus_per_trial=1.0, gpus_per_trial=0.0)
    settings = replace(
        SETTINGS,
        scheduler="asha",
        sampler="forecast",
        max_epochs=MAX_EPOCHS,
        rung_epochs=RUNG_EPOCHS,
        base_config={"max_epochs": MAX_EPOCHS},
        resources=resources,
    )
    policy = build_policy(settings, space)
    with tempfile.TemporaryDirectory() as folder, wired_session(Path(folder) / "search", settings, policy) as session:
        trials = ManyTrials(session, slots)
        for _ in range(warmup_seconds):
            trials.advance_all()
        return tuple(_cpu_seconds_of(trials.advance_all) for _ in range(rounds))


def _cpu_seconds_of(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


class ManyTrials:
    """Trials that each train an epoch a second. They began at different times, so that few come to a rung at once."""

    def __init__(self, session: Session, slots: int) -> None:
        self._session = session
        self._rng = np.random.default_rng(0)
        self._trials: dict[str, RunningTrial] = {}
        self._running: list[RunningTrial] = []
        self._slots = slots

    def advance_all(self) -> None:
        """A second of the search: a slot that becomes free asks for work before the next result comes."""
        for trial in tuple(self._running):
            trial.epoch += 1
            report = report_of(trial.epoch, float(trial.value(self._rng)), is_last=trial.epoch == MAX_EPOCHS)
            if not self._session.take(trial.name, report):
                self._running.remove(trial)
                self._begin_one()
        # A few slots a second at first, as processes start.
        for _ in range(min(self._slots - len(self._running), self._slots // RUNG_EPOCHS[0] + 1)):
            self._begin_one()

    def _begin_one(self) -> None:
        leg = self._session.next_leg()
        if isinstance(leg, Leg):
            fresh = RunningTrial(leg.trial, self._rng.normal(0.8, 0.05))
            self._running.append(self._trials.setdefault(leg.trial, fresh))
