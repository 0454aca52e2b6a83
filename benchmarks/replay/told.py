"""Policies that propose freely on a table and are told the row that they got: the nearest that no trial had.

A trial then learns from the configuration whose curve it saw. A policy that only sees its proposal takes the row's
value for that of another place, and one that proposes near a good trial gets the same row again and again.
"""

from collections.abc import Collection

import optuna
from optuna.trial import TrialState
from ray.tune.search import Searcher

from benchmarks.replay.peers import OBJECTIVE
from benchmarks.replay.problems import TableProblem
from tuner.policy.candidates import Candidate, SpaceSource
from tuner.policy.halving import HalvingConfig
from tuner.policy.policy import Start, Work
from tuner.policy.samplers.tpe import DIRECTIONS
from tuner.policy.schedulers.promoting import PromotingPolicy


class ToldPolicy(PromotingPolicy):
    """Starts the row nearest to what it would start."""

    def __init__(self, problem: TableProblem, config: HalvingConfig) -> None:
        self._source = SpaceSource(problem.space)
        super().__init__(self._source, config)
        self._problem = problem
        self._rows: set[int] = set()

    def next_work(self) -> Work:
        work = super().next_work()
        if not isinstance(work, Start):
            return work
        return Start(self._source.of(row_params(self._problem, work.candidate.params, self._rows)))

    def start(self, trial: str, candidate: Candidate) -> None:
        self._rows.add(self._problem.nearest(candidate.params))
        super().start(trial, candidate)


class ToldOptunaSearcher(Searcher):
    """Optuna's TPE as Ray's OptunaSearch wires it: a trial is complete with its last value, failed when it diverged."""

    def __init__(self, problem: TableProblem, *, seed: int) -> None:
        super().__init__(metric=OBJECTIVE, mode=problem.mode)
        self._problem = problem
        direction = DIRECTIONS[problem.mode]
        self._study = optuna.create_study(direction=direction, sampler=optuna.samplers.TPESampler(seed=seed))
        self._given: dict[str, dict] = {}
        self._distributions: dict = {}
        self._rows: set[int] = set()

    def suggest(self, trial_id: str) -> dict:
        trial = self._study.ask()
        params = row_params(self._problem, self._problem.space(trial), self._rows)
        self._distributions = trial.distributions
        # The row takes its place when it ends.
        self._study.tell(trial, state=TrialState.FAIL)
        self._rows.add(self._problem.nearest(params))
        self._given[trial_id] = params
        return params

    def on_trial_result(self, trial_id: str, result: dict) -> None:
        """Optuna hears of it at the end."""

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        if result and not error:
            self._study.add_trial(
                optuna.trial.create_trial(
                    params=self._given[trial_id], distributions=self._distributions, value=result[OBJECTIVE]
                )
            )

    def save(self, checkpoint_path: str) -> None:
        raise NotImplementedError

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError


def row_params(problem: TableProblem, params: dict, used: Collection[int]) -> dict:
    return problem.row(problem.nearest(params, but=used))
