"""The peers of a replay: Ray's searchers and schedulers as policies, so that one loop runs both.

The calls and their order are those of Ray's controller: a result goes to the scheduler first, and to the searcher
unless the trial stops; the last result of a trial goes to both with its end. A trial that diverged has failed.
"""

from collections.abc import Collection, Mapping
from typing import Any

import optuna
from optuna.trial import TrialState
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from benchmarks.replay.problems import Problem
from tuner.policy.candidates import Candidate
from tuner.policy.decision import STOP, Decision
from tuner.policy.outcomes import Outcome
from tuner.policy.policy import NoWork, Policy, Start, Work
from tuner.policy.samplers.tpe import DIRECTIONS

OBJECTIVE, EPOCH = "objective", "training_iteration"
ENOUGH_RESULTS = 10
"""Results at a rung from which on a model is fitted to it."""


class RayTrial:
    """The part of Ray's trial that schedulers read."""

    def __init__(self, trial_id: str, config: Mapping[str, Any]) -> None:
        self.trial_id, self.config = trial_id, config
        self.last_result: dict[str, Any] = {}


class RayPolicy(Policy):
    """A searcher that proposes and a scheduler that stops; no trial waits.

    Args:
        max_epochs: the full length, which ends a trial whatever the scheduler says.
    """

    def __init__(self, searcher: Searcher, scheduler: TrialScheduler, *, slots: int, max_epochs: int) -> None:
        super().__init__(slots)
        self._searcher, self._max_epochs = searcher, max_epochs
        # It reads little of a controller and of a trial of Ray.
        self._scheduler: Any = scheduler
        self._running: dict[str, RayTrial] = {}
        self._num_started = 0

    def start(self, trial: str, candidate: Candidate) -> None:
        self._running[trial] = RayTrial(self._next_id, candidate.params)
        self._num_started += 1
        self._scheduler.on_trial_add(None, self._running[trial])
        self._work = None

    def report(self, trial: str, *, epoch: int, value: float) -> Decision | None:
        one, is_last = self._running[trial], epoch >= self._max_epochs
        one.last_result = {"trial_id": one.trial_id, EPOCH: epoch, OBJECTIVE: value, "done": is_last}
        if is_last:
            return None
        if self._scheduler.on_trial_result(None, one, one.last_result) == TrialScheduler.STOP:
            return Decision(epoch=epoch, rung=None, value=value, cutoff=None, rank=None, of=0, action=STOP)
        self._searcher.on_trial_result(one.trial_id, one.last_result)
        return None

    def end(self, trial: str, outcome: Outcome) -> None:
        one = self._running.pop(trial)
        if outcome is Outcome.DIVERGED:
            self._scheduler.on_trial_error(None, one)
            self._searcher.on_trial_complete(one.trial_id, error=True)
        else:
            self._scheduler.on_trial_complete(None, one, one.last_result)
            self._searcher.on_trial_complete(one.trial_id, one.last_result)
        # A proposal that has not started stays: Ray's searchers can't withdraw one.
        self._work = self._work if isinstance(self._work, Start) else None

    def add_past_trial(self, trial: str, candidate: Candidate, values: Mapping[int, float], outcome: Outcome) -> None:
        raise NotImplementedError("a replay begins without past trials")

    @property
    def _next_id(self) -> str:
        return f"{self._num_started:05d}"

    def _decide(self) -> Work:
        if len(self._running) >= self._slots:
            return NoWork.WAIT
        config = self._searcher.suggest(self._next_id)
        if config is None or config == Searcher.FINISHED:
            return NoWork.WAIT if config is None else NoWork.FINISHED
        return Start(Candidate(config, config))


class HighestRungSearcher(Searcher):
    """TPE fitted to the results of the highest rung that has enough of them, as BOHB chooses its model's budget.

    Source: Falkner, Klein, Hutter, "BOHB: Robust and Efficient Hyperparameter Optimization at Scale", ICML 2018,
    https://arxiv.org/abs/1807.01774.
    """

    def __init__(self, problem: Problem, *, rung_epochs: Collection[int], seed: int) -> None:
        super().__init__(metric=OBJECTIVE, mode=problem.mode)
        self._problem, self._seed = problem, seed
        self._results: dict[int, dict[str, float]] = {epoch: {} for epoch in (*rung_epochs, problem.max_epochs)}
        self._asked: dict[str, optuna.Trial] = {}

    def suggest(self, trial_id: str) -> dict:
        study = self._study()
        trial = study.ask()
        params = self._problem.space(trial)
        self._asked[trial_id] = trial
        return params

    def on_trial_result(self, trial_id: str, result: dict) -> None:
        if result[EPOCH] in self._results:
            self._results[result[EPOCH]][trial_id] = result[self.metric]

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        if result and not error:
            self.on_trial_result(trial_id, result)

    def save(self, checkpoint_path: str) -> None:
        raise NotImplementedError

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError

    def _study(self) -> optuna.Study:
        sampler = optuna.samplers.TPESampler(seed=self._seed * 100_003 + len(self._asked))
        direction = DIRECTIONS[self.mode]
        study = optuna.create_study(sampler=sampler, direction=direction)
        enough = [epoch for epoch, results in self._results.items() if len(results) >= ENOUGH_RESULTS]
        for trial_id, value in self._results[max(enough)].items() if enough else ():
            asked = self._asked[trial_id]
            study.add_trial(
                optuna.trial.create_trial(
                    params=asked.params, distributions=asked.distributions, value=value, state=TrialState.COMPLETE
                )
            )
        return study
