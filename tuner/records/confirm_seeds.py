"""On how many seeds a confirmation trains: `3..6` is three, and up to six while it is undecided."""

import re
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import Field

MOST_SEEDS = 100
"""The error of the intervals is controlled up to so many seeds."""
Seeds = Annotated[int, Field(ge=1, le=MOST_SEEDS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmSeeds:
    """The plan of a confirmation."""

    first: Seeds
    """Seeds of the default and of every candidate."""
    last: Seeds
    """The exported candidate and the default get further ones up to so many, until their difference is decided."""

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError(f"the last number of seeds, {self.last}, is below the first, {self.first}")

    @classmethod
    def parse(cls, text: str, *, option: str) -> Self:
        """Parses `3` or `3..10`; raises a ValueError that names the option if it is malformed."""
        match = re.fullmatch(r"(\d{1,9})(?:\.\.(\d{1,9}))?", text.strip())
        first, last = (0, 0) if match is None else (int(match[1]), int(match[2] or match[1]))
        if not 1 <= first <= last <= MOST_SEEDS:
            raise ValueError(
                f"{option} is {text!r}; give a number from 1 to {MOST_SEEDS}, or a range such as 3..10: up to 10 while "
                "undecided."
            )
        return cls(first=first, last=last)

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}..{self.last}"


THREE_SEEDS = ConfirmSeeds(first=3, last=3)
"""Seeds of searches recorded before the number could be chosen."""
DEFAULT_SEEDS = ConfirmSeeds(first=3, last=6)
