"""A define-by-run space as a list of parameters, and a peer's values as a configuration of that space.

Ranges, logarithms, whole numbers, choices and conditions on one choice are found by drawing configurations. A condition
on anything else is left out: the peer then gives that parameter a value everywhere, which is used where the space asks.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.replay.peer_process.interface import Condition, Parameter
from search_spaces.stub_trials import Choices, Distribution, IntRange, StubTrial
from tuner.policy.candidates import Candidate, SpaceSource, candidate_of

NUM_DRAWN = 500


class DescribedSpace:
    """A space whose parameters are known.

    Attributes:
        parameters: in the order in which the space first asks for them.
    """

    def __init__(self, space: Callable[[Any], dict]) -> None:
        self._space, self._source = space, SpaceSource(space)
        generator = random.Random(0)
        drawn = [self._source.any(generator) for _ in range(NUM_DRAWN)]
        self._distributions = {name: spread for one in drawn for name, spread in one.distributions.items()}
        self.parameters = [_parameter(name, spread, drawn) for name, spread in self._distributions.items()]

    def candidate(self, values: Mapping[str, Any]) -> Candidate:
        """Builds the candidate of a peer's values.

        Raises:
            ValueError: one is outside of its range, or missing.
        """
        answers = {name: _answer(self._distributions[name], value) for name, value in values.items()}
        asked = candidate_of(self._space, StubTrial(lambda name, _: answers.get(name))).answers
        return self._source.of({name: answers[name] for name in asked if name in answers})


def _parameter(name: str, spread: Distribution, drawn: Sequence[Candidate]) -> Parameter:
    condition = next(_conditions(name, drawn), None)
    if isinstance(spread, Choices):
        last = len(spread.values) - 1
        return Parameter(name=name, type="choice", low=0, high=last, log=False, condition=condition)
    kind = "int" if isinstance(spread, IntRange) else "float"
    return Parameter(name=name, type=kind, low=spread.low, high=spread.high, log=spread.log, condition=condition)


def _conditions(name: str, drawn: Sequence[Candidate]) -> Iterator[Condition]:
    """Each choice whose value decides whether the parameter is asked for."""
    having = [one for one in drawn if name in one.answers]
    lacking = [one for one in drawn if name not in one.answers]
    choices = {other for one in having for other, spread in one.distributions.items() if isinstance(spread, Choices)}
    for other in sorted(choices - {name}) if lacking else ():
        with_it, without = _places(other, having), _places(other, lacking)
        if None not in with_it and not with_it & without:
            yield Condition(on=other, choices=sorted(place for place in with_it if place is not None))


def _places(name: str, drawn: Sequence[Candidate]) -> set[int | None]:
    """Indices of the choices drawn for this parameter; None if it is not a choice."""
    spreads = ((one, one.distributions.get(name)) for one in drawn)
    return {spread.values.index(one.answers[name]) if isinstance(spread, Choices) else None for one, spread in spreads}


def _answer(spread: Distribution, value: Any) -> Any:
    """The value, its choice if it is a place, or the end of the range from which rounding alone parts it."""
    if isinstance(spread, Choices):
        return spread.values[value]
    return next((end for end in (spread.low, spread.high) if math.isclose(value, end, rel_tol=1e-9)), value)
