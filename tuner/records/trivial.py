"""What is known without training a network, on the validation and on the test split.

`trivial.json`: what the best prediction scores that looks at no image. `linear_probe.json`: what a linear layer scores
on the frozen features of trained weights. A network is worth its training where it is clearly above both.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from tuner.records.atomic_file import replacing
from tuner.records.typed_json import STRICT, parsed

TRIVIAL, PROBE = "trivial.json", "linear_probe.json"
Split = Literal["validation", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrivialScore:
    """On one split."""

    __pydantic_config__ = STRICT

    name: str
    """What is predicted, such as `an empty mask`."""
    objective: float
    metrics: dict[str, float]
    facts: dict[str, float] = field(default_factory=dict)
    """What was measured of the training labels, such as the share of the median object."""
    spread: float = 0.0
    """Standard deviation of the objective over the draws of a random answer; 0 of a constant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeScore:
    """On one split, with what its measurement took."""

    __pydantic_config__ = STRICT

    name: str
    objective: float
    metrics: dict[str, float]
    seconds: float


def write_trivial(folder: Path, split: Split, score: TrivialScore) -> None:
    """Replaces the file, with the other split's score as it was."""
    _write(folder / TRIVIAL, {**read_trivial(folder), split: score})


def read_trivial(folder: Path) -> Mapping[Split, TrivialScore]:
    """The scores by split; none where nothing was measured, as in folders of older versions.

    Raises:
        ValueError: the file is damaged.
    """
    path = folder / TRIVIAL
    return parsed(path.read_bytes(), dict[Split, TrivialScore], _damaged(path)) if path.is_file() else {}


def write_probe(folder: Path, split: Split, score: ProbeScore) -> None:
    """As `write_trivial`."""
    _write(folder / PROBE, {**read_probe(folder), split: score})


def read_probe(folder: Path) -> Mapping[Split, ProbeScore]:
    """As `read_trivial`; none without trained weights."""
    path = folder / PROBE
    return parsed(path.read_bytes(), dict[Split, ProbeScore], _damaged(path)) if path.is_file() else {}


def _write(path: Path, scores: Mapping[Split, TrivialScore] | Mapping[Split, ProbeScore]) -> None:
    with replacing(path) as partial:
        content = {name: asdict(one) for name, one in scores.items()}
        partial.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _damaged(path: Path) -> str:
    return f"{path} is damaged, restore it or delete it"
