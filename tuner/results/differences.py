"""How a trial's parameters differ from the default's."""

import math
from typing import NamedTuple

from search_spaces.glossary import MEANINGS
from tuner import formatting
from tuner.importance.measure import Importance
from tuner.records import SearchRecord, TrialRecord

NOT_USED = "not used"


class Difference(NamedTuple):
    parameter: str
    value: str
    default: str
    share: float | None
    """Share of the importance; None if unknown."""

    @property
    def meaning(self) -> str:
        """Meaning of the parameter in a few words; empty for a user's own."""
        return MEANINGS.get(self.parameter, "")

    @property
    def size(self) -> float:
        """Log ratio of numbers; a different word counts as a factor of e, an unused parameter as no difference."""
        if NOT_USED in (self.value, self.default):
            return 0.0
        try:
            value, default = float(self.value), float(self.default)
        except ValueError:
            return 1.0
        return abs(math.log(value / default)) if value * default > 0 else 1.0


def differences(search: SearchRecord, trial: TrialRecord, importance: Importance | None) -> list[Difference]:
    """Differences from the default, by importance, or else by size; empty for the default."""
    default = search.default_trial
    if default is None:
        return []
    shares = {} if importance is None else importance.shares
    names = sorted({**default.params, **trial.params}, key=lambda name: -shares.get(name, 0.0))
    both = [(name, *both_in_words(trial, default, name)) for name in names]
    found = [Difference(name, own, beside, shares.get(name)) for name, own, beside in both if own != beside]
    return found if importance is not None else sorted(found, key=lambda one: -one.size)


def both_in_words(trial: TrialRecord, other: TrialRecord, name: str) -> tuple[str, str]:
    """Formats a parameter's values in both, with all digits if fewer would look equal."""
    own, beside = value_in_words(trial, name), value_in_words(other, name)
    if own == beside and trial.params.get(name) != other.params.get(name):
        return str(trial.params[name]), str(other.params[name])
    return own, beside


def value_in_words(trial: TrialRecord, name: str) -> str:
    """Formats the value of a parameter; `NOT_USED` if the trial lacks it."""
    return formatting.parameter(trial.params[name]) if name in trial.params else NOT_USED
