"""`confirm.jsonl`: the trainings of the confirmation, one per line."""

import json
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from tuner.records.atomic_file import sync
from tuner.records.lines import LineFile, complete_lines
from tuner.records.trial_name import PATTERN, number_of
from tuner.records.typed_json import STRICT, parse

CONFIRM = "confirm.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmedRun:
    """One training to the full budget."""

    __pydantic_config__ = STRICT

    trial: Annotated[str, Field(pattern=f"^{PATTERN}$")]
    """The trial whose configuration was trained."""
    seed: int
    objective: float | None
    """The search's objective, on the test split; None when the training diverged or ran out of memory."""
    test: dict[str, float | None]
    """Every metric on the test split."""
    seconds: float | None = None
    """Duration of the training and the test; None if unknown."""
    validation: float | None = None
    """The objective of the tested weights on the validation split; the choice of what to export uses it, never
    the test split."""

    @property
    def number(self) -> int:
        return number_of(self.trial)


def append_run(folder: Path, run: ConfirmedRun) -> None:
    """Records a training for good, after removing an incomplete last line."""
    with closing(LineFile(folder / CONFIRM)) as file:
        file.append(json.dumps(asdict(run), allow_nan=False))
    sync(folder / CONFIRM)


def read_runs(folder: Path) -> list[ConfirmedRun]:
    """The recorded trainings; raises ValueError with file and line when one is damaged."""
    return [
        parse(line, ConfirmedRun, f"{location} is damaged, restore the file from a copy")
        for location, line in complete_lines(folder / CONFIRM)
    ]
