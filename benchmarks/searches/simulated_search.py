"""A search without Ray and without training: simulated trials in the code between Ray and the records.

They pass through the session, the policy and the recorder as the reports of processes do, four at a time, each with its
own learning curve. Most are proposed at random, which is cheap and leaves the same history; the sampler of a search
proposes where it is timed. The peer is Ray's OptunaSearch with Ray's ASHA, on the same curves and parameters; it saves
no records. CPU time is measured, which a busy machine distorts less than wall time.
"""

import math
import random
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol, cast

import numpy as np
import optuna
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks.claims import OURS
from search_spaces.space import Situation
from trainable.leg import Leg, LegReport
from trainable.run import Ending, EpochResult
from tuner.listeners.study_copy import StudyCopy
from tuner.policy.candidates import Candidate
from tuner.policy.halving import HalvingConfig
from tuner.policy.policy import Policy
from tuner.policy.samplers.tpe import TpeSampler
from tuner.policy.schedulers.stopping import StoppingPolicy
from tuner.policy.simulation import SimulatedSlots
from tuner.records import RecordedSettings, Recorder, TrialResources
from tuner.records.settings import FORMAT
from tuner.session import Session
from tuner.views.plain_view import PlainView
from tuner.views.throttled_view import ThrottledView

MAX_EPOCHS, RUNG_EPOCHS, REDUCTION = 12, (3, 6), 2
OBJECTIVE = "objective"
STOCK = "OptunaSearch + ASHA"
SETTINGS = RecordedSettings(
    format=FORMAT,
    version="",
    commit=None,
    name="driver",
    space="moe",
    objective=OBJECTIVE,
    mode="max",
    scheduler="asha-stopping",
    sampler="tpe",
    num_trials=20_000,
    max_epochs=MAX_EPOCHS,
    rung_epochs=RUNG_EPOCHS,
    reduction_factor=REDUCTION,
    seed=0,
    confirm=3,
    # More than the simulation uses: it starts some trials only to time that.
    resources=TrialResources(concurrent=100, cpus_per_trial=1.0, gpus_per_trial=0.0),
    data=None,
    data_fingerprint={},
    images={},
    image_size_px=(1, 1),
    pinned={},
    pins={},
    situation=Situation(num_train_images=1, pretrained=False),
    first_answers=(),
    warm_start=None,
    base_config={"max_epochs": MAX_EPOCHS},
    versions={},
)


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
    """The code between Ray and the records: proposes, takes results, decides."""

    def propose(self) -> str:
        """Begins a trial; its name."""

    def take(self, trial: str, epoch: int, value: float) -> bool:
        """Takes a result; returns whether the trial continues."""

    def propose_at_random(self, at_random: bool) -> None:
        """Switches to random proposals, or back to the sampler of a search."""

    def close(self) -> None: ...


@contextmanager
def wired_session(folder: Path, settings: RecordedSettings, policy: Policy) -> Iterator[Session]:
    """Session, policy, records, Optuna copy and plain lines, wired as in the search."""
    recorder = Recorder.create(folder, settings)
    # The view writes until the recorder is closed.
    with (folder / "view.txt").open("w") as piped, closing(recorder):
        view = PlainView(recorder.record, results=folder, dashboard=None, stream=piped)
        recorder.listen([StudyCopy(folder, recorder.record, space), ThrottledView(view)])
        session = Session(recorder, policy)
        yield session
        session.close()


def report_of(epoch: int, value: float, *, is_last: bool) -> LegReport:
    """Report that the process of a trial sends after an epoch."""
    metrics = {"val/s_measure": value}
    result = EpochResult(epoch=epoch, objective=value, metrics=metrics, seconds=1.0, precision="fp32")
    ending = Ending(outcome="completed") if is_last else None
    return LegReport(result=result, ending=ending, process="simulated")


class OurDriver:
    """The parts of a search, with proposals at random or by TPE."""

    def __init__(self, folder: Path) -> None:
        self._sampler = _SwitchedSampler(space, mode=SETTINGS.mode)
        self._held = ExitStack()
        config = HalvingConfig(
            rung_epochs=RUNG_EPOCHS,
            max_epochs=MAX_EPOCHS,
            reduction_factor=REDUCTION,
            mode=SETTINGS.mode,
            slots=SETTINGS.resources.concurrent,
            seed=SETTINGS.seed,
        )
        policy = StoppingPolicy(self._sampler, config)
        self._session = self._held.enter_context(wired_session(folder, SETTINGS, policy))

    def propose_at_random(self, at_random: bool) -> None:
        self._sampler.is_random = at_random

    def propose(self) -> str:
        leg = self._session.next_leg()
        assert isinstance(leg, Leg)
        return leg.trial

    def take(self, trial: str, epoch: int, value: float) -> bool:
        return self._session.take(trial, report_of(epoch, value, is_last=epoch == MAX_EPOCHS))

    def close(self) -> None:
        self._held.close()


class _SwitchedSampler(TpeSampler):
    """TPE, or no preference, so that the policy draws at random."""

    is_random = False

    def draw(self, generator: random.Random) -> Iterable[Candidate]:
        return () if self.is_random else super().draw(generator)


class StockDriver:
    """Ray's OptunaSearch and ASHA; saves no records."""

    def __init__(self, folder: Path) -> None:
        self._search = OptunaSearch(space=space, metric=OBJECTIVE, mode="max")
        self._study = cast(optuna.Study, self._search._ot_study)
        self._samplers = (self._study.sampler, optuna.samplers.RandomSampler(seed=0))
        # It reads little of a controller and of a trial of Ray.
        self._scheduler: Any = AsyncHyperBandScheduler(
            time_attr="epoch",
            metric=OBJECTIVE,
            mode="max",
            max_t=MAX_EPOCHS,
            grace_period=3,
            reduction_factor=REDUCTION,
        )
        self._trials: dict[str, SimpleNamespace] = {}

    def propose_at_random(self, at_random: bool) -> None:
        self._study.sampler = self._samplers[at_random]

    def propose(self) -> str:
        trial = f"t{len(self._trials):05d}"
        self._trials[trial] = SimpleNamespace(trial_id=trial, config=self._search.suggest(trial))
        self._scheduler.on_trial_add(None, self._trials[trial])
        return trial

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


DRIVERS: dict[str, Callable[[Path], Driver]] = {OURS: OurDriver, STOCK: StockDriver}


@dataclass(slots=True)
class RunningTrial:
    """A trial after so many epochs."""

    name: str
    level: float
    """The limit of its learning curve."""
    epoch: int = 0

    def value(self, rng: np.random.Generator) -> float:
        """Objective at the current epoch."""
        return self.level - 0.4 * math.exp(-self.epoch / 3) + rng.normal(0, 0.01)


class Simulation(SimulatedSlots[RunningTrial]):
    """Four trials at a time, an epoch each in turn."""

    def __init__(self, driver: Driver) -> None:
        super().__init__(4)
        self._driver = driver
        driver.propose_at_random(True)
        self._rng = np.random.default_rng(0)
        self._begun = 0
        self._result_seconds = 0.0

    def run_until(self, count: int) -> None:
        """Runs until this many trials have been proposed."""
        while self._begun < count:
            self._timed_result()

    def timed_results(self, number: int) -> float:
        """Mean seconds of one; one in ten reaches a rung and costs more than the others."""
        return statistics.mean(self._timed_result() for _ in range(number))

    def timed_proposal(self) -> float:
        """CPU seconds of a proposal by the sampler of a search."""
        self._driver.propose_at_random(False)
        began = time.process_time()
        self.begin()
        seconds = time.process_time() - began
        self._driver.propose_at_random(True)
        return seconds

    def _timed_result(self) -> float:
        self.run(self.num_epochs + 1)
        return self._result_seconds

    def next_work(self) -> RunningTrial:
        self._begun += 1
        return RunningTrial(self._driver.propose(), self._rng.normal(0.8, 0.05))

    def advance(self, work: RunningTrial) -> bool:
        work.epoch += 1
        value = work.value(self._rng)
        began = time.process_time()
        goes_on = self._driver.take(work.name, work.epoch, float(value))
        self._result_seconds = time.process_time() - began
        return goes_on
