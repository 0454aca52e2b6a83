"""One replayed search, and the regret of its winner at each point of its budget."""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import optuna

from benchmarks.replay.loop import ReplayedSearch
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
from tuner.policy.simulation import SimulatedTrial

BUDGET_TRAININGS = 20
"""Full trainings that a search may spend."""
POINTS = 20
"""Points of the budget at which the search is asked for its winner."""


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


def run_job(job: Job) -> dict:
    """The job's fields, `regret` at each point by way of picking the winner, and `seconds` of CPU time.

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
    """Spends the budget; returns the regret at each point by way of picking the winner.

    A search that ends early keeps its last winner.
    """
    problem, picks = search.problem, _picks(search)
    budget = BUDGET_TRAININGS * problem.max_epochs
    regret: dict[str, list[float]] = {name: [] for name in picks}

    def num_asked() -> int:
        return len(next(iter(regret.values())))

    def ask() -> None:
        for name, pick in picks.items():
            trial = pick()
            regret[name].append(2.0 if trial is None else problem.regret(trial.candidate.params))

    def ask_if_due() -> None:
        if search.num_epochs * POINTS >= (num_asked() + 1) * budget:
            ask()

    with warnings.catch_warnings():
        # Optuna's about its experiments and about what Ray tells it twice.
        warnings.simplefilter("ignore")
        search.run(budget, on_epoch=ask_if_due)
    while num_asked() < POINTS:
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


def _picks(search: ReplayedSearch) -> dict[str, Callable[[], SimulatedTrial | None]]:
    """The ways to pick the winner, by name."""
    policy = search.policy
    if isinstance(policy, PromotingPolicy):
        return {"as the search ends": lambda: search.best_at_the_end(policy.finalists())}
    return {"best value": search.best_value, "best at the highest epoch": search.best_at_top}
