"""Optuna's TPE as a sampler that proposes the same after a resume and is as fast after ten thousand trials.

What: every proposal has its own sampler, seeded by the proposal's number, on a study of the trials that ended or wait,
so it depends only on the reported results. Completed and plateaued trials are COMPLETE. Trials that wait or were
stopped at a rung are PRUNED, with their values by epoch: TPE ranks them behind those that got further. Trials that
count as bad (`Outcome.counts_as_bad`) are PRUNED and infeasible, which TPE ranks behind all others whatever their early
values. Failed trials are ignored.
TPE divides these trials into the best (a tenth, at most 25) and the rest, and its time grows with the rest: a long
study is replaced from time to time by its best and latest trials.
Source: Bergstra, Bardenet, Bengio, Kegl, "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011,
https://papers.nips.cc/paper/4443-algorithms-for-hyper-parameter-optimization.
Cost: 5 to 10 ms per proposal. Off: `--sampler random`.
"""

import random
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search_spaces.stub_trials import Choices, Distribution, FloatRange, IntRange, passing_on
from tuner.policy.candidates import Candidate, SpaceSource, candidate_of
from tuner.policy.halving import sign_of
from tuner.policy.outcomes import Outcome
from tuner.policy.proposals import TRIES
from tuner.policy.samplers.sampler import Sampler

NUM_BEST = 50
"""TPE uses at most 25 of them as its best."""
NUM_LATEST = 250
NUM_BETWEEN = 100
"""Trials that end before a study is replaced."""
DIRECTIONS = {"max": StudyDirection.MAXIMIZE, "min": StudyDirection.MINIMIZE}
STATES = {
    Outcome.COMPLETED: TrialState.COMPLETE,
    Outcome.PLATEAUED: TrialState.COMPLETE,
    Outcome.STOPPED_AT_RUNG: TrialState.PRUNED,
    Outcome.DIVERGED: TrialState.PRUNED,
    Outcome.OUT_OF_MEMORY: TrialState.PRUNED,
    Outcome.OVER_LIMIT: TrialState.PRUNED,
    Outcome.EXPERTS_COLLAPSED: TrialState.PRUNED,
    Outcome.FAILED: TrialState.FAIL,
}


class TpeSampler(Sampler):
    """Asks Optuna for configurations and tells it their results.

    Args:
        space: maps an Optuna trial to training parameters.
        mode: `max` or `min`.
    """

    def __init__(self, space: Callable[[Any], dict], *, mode: str) -> None:
        super().__init__(SpaceSource(space))
        self._space = space
        self._direction = DIRECTIONS[mode]
        self._sign = sign_of(mode)
        self._study: optuna.Study | None = None
        self._open: dict[str, Candidate] = {}
        self._values: dict[str, dict[int, float]] = {}
        self._known: dict[str, FrozenTrial] = {}

    def draw(self, generator: random.Random) -> Iterable[Candidate]:
        if self._study is None:
            self._study = optuna.create_study(direction=self._direction)
            self._study.add_trials(self._known.values())
        study = self._study
        for _ in range(TRIES):
            seed = generator.getrandbits(32)
            with known_warnings_ignored():
                # Multivariate over each group of parameters that occur together, which a conditional space needs.
                study.sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True)
                trial = study.ask()
                candidate = candidate_of(self._space, passing_on(trial))
            # A draw may be rejected; it becomes a trial only when it starts.
            study.tell(trial, state=TrialState.FAIL)
            yield candidate

    def start(self, trial: str, candidate: Candidate) -> None:
        self._open[trial], self._values[trial] = candidate, {}

    def report(self, trial: str, *, epoch: int, value: float) -> None:
        """Records a value; a repeated epoch replaces it."""
        self._values[trial][epoch] = value

    def pause(self, trial: str) -> None:
        self._tell(trial, Outcome.STOPPED_AT_RUNG)

    def end(self, trial: str, outcome: Outcome) -> None:
        self._tell(trial, outcome)
        del self._open[trial], self._values[trial]

    def _tell(self, trial: str, outcome: Outcome) -> None:
        """Adds a trial to the study, or rebuilds it without the trial's earlier values: a study can't be changed."""
        is_known = self._known.pop(trial, None) is not None
        teaches = STATES[outcome] is not TrialState.FAIL
        if teaches:
            self._known[trial] = self._frozen(self._open[trial], self._values[trial], outcome)
        if len(self._known) > NUM_BEST + NUM_LATEST + NUM_BETWEEN:
            # A new study of the best and the latest trials, in the order in which they ended or began to wait.
            names = list(self._known)
            best = sorted(names, key=lambda name: self._badness(self._known[name]))[:NUM_BEST]
            kept = {*best, *names[-NUM_LATEST:]}
            self._known = {name: self._known[name] for name in names if name in kept}
            self._study = None
        elif is_known:
            self._study = None
        elif teaches and self._study is not None:
            self._study.add_trial(self._known[trial])

    def _frozen(self, candidate: Candidate, values: dict[int, float], outcome: Outcome) -> FrozenTrial:
        state = STATES[outcome]
        return optuna.trial.create_trial(
            state=state,
            value=values[max(values)] if state is TrialState.COMPLETE else None,
            params=candidate.answers,
            distributions=optuna_distributions(candidate),
            intermediate_values=dict(values),
            constraints={"outcome": 1.0} if outcome.counts_as_bad else None,
        )

    def _badness(self, trial: FrozenTrial) -> tuple[int, float, float]:
        """TPE's own order: complete trials by value, pruned ones by their last epoch, infeasible ones last."""
        if trial.constraints:
            return 2, 0.0, 0.0
        if trial.state is TrialState.COMPLETE and trial.value is not None:
            return 0, -self._sign * trial.value, 0.0
        step, value = max(trial.intermediate_values.items(), default=(-1, 0.0))
        return 1, -step, -self._sign * value


@contextmanager
def known_warnings_ignored() -> Iterator[None]:
    """Ignores what Optuna says of each proposal anew: that a part of it may change, that steps do not meet the end of a
    range, and that choices are tuples."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        for said in ("The distribution is specified by", "Choices for a categorical distribution"):
            warnings.filterwarnings("ignore", message=said, category=UserWarning)
        yield


def optuna_distributions(candidate: Candidate) -> dict[str, BaseDistribution]:
    """Returns Optuna's distributions by parameter."""
    with known_warnings_ignored():
        return {name: _optuna_distribution(one) for name, one in candidate.distributions.items()}


def _optuna_distribution(distribution: Distribution) -> BaseDistribution:
    match distribution:
        case Choices(values=values):
            return CategoricalDistribution(values)
        case IntRange(low=low, high=high, step=step, log=log):
            return IntDistribution(low, high, log=log, step=step)
        case FloatRange(low=low, high=high, step=step, log=log):
            return FloatDistribution(low, high, log=log, step=step)
