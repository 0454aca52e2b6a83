"""`trivial.json`: what the best prediction scores that looks at no image, on the validation and on the test split.

A network is worth its training where it is clearly above.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from tuner.records.atomic_file import replacing
from tuner.records.typed_json import STRICT, parsed

TRIVIAL = "trivial.json"
Split = Literal["validation", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrivialScore:
    """On one split."""

    __pydantic_config__ = STRICT

    name: str
    """What is predicted, such as `an empty mask`."""
    objective: float
    metrics: dict[str, float]


def write_trivial(folder: Path, split: Split, score: TrivialScore) -> None:
    """Replaces the file, with the other split's score as it was."""
    scores = {**read_trivial(folder), split: score}
    with replacing(folder / TRIVIAL) as partial:
        content = {name: asdict(one) for name, one in scores.items()}
        partial.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_trivial(folder: Path) -> Mapping[Split, TrivialScore]:
    """The scores by split; none where nothing was measured, as in folders of older versions.

    Raises:
        ValueError: the file is damaged.
    """
    path = folder / TRIVIAL
    if not path.is_file():
        return {}
    return parsed(path.read_bytes(), dict[Split, TrivialScore], f"{path} is damaged, restore it or delete it")
