"""Values that need no trained network, on the validation and on the test split.

`trivial.json`: what the best prediction scores that looks at no image. `linear_probe.json`: what a linear layer scores
on the frozen features of trained weights. A network is worth its training where it is clearly above both.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Generic, Literal, TypeVar

from tuner.records.atomic_file import replacing
from tuner.records.typed_json import STRICT, parse

Split = Literal["validation", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrivialScore:
    """Score of the trivial prediction on one split."""

    __pydantic_config__ = STRICT

    name: str
    """Name of the prediction, such as `an empty mask`."""
    objective: float
    metrics: dict[str, float]
    facts: dict[str, float] = field(default_factory=dict)
    """Facts about the training labels, such as the share of the median object."""
    spread: float = 0.0
    """Standard deviation of the objective over the draws of a random answer; 0 of a constant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeScore:
    """Score of the linear probe on one split, and the cost of measuring it."""

    __pydantic_config__ = STRICT

    name: str
    objective: float
    metrics: dict[str, float]
    seconds: float


Score = TypeVar("Score", TrivialScore, ProbeScore)


@dataclass(frozen=True, slots=True)
class ScoreFile(Generic[Score]):
    """A file of a results folder with the score of each measured split."""

    name: str
    scores: type[dict[Split, Score]]

    def read(self, folder: Path) -> dict[Split, Score]:
        """The scores by split; none where nothing was measured, as in folders of older versions.

        Raises:
            ValueError: the file is damaged.
        """
        path = folder / self.name
        if not path.is_file():
            return {}
        return parse(path.read_bytes(), self.scores, f"{path} is damaged, restore it or delete it")

    def write(self, folder: Path, split: Split, score: Score) -> None:
        """Replaces the file, keeping the other split's score."""
        scores = {**self.read(folder), split: score}
        content = {name: asdict(one) for name, one in scores.items()}
        with replacing(folder / self.name) as partial:
            partial.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


TRIVIAL = ScoreFile("trivial.json", dict[Split, TrivialScore])
PROBE = ScoreFile("linear_probe.json", dict[Split, ProbeScore])
"""Measured for trained weights only."""
