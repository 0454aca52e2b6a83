"""results/gpu.json: each piece with what it gave, and the table of all of them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from benchmarks.harness import Spread

Status = Literal["measured", "skipped", "failed"]
WIDTH = 110


class Number(NamedTuple):
    """Something that was measured."""

    what: str
    unit: str
    values: tuple[float, ...]
    """One a round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A piece: its numbers, or why there are none."""

    status: Status
    commit: str
    machine: dict[str, object]
    seconds: float
    note: str = ""
    numbers: tuple[Number, ...] = ()


def read(path: Path) -> dict[str, Result]:
    """The results by piece; empty without the file."""
    content = json.loads(path.read_text()) if path.exists() else {}
    return {name: _result(fields) for name, fields in content.items()}


def write(path: Path, results: Mapping[str, Result]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    content = {name: asdict(one) | {"numbers": [n._asdict() for n in one.numbers]} for name, one in results.items()}
    partial.write_text(json.dumps(content, indent=1) + "\n")
    partial.replace(path)


def table(results: Mapping[str, Result]) -> Iterator[str]:
    """Lines of plain text: no package is needed to print them."""
    for name, result in results.items():
        note = f": {result.note}" if result.note else ""
        yield f"{name} ({result.status}, {result.seconds:.0f} s, {result.machine.get('gpu') or 'CPU'}){note}"
        for number in result.numbers:
            spread = Spread.of(number.values)
            quartiles = f"{spread.low:.4g} to {spread.high:.4g}" if len(number.values) > 1 else ""
            yield f"  {number.what[:WIDTH]:{WIDTH}} {spread.median:10.4g} {number.unit:18} {quartiles}".rstrip()


def _result(fields: dict) -> Result:
    numbers = tuple(Number(one["what"], one["unit"], tuple(one["values"])) for one in fields["numbers"])
    return Result(**fields | {"numbers": numbers})
