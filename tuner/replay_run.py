"""One replayed search, and the regret of what it would have handed over at each point of its budget."""

import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import optuna

from tuner.promoting import PromotingProposer
from tuner.replay_loop import ReplayedSearch, ReplayedTrial
from tuner.replay_past import past_search
from tuner.replay_policies import POLICIES, Setting
from tuner.replay_problems import Problem, lcbench, taskset
from tuner.replay_synthetic import synthetic

BUDGET_TRAININGS = 20
"""Full trainings that a search may spend."""
POINTS = 20
"""Points of the budget at which the search is asked for its winner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One search; equal jobs have equal results."""

    suite: str
    """Where its curves are from: `synthetic`, or a kind and a path, as in `table:taskset.npz`."""
    problem: str
    policy: str
    grace_epochs: int
    slots: int
    seed: int


def run_job(job: Job) -> dict:
    """The job's fields, `regret` at each point by way of picking the winner, and `seconds`."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    problem = problems_of(job.suite)[job.problem]
    began = time.process_time()
    setting = Setting(problem=problem, slots=job.slots, seed=job.seed, grace_epochs=job.grace_epochs)
    searcher, scheduler = POLICIES[job.policy](setting)
    search = ReplayedSearch(
        problem, searcher, scheduler, slots=job.slots, stops_non_finite=not isinstance(searcher, PromotingProposer)
    )
    picks = _picks(search, searcher)
    budget = BUDGET_TRAININGS * problem.max_epochs
    regret: dict[str, list[float]] = {name: [] for name in picks}

    def ask() -> None:
        if search.epochs_spent * POINTS >= (len(next(iter(regret.values()))) + 1) * budget:
            for name, pick in picks.items():
                trial = pick()
                regret[name].append(2.0 if trial is None else problem.regret(trial.config))

    with warnings.catch_warnings():
        # Optuna's about its experiments and about what Ray tells it twice.
        warnings.simplefilter("ignore")
        search.run(budget, on_epoch=ask)
    return asdict(job) | {"regret": regret, "trials": len(search.trials), "seconds": time.process_time() - began}


@cache
def problems_of(suite: str) -> dict[str, Problem]:
    """By name; read once by each process."""
    kind, _, path = suite.partition(":")
    opened = {"table": taskset, "surrogate": lcbench, "search": past_search}
    problems = synthetic() if kind == "synthetic" else opened[kind](Path(path))
    return {problem.name: problem for problem in problems}


def _picks(search: ReplayedSearch, searcher: object) -> dict[str, Callable[[], ReplayedTrial | None]]:
    if isinstance(searcher, PromotingProposer):
        return {"expected best": partial(_favourite, search, searcher)}
    return {"best value": partial(_best_value, search), "best at the highest epoch": partial(_best_at_top, search)}


def _favourite(search: ReplayedSearch, searcher: PromotingProposer) -> ReplayedTrial | None:
    favourite = searcher.policy.favourite()
    return None if favourite is None else search.trials[favourite]


def _best_value(search: ReplayedSearch) -> ReplayedTrial | None:
    """Of all values that were seen, at whatever epoch."""
    return max(_measured(search), key=lambda trial: _goodness(search, trial).max(), default=None)


def _best_at_top(search: ReplayedSearch) -> ReplayedTrial | None:
    """Of the trials that came as far as any."""
    measured = list(_measured(search))
    top = max((trial.epoch for trial in measured), default=0)
    furthest = (trial for trial in measured if trial.epoch == top)
    return max(furthest, key=lambda trial: _goodness(search, trial)[-1], default=None)


def _measured(search: ReplayedSearch) -> Iterator[ReplayedTrial]:
    return (trial for trial in search.trials.values() if trial.epoch and math.isfinite(trial.value))


def _goodness(search: ReplayedSearch, trial: ReplayedTrial) -> np.ndarray:
    sign = 1.0 if search.problem.mode == "max" else -1.0
    return sign * trial.curve.values[: trial.epoch]
