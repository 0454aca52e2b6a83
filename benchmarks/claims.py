"""A claim and its measurements, this project's and the peers' in the same unit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.harness import Spread, ratios

OURS = "ours"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One implementation of the work."""

    name: str
    values: tuple[float, ...] = ()
    """One a round; empty when it could not be measured."""
    note: str = ""
    """Why it could not, or what to know about it."""
    curve: tuple[tuple[int, float], ...] = ()
    """For a claim about growth: numbers of trials, and the measured values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One piece of work, everyone who does it, and what we said that ours would reach."""

    number: int
    """The row of the table of claims."""
    work: str
    unit: str
    sides: tuple[Side, ...]
    reference: str
    """The side that the ratios are relative to."""
    target: str
    finding: str
    """The result to compare with the target."""
    reached: bool | None
    """None when it could not be measured here, or is listed without a target."""

    curve_unit: str = ""
    """Unit of the sides' curves, if different."""

    @property
    def side_ratios(self) -> dict[str, Spread]:
        """The measured sides over the reference; none when that is missing, or nothing, as a memory may be."""
        values = {side.name: side.values for side in self.sides if side.values}
        references = values.get(self.reference)
        if references is None or not all(references):
            return {}
        paired = {name: own for name, own in values.items() if len(own) == len(references)}
        return {name: Spread.of(ratios(own, references)) for name, own in paired.items()}


def sides_of(numbers: Mapping[str, Sequence[float]], *, scale: float = 1.0, missing: Mapping[str, str] | None = None):
    """The sides of a measurement in the unit that is `scale` times its own, then those that are missing, and why."""
    measured = [Side(name=name, values=tuple(scale * value for value in values)) for name, values in numbers.items()]
    return (*measured, *(Side(name=name, note=note) for name, note in (missing or {}).items()))
