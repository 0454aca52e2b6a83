"""`samples.json`: test images with their truth, beside what the default and the exported trial say of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field

from tuner import formatting
from tuner.records.atomic_file import replacing
from tuner.records.typed_json import STRICT, parse

SAMPLES = "samples.json"
POOR_SCORE = 0.5
"""Below it, a network fails on an image."""
DataUri = Annotated[str, Field(pattern=r"^data:image/jpeg;base64,[A-Za-z0-9+/=]+$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Output of one network for an image, with its score."""

    __pydantic_config__ = STRICT

    picture: DataUri | None
    """The image with what it says drawn on it; None where the caption says it."""
    caption: str
    score: float
    """Score from 0 to 1, higher is better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One image of the test split."""

    __pydantic_config__ = STRICT

    number: Annotated[int, Field(ge=0)]
    """Position in the order of the final test."""
    picture: DataUri
    """The image, with its truth where that can be drawn."""
    truth: str
    exported: Judgement
    default: Judgement | None = None
    """None where the default is exported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """Counts (truth, prediction) of two networks."""

    __pydantic_config__ = STRICT

    title: str
    """Title of the task; empty if there is only one."""
    classes: Sequence[str]
    exported: Sequence[Sequence[int]]
    default: Sequence[Sequence[int]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Samples of the test split, and how often each class was taken for which."""

    __pydantic_config__ = STRICT

    trial: str
    """Name of the exported trial."""
    score: str
    """Description of the scores."""
    num_judged: int
    num_test: int | None = None
    """Images of the test split, over which the judged ones are spread; None where an older version judged its first."""
    shown: Sequence[Sample]
    """Spread over the split."""
    worst_default: Sequence[Sample]
    worst_exported: Sequence[Sample]
    confusions: Sequence[Confusion] = ()
    """One for each task of classes."""
    num_poor: Mapping[str, int] = field(default_factory=dict)
    """Judged images with a score below `POOR_SCORE`, by network; empty where they were not counted."""
    in_rows: bool = False
    """Whether the pictures are wide, and shown below each other."""


def which_judged(samples: Samples) -> str:
    """Describes the judged images, such as `200 of 336 test images, spread evenly over the split`."""
    judged = formatting.count(samples.num_judged, "test image")
    if samples.num_test is None:
        return f"The first {judged} in the order of the files, which may be that of the classes"
    if samples.num_judged == samples.num_test:
        return "The only test image" if samples.num_test == 1 else f"All {judged}"
    of = formatting.count(samples.num_test, "test image")
    return f"{samples.num_judged} of {of}, spread evenly over the split"


def failures(samples: Samples) -> list[str]:
    """Describes how often the exported trial fails, compared to the default, and its most frequent mistakes."""
    poor, found = samples.num_poor, []
    if "exported" in poor:
        beside = f"; with the default, on {poor['default']}" if "default" in poor else ""
        share = f"{poor['exported']} of {formatting.count(samples.num_judged, 'image')}"
        who = "the exported trial" if beside else "the default"
        found.append(f"With {who}, the {_score_word(samples)} is below {POOR_SCORE} on {share}{beside}.")
    for one in samples.confusions:
        if (mistake := _worst_mistake(one)) is not None:
            task = f" of {one.title}" if one.title else ""
            found.append(f"Its most frequent mistake{task}: {mistake}.")
    return found


def fails_most(samples: Samples) -> str | None:
    """Describes the most frequent mistake, or else how often scores are low; None if neither is known."""
    mistakes = [mistake for one in samples.confusions if (mistake := _worst_mistake(one)) is not None]
    poor = samples.num_poor
    if mistakes or "exported" not in poor:
        return "; ".join(mistakes) or None
    beside = f" (default {poor['default']})" if "default" in poor else ""
    images = formatting.count(samples.num_judged, "image")
    return f"{_score_word(samples)} below {POOR_SCORE} on {poor['exported']} of {images}{beside}"


def _score_word(samples: Samples) -> str:
    """Name of the score, without its explanation."""
    return samples.score.partition(",")[0]


def _worst_mistake(confusion: Confusion) -> str | None:
    """Describes the most frequent mistake, such as `rust taken for mildew, 3 of 20`; None without mistakes."""
    wrong = [
        (count, truth, guess)
        for truth, row in enumerate(confusion.exported)
        for guess, count in enumerate(row)
        if guess != truth and count
    ]
    if not wrong:
        return None
    count, truth, guess = max(wrong, key=lambda one: one[0])
    names, of = confusion.classes, sum(confusion.exported[truth])
    return f"{names[truth]} taken for {names[guess]}, {count} of {of}"


def write_samples(folder: Path, samples: Samples) -> None:
    with replacing(folder / SAMPLES) as partial:
        partial.write_text(json.dumps(asdict(samples), allow_nan=False) + "\n", encoding="utf-8")


def read_samples(folder: Path, trial: str | None) -> Samples | None:
    """The samples of this exported trial; None where none were drawn.

    Raises:
        ValueError: the file is damaged.
    """
    path = folder / SAMPLES
    if not path.is_file():
        return None
    found: Samples = parse(path.read_bytes(), Samples, f"{path} is damaged, delete it")
    return found if found.trial == trial else None
