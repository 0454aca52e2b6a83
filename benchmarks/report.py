"""What was measured, as a table to read, a file to keep and a picture to look at."""

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table

from benchmarks.claims import OURS, Claim
from benchmarks.harness import Spread
from tuner.figure_style import BLUE, GREY, LABEL_POINTS, SKY, STYLE

COLUMNS = 3
VERDICTS = {True: "reached", False: "missed", None: "-"}


def table(claims: Sequence[Claim]) -> Table:
    """A row for each side: its median, the quartiles, its ratio to the reference; the verdict stands with the work."""
    columns = Table(title="ours and its peers, side by side", show_lines=False, pad_edge=False)
    for name in ("#", "the work and who does it", "median", "quartiles", "ratio", "target", ""):
        columns.add_column(name, overflow="fold")
    for claim in claims:
        head = f"[bold]{claim.work}[/bold] ({claim.unit})\n{claim.finding}"
        columns.add_row(str(claim.number), head, "", "", "", claim.target, VERDICTS[claim.reached])
        for row in _rows(claim):
            columns.add_row("", *row)
        columns.add_section()
    return columns


def to_json(claims: Sequence[Claim], *, seconds: float) -> str:
    """Machine, date and commit first, then every number of every side."""
    content = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("describe", "--always", "--dirty"),
        "machine": machine(),
        "seconds": round(seconds, 1),
        "claims": [_claim_as_data(claim) for claim in claims],
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def machine() -> dict[str, object]:
    """What the numbers depend on."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "gpu": gpu,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def picture(claims: Sequence[Claim]) -> Figure:
    """A panel for each claim that was measured: a bar for each side, the quartiles as a line."""
    measured = [claim for claim in claims if any(side.values for side in claim.sides)]
    num_rows = -(-len(measured) // COLUMNS)
    heights = [
        max(_height(claim) for claim in measured[row * COLUMNS : (row + 1) * COLUMNS]) for row in range(num_rows)
    ]
    with rc_context(STYLE):
        figure = Figure(figsize=(6.2 * COLUMNS, sum(heights)))
        panels = figure.subplots(num_rows, COLUMNS, squeeze=False, gridspec_kw={"height_ratios": heights}).flatten()
        for axes, claim in zip(panels, measured, strict=False):
            _panel(axes, claim)
        for axes in panels[len(measured) :]:
            axes.set_axis_off()
    return figure


def _rows(claim: Claim) -> list[tuple[str, ...]]:
    ratios = claim.side_ratios
    rows = []
    for side in claim.sides:
        if not side.values:
            rows.append((f"  {side.name}: {side.note}", "", "", "", "", ""))
            continue
        spread = Spread.of(side.values)
        ratio = f"{ratios[side.name].median:.2f}" if side.name in ratios else ""
        rows.append(
            (f"  {side.name}", _text(spread.median), f"{_text(spread.low)} - {_text(spread.high)}", ratio, "", "")
        )
    return rows


def _claim_as_data(claim: Claim) -> dict[str, object]:
    ratios = {name: asdict(spread) for name, spread in claim.side_ratios.items()}
    sides = [
        {
            "name": side.name,
            "note": side.note,
            **(asdict(Spread.of(side.values)) if side.values else {}),
            "ratio": ratios.get(side.name),
            "rounds": len(side.values),
        }
        for side in claim.sides
    ]
    return {
        "number": claim.number,
        "work": claim.work,
        "unit": claim.unit,
        "reference": claim.reference,
        "target": claim.target,
        "finding": claim.finding,
        "reached": claim.reached,
        "sides": sides,
    }


def _height(claim: Claim) -> float:
    return 1.1 + 0.34 * len(claim.sides)


def _panel(axes: Axes, claim: Claim) -> None:
    sides = [side for side in claim.sides if side.values]
    spreads = [Spread.of(side.values) for side in sides]
    heights = range(len(sides))
    colours = [BLUE if side.name == OURS else SKY if side.name.startswith(OURS) else GREY for side in sides]
    axes.barh(heights, [spread.median for spread in spreads], color=colours, height=0.62)
    for height, spread in zip(heights, spreads, strict=True):
        axes.plot([spread.low, spread.high], [height, height], color="#222222", linewidth=1.4)
        axes.annotate(
            _text(spread.median), (max(spread.median, spread.high), height), (4, 0), textcoords="offset points",
            va="center", fontsize=LABEL_POINTS,
        )  # fmt: skip
    axes.set_yticks(heights, [side.name for side in sides], fontsize=LABEL_POINTS)
    axes.set_xlim(0, 1.16 * max(spread.high for spread in spreads))
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(claim.unit)
    verdict = "" if claim.reached is None else f" - {VERDICTS[claim.reached]}"
    axes.set_title(
        f"{claim.number}. {claim.work}\nto reach: {claim.target}{verdict}", fontsize=LABEL_POINTS, loc="left", wrap=True
    )


def _text(value: float) -> str:
    """Three digits that count, without an exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def _git(*arguments: str) -> str:
    found = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"
