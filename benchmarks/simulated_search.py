"""A search without Ray and without training: simulated trials through what stands between Ray and the records.

They pass through the proposer, the scheduler and the recorder in the order of Ray's own calls, four at a time, each
with a learning curve of its own. Most are proposed at random, which is cheap and leaves the same history behind; the
sampler of a search proposes where it is timed. The peer is Ray's own bridge to Optuna with Ray's ASHA, on the same
curves and parameters; it writes nothing down. Counted is the processor's time, which a busy machine stretches less than
the clock's.
"""

import math
import statistics
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Protocol

import numpy as np
import optuna
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks.claims import OURS
from tuner.outcomes import Outcome
from tuner.paced_view import PacedView
from tuner.plain_view import PlainView
from tuner.proposer import Proposer
from tuner.recorder import Recorder
from tuner.scheduler import StoppingScheduler
from tuner.study_mirror import FILE as STUDY_FILE
from tuner.study_mirror import StudyMirror

MAX_EPOCHS, RUNG_EPOCHS, REDUCTION = 12, (3, 6), 2
OBJECTIVE = "objective"
STOCK = "OptunaSearch + ASHA"


def space(trial: optuna.Trial) -> dict:
    """Fourteen parameters, four of them under a condition: about what a workload's space asks."""
    params = {name: trial.suggest_float(name, 1e-4, 1e-1, log=True) for name in ("max_lr", "weight_decay", "dropout")}
    params |= {name: trial.suggest_float(name, 0.0, 1.0) for name in ("warmup", "start", "ramp", "rise", "mixing")}
    params["effective_batch"] = trial.suggest_categorical("effective_batch", [4, 8, 16, 32])
    params["num_experts"] = trial.suggest_categorical("num_experts", [1, 4, 6, 8])
    if params["num_experts"] > 1:
        params["top_k"] = trial.suggest_int("top_k", 1, 2)
        params |= {name: trial.suggest_float(name, 0.0, 0.3) for name in ("noise", "balance", "threshold")}
    return params


class Driver(Protocol):
    """What stands between Ray and the records: proposes, takes in results, decides."""

    def propose(self, trial: str) -> None: ...

    def take(self, trial: str, epoch: int, value: float) -> bool:
        """Whether the trial goes on."""

    @property
    def study(self) -> optuna.Study:
        """Whose sampler, as it is made, is that of a search."""

    def close(self) -> None: ...


class OurDriver:
    """Proposer, scheduler, recorder and the lines of a search into a pipe, as the search wires them."""

    def __init__(self, folder: Path) -> None:
        settings = {"space": "moe", "objective": OBJECTIVE, "mode": "max", "num_trials": 10_000, "concurrent": 4}
        settings |= {"max_epochs": MAX_EPOCHS, "rung_epochs": RUNG_EPOCHS, "reduction_factor": REDUCTION}
        self._recorder = Recorder.create(folder, settings)
        mirror = StudyMirror(folder / STUDY_FILE, study_name="driver")
        self._proposer = Proposer(space, metric=OBJECTIVE, mode="max", max_epochs=MAX_EPOCHS, seed=0, mirror=mirror)
        self._scheduler = StoppingScheduler(self._recorder, rung_epochs=RUNG_EPOCHS, reduction_factor=REDUCTION)
        self._scheduler.set_search_properties(OBJECTIVE, "max")
        self._piped = (folder / "view.txt").open("w")
        view = PlainView(self._recorder.record, results=folder, dashboard=None, stream=self._piped)
        self._view = PacedView(view)

    @property
    def study(self) -> optuna.Study:
        return self._proposer.study

    def propose(self, trial: str) -> None:
        params = self._proposer.suggest(trial)
        self._recorder.start(trial, number=self._proposer.number_of(trial), params=params)

    def take(self, trial: str, epoch: int, value: float) -> bool:
        result = {OBJECTIVE: value, "epoch": epoch}
        action = self._scheduler.on_trial_result(None, SimpleNamespace(trial_id=trial), result)
        self._proposer.on_trial_result(trial, result)
        self._recorder.result(trial, epoch=epoch, objective=value, metrics={"val/s_measure": value}, seconds=1.0)
        self._view.update(self._recorder.record)
        if epoch < MAX_EPOCHS and action == TrialScheduler.CONTINUE:
            return True
        outcome = Outcome.COMPLETED if epoch == MAX_EPOCHS else Outcome.STOPPED_AT_RUNG
        self._proposer.on_trial_complete(trial, result)
        self._recorder.end(trial, outcome, numbers={"epoch": epoch}, epoch=epoch)
        self._view.update(self._recorder.record)
        return False

    def close(self) -> None:
        self._recorder.close()
        self._piped.close()


class StockDriver:
    """Ray's bridge to Optuna and Ray's ASHA; writes nothing down."""

    def __init__(self, folder: Path) -> None:
        self._search = OptunaSearch(space=space, metric=OBJECTIVE, mode="max")
        self._scheduler = AsyncHyperBandScheduler(
            time_attr="epoch",
            metric=OBJECTIVE,
            mode="max",
            max_t=MAX_EPOCHS,
            grace_period=3,
            reduction_factor=REDUCTION,
        )
        self._trials: dict[str, SimpleNamespace] = {}

    @property
    def study(self) -> optuna.Study:
        return self._search._ot_study

    def propose(self, trial: str) -> None:
        config = self._search.suggest(trial)
        self._trials[trial] = SimpleNamespace(trial_id=trial, config=config)
        self._scheduler.on_trial_add(None, self._trials[trial])

    def take(self, trial: str, epoch: int, value: float) -> bool:
        result = {OBJECTIVE: value, "epoch": epoch, "training_iteration": epoch}
        action = self._scheduler.on_trial_result(None, self._trials[trial], result)
        self._search.on_trial_result(trial, result)
        if action == TrialScheduler.CONTINUE:
            return True
        self._scheduler.on_trial_complete(None, self._trials[trial], result)
        self._search.on_trial_complete(trial, result)
        return False

    def close(self) -> None:
        """Holds no files."""


DRIVERS = {OURS: OurDriver, STOCK: StockDriver}


class Simulation:
    """Four trials at a time, an epoch each in turn."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._of_a_search, self._cheap = driver.study.sampler, optuna.samplers.RandomSampler(seed=0)
        driver.study.sampler = self._cheap
        self._rng = np.random.default_rng(0)
        self._running: list[tuple[str, float, int]] = []
        self._begun = 0

    def run_until(self, count: int) -> None:
        """Until so many trials have been proposed."""
        while self._begun < count:
            self._timed_result()

    def timed_results(self, number: int) -> float:
        """Seconds of one, as their mean, for one in ten comes to a rung and costs more than the others."""
        return statistics.mean(self._timed_result() for _ in range(number))

    def timed_proposal(self) -> float:
        """By the sampler of a search."""
        self._driver.study.sampler = self._of_a_search
        began = time.process_time()
        self._propose()
        seconds = time.process_time() - began
        self._driver.study.sampler = self._cheap
        return seconds

    def _timed_result(self) -> float:
        while len(self._running) < 4:
            self._propose()
        trial, level, epoch = self._running.pop(0)
        value = level - 0.4 * math.exp(-epoch / 3) + self._rng.normal(0, 0.01)
        began = time.process_time()
        goes_on = self._driver.take(trial, epoch, float(value))
        seconds = time.process_time() - began
        if goes_on:
            self._running.append((trial, level, epoch + 1))
        return seconds

    def _propose(self) -> None:
        trial = f"t{self._begun:05d}"
        self._driver.propose(trial)
        self._running.append((trial, self._rng.normal(0.8, 0.05), 1))
        self._begun += 1
