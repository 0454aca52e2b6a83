"""results/benchmarks.json: each benchmark with machine, date and commit of its last measurement.

A benchmark updates only its own entry, so that an interrupted run keeps its results and a single one can be repeated.
"""

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from benchmarks.claims import Claim, Side
from benchmarks.harness import Spread

FILE = "benchmarks.json"
DIGITS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One benchmark, measured."""

    date: str
    commit: str
    machine: dict[str, object]
    seconds: float
    """Duration of the measurement."""
    claims: tuple[Claim, ...]


def measured_now(claims: list[Claim], *, seconds: float) -> Row:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Row(date=now, commit=commit(), machine=machine(), seconds=round(seconds, 1), claims=tuple(claims))


def read(path: Path) -> dict[str, Row]:
    """The entries by name; empty without the file."""
    content = json.loads(path.read_text()) if path.exists() else {}
    return {name: _row(fields) for name, fields in content.items()}


def write(path: Path, rows: Mapping[str, Row]) -> None:
    content = {name: _as_data(row) for name, row in rows.items()}
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
    partial.replace(path)


def commit() -> str:
    """Commit of the working tree, with `-dirty` if it differs; results that benchmarks write don't count."""
    what_is_written = [":!results"]
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", *what_is_written)
    return _git("rev-parse", "--short", "HEAD") + ("-dirty" if changed else "")


def machine() -> dict[str, object]:
    """The machine and software that the numbers depend on."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "processor": _processor(),
        "vector_instructions": vector_instructions(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "gpu": gpu,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def vector_instructions() -> str:
    """The widest that torch computes with on this processor, such as AVX2, AVX512, or AVX512 and AMX."""
    has_amx = torch.cpu.get_capabilities().get("amx_tile", False)
    return torch.backends.cpu.get_cpu_capability() + (" and AMX" if has_amx else "")


def _as_data(row: Row) -> dict[str, Any]:
    """Adds the median, quartiles and ratio of each side, for people who read the file."""
    data = asdict(row)
    for claim, fields in zip(row.claims, data["claims"], strict=True):
        ratios = claim.side_ratios
        for side, own in zip(claim.sides, fields["sides"], strict=True):
            own["values"] = " ".join(f"{value:.{DIGITS}g}" for value in side.values)
            own["spread"] = asdict(Spread.of(side.values)) if side.values else None
            own["ratio"] = asdict(ratios[side.name]) if side.name in ratios else None
    return data


def _row(fields: dict[str, Any]) -> Row:
    claims = (Claim(**claim | {"sides": tuple(map(_side, claim["sides"]))}) for claim in fields["claims"])
    return Row(**fields | {"claims": tuple(claims)})


def _side(fields: dict[str, Any]) -> Side:
    values = tuple(float(value) for value in fields["values"].split())
    curve = tuple((count, value) for count, value in fields["curve"])
    return Side(name=fields["name"], note=fields["note"], values=values, curve=curve)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def _git(*arguments: str) -> str:
    """Runs git and returns its output; empty without git."""
    if shutil.which("git") is None:
        return ""
    found = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return found.stdout.strip()
