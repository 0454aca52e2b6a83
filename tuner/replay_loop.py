"""A search in virtual time: Ray's part played by a loop that asks the same searcher and scheduler objects.

As in Ray's controller, a free slot first asks the searcher for a new trial, then the scheduler for one to go on with;
a result goes to the scheduler first, and to the searcher unless the trial stops. Trials take the time that their curve
says, so that with several slots results arrive in the order in which they would.
"""

import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from tuner.outcomes import EPOCH
from tuner.replay_problems import Curve, Problem

PENDING, RUNNING, PAUSED, TERMINATED = "PENDING", "RUNNING", "PAUSED", "TERMINATED"


@dataclass(slots=True, eq=False)
class ReplayedTrial:
    """What schedulers know of Ray's trials, and its curve."""

    trial_id: str
    config: dict
    curve: Curve
    status: str = PENDING
    epoch: int = 0
    last_result: dict = field(default_factory=dict)

    @property
    def value(self) -> float:
        return float(self.curve.values[self.epoch - 1])


class ReplayedSearch:
    """Stands in for Ray's controller.

    Args:
        stops_non_finite: ends a trial as failed at its first value that is not finite, as its trainable would.
    """

    def __init__(
        self, problem: Problem, searcher: Searcher, scheduler: TrialScheduler, *, slots: int, stops_non_finite: bool
    ) -> None:
        self.problem = problem
        self.trials: dict[str, ReplayedTrial] = {}
        self.epochs_spent = 0
        self._searcher, self._scheduler = searcher, scheduler
        self._slots = slots
        self._stops_non_finite = stops_non_finite
        self._now = 0.0
        self._events: list[tuple[float, int, ReplayedTrial]] = []
        self._order = itertools.count()
        self._is_finished = False

    def run(self, budget_epochs: int, *, on_epoch: Callable[[], None]) -> None:
        """Until the budget is spent or the searcher says that it is over."""
        while self.epochs_spent < budget_epochs:
            self._fill()
            if not self._events:
                return
            self._now, _, trial = heapq.heappop(self._events)
            self.epochs_spent += 1
            self._step(trial)
            on_epoch()

    def get_trial(self, trial_id: str) -> ReplayedTrial:
        return self.trials[trial_id]

    def get_trials(self) -> list[ReplayedTrial]:
        return list(self.trials.values())

    def stop_trial(self, trial: ReplayedTrial) -> None:
        if trial.status in (PENDING, PAUSED):
            self._scheduler.on_trial_remove(self, trial)
            self._searcher.on_trial_complete(trial.trial_id)
        else:
            self._scheduler.on_trial_complete(self, trial, trial.last_result)
            self._searcher.on_trial_complete(trial.trial_id, trial.last_result)
        trial.status = TERMINATED

    def _fill(self) -> None:
        while len(self._events) < self._slots:
            trial = self._begin() or self._scheduler.choose_trial_to_run(self)
            if trial is None:
                return
            trial.status = RUNNING
            self._expect(trial)

    def _begin(self) -> ReplayedTrial | None:
        if self._is_finished:
            return None
        trial_id = f"{len(self.trials):05d}"
        config = self._searcher.suggest(trial_id)
        self._is_finished = config == Searcher.FINISHED
        if config is None or self._is_finished:
            return None
        trial = ReplayedTrial(trial_id, config, self.problem.curve(config))
        self.trials[trial_id] = trial
        self._scheduler.on_trial_add(self, trial)
        return trial

    def _expect(self, trial: ReplayedTrial) -> None:
        times = trial.curve.times
        seconds = times[trial.epoch] - (times[trial.epoch - 1] if trial.epoch else 0.0)
        heapq.heappush(self._events, (self._now + float(seconds), next(self._order), trial))

    def _step(self, trial: ReplayedTrial) -> None:
        trial.epoch += 1
        result = {EPOCH: trial.epoch, "training_iteration": trial.epoch, "objective": trial.value}
        result |= {"trial_id": trial.trial_id, "done": trial.epoch == self.problem.max_epochs}
        trial.last_result = result
        if self._stops_non_finite and not math.isfinite(trial.value):
            self._scheduler.on_trial_error(self, trial)
            self._searcher.on_trial_complete(trial.trial_id, error=True)
            trial.status = TERMINATED
            return
        is_over = result["done"]
        decision = TrialScheduler.STOP if is_over else self._scheduler.on_trial_result(self, trial, result)
        if decision == TrialScheduler.STOP:
            self.stop_trial(trial)
            return
        self._searcher.on_trial_result(trial.trial_id, result)
        if decision == TrialScheduler.PAUSE:
            trial.status = PAUSED
        else:
            self._expect(trial)
