"""`confirm.jsonl`: the trainings of the confirmation, one line each."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from tuner.records.lines import append_line, complete_lines
from tuner.records.trial_name import PATTERN, number_of
from tuner.records.typed_json import STRICT, parsed

CONFIRM = "confirm.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmedRun:
    """One training to the full budget."""

    __pydantic_config__ = STRICT

    trial: Annotated[str, Field(pattern=f"^{PATTERN}$")]
    """Whose configuration this is."""
    seed: int
    objective: float | None
    """The search's objective, on the test split; None when the training diverged or ran out of memory."""
    test: dict[str, float | None]
    """Every metric on the test split."""
    validation: float | None = None
    """The objective on the validation split at the end; what may choose, as the test split may not."""

    @property
    def number(self) -> int:
        return number_of(self.trial)


def append_run(folder: Path, run: ConfirmedRun) -> None:
    """Puts a training on record; a line that a kill tore is cut off first."""
    append_line(folder / CONFIRM, json.dumps(asdict(run), allow_nan=False))


def read_runs(folder: Path) -> list[ConfirmedRun]:
    """The trainings on record; raises ValueError with file and line when one is damaged."""
    path = folder / CONFIRM
    return [
        parsed(line, ConfirmedRun, f"{place} is damaged, restore the file from a copy")
        for place, line in complete_lines(path)
    ]
