"""Any sampler of Optuna's interface: `gp`, `cmaes`, or a user's own.

What: every proposal has its own study of all trials and its own sampler, seeded by the proposal's number, so it depends
only on the reported results. Most of Optuna's samplers learn from COMPLETE trials alone, so trials that ended or wait
are COMPLETE with their last value, as Ray's OptunaSearch tells them; one whose configuration was at fault has the worst
value of all. Trials that train are RUNNING until they first wait, failed ones FAIL: one that goes on from a rung keeps
its value, for it is among the best, which a sampler would forget while it trains. All have their values by epoch, and
their ending as the user attribute `outcome`.
A sampler may note something with a trial that it proposes, such as its generation in CMA-ES, or with the study, such as
its place in a sequence: the next study has both. A resumed search asks for each recorded trial again, and so gets the
same notes: they are not on record, because Optuna's are pickled.
Source: https://optuna.readthedocs.io/en/stable/reference/samplers; `cmaes` is Hansen, Ostermeier, "Completely
Derandomized Self-Adaptation in Evolution Strategies", 2001, https://doi.org/10.1162/106365601750190398.
Cost: 0.3 ms per trial for the study, and the sampler's own time: 1 to 4 s per proposal of `gp`, 10 ms of `cmaes`. Off:
`--sampler random`.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import optuna
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from search_spaces.questions import is_answer
from search_spaces.stub_trials import Choices, Distribution, FloatRange, StubTrial, ask, in_words, nearest
from tuner.policy.candidates import Candidate, SpaceSource, candidate_of
from tuner.policy.halving import HalvingConfig
from tuner.policy.outcomes import Outcome
from tuner.policy.proposals import TRIES
from tuner.policy.samplers.sampler import Sampler
from tuner.policy.samplers.tpe import DIRECTIONS, known_warnings_ignored, optuna_distributions

NAMED: Mapping[str, Callable[[int], BaseSampler]] = MappingProxyType(
    {
        "gp": lambda seed: optuna.samplers.GPSampler(seed=seed, warn_independent_sampling=False),
        "cmaes": lambda seed: optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False),
    }
)
"""Makes Optuna's own samplers from a seed."""


class _StudyNotes(NamedTuple):
    """Attributes that the sampler set on the study."""

    user: Mapping[str, Any]
    system: Mapping[str, Any]


class _Proposal(NamedTuple):
    candidate: Candidate
    notes: Mapping[str, Any]
    """System attributes that the sampler set on the trial."""
    study_notes: _StudyNotes
    """All attributes of the study after this proposal."""


@dataclass(slots=True)
class _KnownTrial:
    """A trial with all that was reported of it so far."""

    candidate: Candidate
    notes: Mapping[str, Any]
    """System attributes that the sampler set on it."""
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
        self._study_notes = _StudyNotes({}, {})
        self._asked: list[_Proposal] = []
        """Proposals since the last change."""

    def draw(self, generator: random.Random) -> Iterable[Candidate]:
        """Drawn from the trials known so far, not from `generator`: a resumed search has to draw the same again."""
        return (proposal.candidate for proposal in self._ask())

    def start(self, trial: str, candidate: Candidate) -> None:
        notes: Mapping[str, Any] = {}
        if self._takes_notes:
            # Of the first one that was new; where there is none, the sampler goes on after the last.
            new = (one for one in self._ask() if one.candidate.identity not in self._known)
            proposed = next(new, None) or self._asked[-1]
            self._study_notes = proposed.study_notes
            notes = proposed.notes if proposed.candidate.identity == candidate.identity else {}
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

    def _ask(self) -> Iterator[_Proposal]:
        for number in range(TRIES):
            if number == len(self._asked):
                seed = random.Random(f"{self._seed}/{len(self._trials)}/{number}").getrandbits(32)
                before = self._asked[-1].study_notes if self._asked else self._study_notes
                self._asked.append(self._propose(seed, before))
            yield self._asked[number]

    def _propose(self, seed: int, before: _StudyNotes) -> _Proposal:
        with known_warnings_ignored():
            sampler = self._make(seed)
            storage = InMemoryStorage()
            study = optuna.create_study(storage=storage, direction=self._direction, sampler=sampler)
            _note(storage, study, before)
            values = [value for known in self._trials.values() for value in known.values.values()]
            worst = min(values, key=lambda value: self._sign * value, default=None)
            study.add_trials([self._frozen(known, worst) for known in self._trials.values()])
            with _errors_named(sampler):
                trial = study.ask()

            def answer(name: str, distribution: Distribution) -> Any:
                # The sampler is called in the middle of the space, whose errors are its own.
                with _errors_named(sampler):
                    value = ask(trial, name, distribution)
                return _inside(name, value, distribution, sampler)

            candidate = candidate_of(self._space, StubTrial(answer))
        notes = study.get_trials(deepcopy=False)[-1].system_attrs
        return _Proposal(candidate, notes, _noted(storage, study))

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
            distributions=optuna_distributions(known.candidate),
            intermediate_values=dict(known.values),
            user_attrs={} if known.outcome is None else {"outcome": str(known.outcome)},
            system_attrs=dict(known.notes),
        )


def _note(storage: InMemoryStorage, study: optuna.Study, notes: _StudyNotes) -> None:
    identity = storage.get_study_id_from_name(study.study_name)
    for name, value in notes.user.items():
        storage.set_study_user_attr(identity, name, value)
    for name, value in notes.system.items():
        storage.set_study_system_attr(identity, name, value)


def _noted(storage: InMemoryStorage, study: optuna.Study) -> _StudyNotes:
    identity = storage.get_study_id_from_name(study.study_name)
    return _StudyNotes(storage.get_study_user_attrs(identity), storage.get_study_system_attrs(identity))


@contextmanager
def _errors_named(sampler: BaseSampler) -> Iterator[None]:
    """An error of the sampler's is a sentence with its name."""
    try:
        yield
    except (Exception, SystemExit) as error:
        name = type(sampler).__name__
        raise ValueError(f"The sampler {name} failed: {type(error).__name__}: {error}") from error


def _inside(name: str, value: Any, distribution: Distribution, sampler: BaseSampler) -> Any:
    """A sampler's value as the space asks for it: Optuna checks its choices, not its numbers, which may be NumPy's, and
    miss an end of the range by a rounding.

    Raises:
        ValueError: it is another value.
    """
    value = float(value) if isinstance(distribution, FloatRange) else value
    if not is_answer(value, distribution):
        raise ValueError(
            f"The sampler {type(sampler).__name__} proposes {name}={value!r}; the space asks for "
            f"{in_words(distribution)}."
        )
    if isinstance(distribution, Choices):
        return value
    return type(value)(nearest(distribution, value))
