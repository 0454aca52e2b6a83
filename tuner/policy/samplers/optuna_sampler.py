"""Any sampler of Optuna's interface: `gp`, `cmaes`, or a user's own.

What: every proposal has its own study of all trials and its own sampler, seeded by the proposal's number, so it depends
only on the reported results. Most of Optuna's samplers learn from COMPLETE trials alone, so trials that ended or wait
are COMPLETE with their last value, as Ray's OptunaSearch tells them; one whose configuration was at fault has the worst
value of all. Trials that train are RUNNING until they first wait, failed ones FAIL: one that goes on from a rung keeps
its value, for it is among the best, which a sampler would forget while it trains. All have their values by epoch, and
their ending as the user attribute `outcome`.
A sampler may note something with a trial that it proposes, such as its generation in CMA-ES. A resumed search asks for
each recorded trial again, and so gets the same notes: they are not on record, because Optuna's are pickled.
Source: https://optuna.readthedocs.io/en/stable/reference/samplers; `cmaes` is Hansen, Ostermeier, "Completely
Derandomized Self-Adaptation in Evolution Strategies", 2001, https://doi.org/10.1162/106365601750190398.
Cost: 0.3 ms per trial for the study, and the sampler's own time: 1 to 4 s per proposal of `gp`, 10 ms of `cmaes`. Off:
`--sampler random`.
"""

import random
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from search_spaces.questions import is_answer
from search_spaces.stub_trials import Distribution, StubTrial, ask, in_words
from tuner.policy.candidates import Candidate, SpaceSource, candidate_of
from tuner.policy.halving import HalvingConfig
from tuner.policy.outcomes import Outcome
from tuner.policy.proposals import TRIES
from tuner.policy.samplers.sampler import Sampler
from tuner.policy.samplers.tpe import DIRECTIONS, optuna_distribution

NAMED: Mapping[str, Callable[[int], BaseSampler]] = MappingProxyType(
    {
        "gp": lambda seed: optuna.samplers.GPSampler(seed=seed, warn_independent_sampling=False),
        "cmaes": lambda seed: optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False),
    }
)
"""Makes Optuna's own samplers from a seed."""


@dataclass(slots=True)
class _KnownTrial:
    """A trial with all that was reported of it so far."""

    candidate: Candidate
    notes: Mapping[str, Any]
    """What the sampler noted with it."""
    values: dict[int, float] = field(default_factory=dict)
    has_waited: bool = False
    """At a rung, and perhaps went on from there."""
    outcome: Outcome | None = None


class OptunaSampler(Sampler):
    """Asks a sampler of Optuna for configurations.

    Args:
        space: maps an Optuna trial to training parameters.
        make: a new sampler with this seed.
        takes_notes: whether what it notes with a trial matters to it; asks again for each trial of a resumed search.
    """

    def __init__(
        self,
        space: Callable[[Any], dict],
        config: HalvingConfig,
        make: Callable[[int], BaseSampler],
        *,
        takes_notes: bool = True,
    ) -> None:
        super().__init__(SpaceSource(space))
        self._space, self._make, self._takes_notes = space, make, takes_notes
        self._direction = DIRECTIONS[config.mode]
        self._sign, self._seed = config.sign, config.seed
        self._trials: dict[str, _KnownTrial] = {}
        self._known: set[frozenset] = set()
        self._asked: list[tuple[Candidate, Mapping[str, Any]]] = []
        """Candidates since the last change, with the sampler's notes."""

    def draw(self, generator: random.Random) -> Iterable[Candidate]:
        """Drawn from the trials known so far, not from `generator`: a resumed search has to draw the same again."""
        return (candidate for candidate, _ in self._ask())

    def start(self, trial: str, candidate: Candidate) -> None:
        notes: Mapping[str, Any] = {}
        if self._takes_notes:
            # None unless the candidate is what the sampler proposed last: the first one that was new.
            new = ((one, noted) for one, noted in self._ask() if one.identity not in self._known)
            proposed, noted = next(new, (None, {}))
            notes = noted if proposed is not None and proposed.identity == candidate.identity else {}
        self._trials[trial] = _KnownTrial(candidate, notes)
        self._known.add(candidate.identity)
        self._asked.clear()

    def report(self, trial: str, *, epoch: int, value: float) -> None:
        self._trials[trial].values[epoch] = value
        self._asked.clear()

    def pause(self, trial: str) -> None:
        self._trials[trial].has_waited = True
        self._asked.clear()

    def end(self, trial: str, outcome: Outcome) -> None:
        self._trials[trial].outcome = outcome
        self._asked.clear()

    def _ask(self) -> Iterator[tuple[Candidate, Mapping[str, Any]]]:
        for number in range(TRIES):
            if number == len(self._asked):
                seed = random.Random(f"{self._seed}/{len(self._trials)}/{number}").getrandbits(32)
                self._asked.append(self._propose(seed))
            yield self._asked[number]

    def _propose(self, seed: int) -> tuple[Candidate, Mapping[str, Any]]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            sampler = self._make(seed)
            study = optuna.create_study(direction=self._direction, sampler=sampler)
            values = [value for known in self._trials.values() for value in known.values.values()]
            worst = min(values, key=lambda value: self._sign * value, default=None)
            study.add_trials([self._frozen(known, worst) for known in self._trials.values()])
            with _errors_named(sampler):
                trial = study.ask()

            def answer(name: str, distribution: Distribution) -> Any:
                # The sampler is called in the middle of the space, whose errors are its own.
                with _errors_named(sampler):
                    return ask(trial, name, distribution)

            candidate = candidate_of(self._space, StubTrial(answer))
        _check_inside(candidate, sampler)
        return candidate, study.get_trials(deepcopy=False)[-1].system_attrs

    def _frozen(self, known: _KnownTrial, worst: float | None) -> FrozenTrial:
        is_bad = known.outcome is not None and known.outcome.counts_as_bad
        last = known.values[max(known.values)] if known.values else None
        value = worst if is_bad else last
        if known.outcome is Outcome.FAILED:
            state = TrialState.FAIL
        elif known.outcome is None and not known.has_waited:
            state = TrialState.RUNNING
        else:
            state = TrialState.COMPLETE if value is not None else TrialState.FAIL
        return optuna.trial.create_trial(
            state=state,
            value=value if state is TrialState.COMPLETE else None,
            params=known.candidate.answers,
            distributions={name: optuna_distribution(one) for name, one in known.candidate.distributions.items()},
            intermediate_values=dict(known.values),
            user_attrs={} if known.outcome is None else {"outcome": str(known.outcome)},
            system_attrs=dict(known.notes),
        )


@contextmanager
def _errors_named(sampler: BaseSampler) -> Iterator[None]:
    """An error of the sampler's is a sentence with its name."""
    try:
        yield
    except (Exception, SystemExit) as error:
        name = type(sampler).__name__
        raise ValueError(f"The sampler {name} failed: {type(error).__name__}: {error}") from error


def _check_inside(candidate: Candidate, sampler: BaseSampler) -> None:
    """Optuna checks the choices of a sampler, not its numbers."""
    for name, distribution in candidate.distributions.items():
        if not is_answer(value := candidate.answers[name], distribution):
            raise ValueError(
                f"The sampler {type(sampler).__name__} proposes {name}={value!r}; the space asks for "
                f"{in_words(distribution)}."
            )
