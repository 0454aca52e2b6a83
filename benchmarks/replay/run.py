"""One replayed search, and the regret of its winner at each point of its budget."""

import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import optuna

from benchmarks.replay.loop import Ending, ReplayedSearch
from benchmarks.replay.past import past_search
from benchmarks.replay.peer_process.policy import peer_policy
from benchmarks.replay.peer_process.process import MODULES as PEERS
from benchmarks.replay.peer_process.process import PeerError
from benchmarks.replay.policies import POLICIES, Setting
from benchmarks.replay.problems import Problem, lcbench, taskset
from benchmarks.replay.synthetic import synthetic
from benchmarks.replay.wide import wide
from tuner.policy.policy import Policy
from tuner.policy.schedulers.promoting import PromotingPolicy

BUDGET_TRAININGS = 20
"""Full trainings that a search may spend."""
POINTS = 20
"""Points of the budget at which the regret is given."""
ASKS = 200
"""Moments at which the search is asked how it would end."""
RULES = 2
"""Raised with each change after which equal jobs have other results, so that recorded searches are run again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One search; equal jobs have equal results."""

    suite: str
    """Source of the curves: `synthetic`, `wide`, or a kind and a path, as in `table:taskset.npz`."""
    problem: str
    policy: str
    grace_epochs: int
    slots: int
    seed: int
    noise: float = 0.0
    rules: int = RULES


def run_job(job: Job) -> dict:
    """The job's fields, `regret` at each point by way of ending the search, and `seconds` of CPU time.

    Raises:
        PeerError: a peer failed; the text is a sentence that names it and the search.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    problem = problems_of(job.suite)[job.problem]
    began = _cpu_seconds()
    with _policy_of(job, problem) as policy:
        search = ReplayedSearch(problem, policy, slots=job.slots, noise=job.noise, seed=job.seed)
        regret = _run(search)
    return asdict(job) | {"regret": regret, "trials": len(search.trials), "seconds": _cpu_seconds() - began}


def _run(search: ReplayedSearch) -> dict[str, list[float]]:
    """Spends the budget; returns the regret at each point by way of ending the search.

    At a point it is the regret of the last ending that would have cost no more, with the epochs that it still trains; 2
    before the first.
    """
    problem, endings = search.problem, _endings(search)
    budget = BUDGET_TRAININGS * problem.max_epochs
    regret = {name: [2.0] * POINTS for name in endings}

    def ask() -> None:
        for name, end in endings.items():
            if (ending := end()) is not None:
                spent = search.num_epochs + ending.missing_epochs
                affordable = POINTS - max(0, math.ceil(spent * POINTS / budget) - 1)
                if affordable > 0:
                    regret[name][-affordable:] = [problem.regret(ending.winner.candidate.params)] * affordable

    def ask_if_due() -> None:
        if search.num_epochs % max(1, budget // ASKS) == 0:
            ask()

    with warnings.catch_warnings():
        # Optuna's about its experiments and about what Ray tells it twice.
        warnings.simplefilter("ignore")
        search.run(budget, on_epoch=ask_if_due)
    ask()
    return regret


@contextmanager
def _policy_of(job: Job, problem: Problem) -> Iterator[Policy]:
    setting = Setting(problem=problem, slots=job.slots, seed=job.seed, grace_epochs=job.grace_epochs)
    if job.policy not in PEERS:
        yield POLICIES[job.policy](setting)
        return
    try:
        with peer_policy(job.policy, setting, trainings=BUDGET_TRAININGS) as policy:
            yield policy
    except PeerError as error:
        raise PeerError(f"{job.policy} on {job.problem}, seed {job.seed}, {error}") from None


def _cpu_seconds() -> float:
    """CPU seconds of this process and its ended child processes."""
    return sum(os.times()[:4])


@cache
def problems_of(suite: str) -> dict[str, Problem]:
    """Problems of a suite by name; each process reads them once."""
    kind, _, path = suite.partition(":")
    generated: dict[str, Callable[[], Iterable[Problem]]] = {"synthetic": synthetic, "wide": wide}
    opened: dict[str, Callable[[Path], Iterable[Problem]]] = {
        "table": taskset,
        "surrogate": lcbench,
        "search": past_search,
    }
    problems = generated[kind]() if kind in generated else opened[kind](Path(path))
    return {problem.name: problem for problem in problems}


def _endings(search: ReplayedSearch) -> dict[str, Callable[[], Ending | None]]:
    """The ways to end the search now, by name."""
    policy = search.policy
    if isinstance(policy, PromotingPolicy):
        return {"finalists at full length": lambda: search.end_with_finalists(policy.finalists())}
    return {"best value": search.end_with_best_value, "best at the highest epoch": search.end_with_best_at_top}
