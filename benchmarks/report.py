"""Tables of the measurements for the terminal and results/README.md, and figures."""

from collections.abc import Mapping, Sequence
from textwrap import fill

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table

from benchmarks.claims import OURS, Claim
from benchmarks.figure_style import BLUE, GREY, LABEL_POINTS, SKY, STYLE
from benchmarks.harness import Spread
from benchmarks.record import Row

COLUMNS, TITLE_CHARACTERS = 3, 46
VERDICTS = {True: "reached", False: "missed", None: "-"}


def table(claims: Sequence[Claim]) -> Table:
    """A row for each side: median, quartiles, ratio to the reference; the verdict is in the row of the work."""
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


def markdown(rows: Mapping[str, Row]) -> str:
    """A line for each claim, and below them where, when and at which commit each was measured."""
    lines = ["| # | the work | found | to reach | |", "| --- | --- | --- | --- | --- |"]
    for row in rows.values():
        for claim in row.claims:
            verdict = f"**{VERDICTS[claim.reached]}**" if claim.reached is False else VERDICTS[claim.reached]
            lines.append(f"| {claim.number} | {claim.work} | {claim.finding} | {claim.target} | {verdict} |")
    measured = [f"{name} {row.date[:16].replace('T', ' ')} at {row.commit}" for name, row in rows.items()]
    machines = sorted({_machine(row.machine) for row in rows.values()})
    return "\n".join([*lines, "", f"Measured on {'; '.join(machines)}: {', '.join(measured)} (UTC)."]) + "\n"


def _machine(machine: Mapping[str, object]) -> str:
    """Describes the machine, such as `2 cores of AMD EPYC with AVX512`."""
    return f"{machine['cores']} cores of {machine['processor']} with {machine['vector_instructions']}"


def picture(claims: Sequence[Claim]) -> Figure:
    """A panel for each claim that was measured: a bar for each side, the quartiles as a line."""
    measured = [claim for claim in claims if any(side.values for side in claim.sides)]
    num_rows = -(-len(measured) // COLUMNS)
    heights = [
        max(1.4 + 0.34 * len(claim.sides) for claim in measured[row * COLUMNS : (row + 1) * COLUMNS])
        for row in range(num_rows)
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
    rows: list[tuple[str, ...]] = []
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
    axes.set_xlim(0, 1.16 * max(spread.high for spread in spreads) or 1.0)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(claim.unit)
    verdict = "" if claim.reached is None else f" - {VERDICTS[claim.reached]}"
    # Broken here, not by matplotlib, which then has no room for the further lines.
    lines = [f"{claim.number}. {claim.work}", f"to reach: {claim.target}{verdict}"]
    axes.set_title("\n".join(fill(line, TITLE_CHARACTERS) for line in lines), fontsize=LABEL_POINTS, loc="left")


def _text(value: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
