"""A figure of the driver's costs by number of trials."""

from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.claims import OURS, Claim
from benchmarks.figure_style import BLUE, GREY, LABEL_POINTS, STYLE, Label, label_right


def growth_picture(claims: Sequence[Claim]) -> Figure | None:
    """Plots a panel for each claim with curves; None without such claims."""
    growing = [claim for claim in claims if any(side.curve for side in claim.sides)]
    if not growing:
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=(6.2 * len(growing), 3.6))
        for axes, claim in zip(figure.subplots(1, len(growing), squeeze=False).flatten(), growing, strict=True):
            _panel(axes, claim)
    return figure


def _panel(axes: Axes, claim: Claim) -> None:
    labels = []
    for side in claim.sides:
        if side.curve:
            counts, values = zip(*side.curve, strict=True)
            colour = BLUE if side.name.startswith(OURS) else GREY
            axes.plot(counts, values, color=colour, marker="o", markersize=3)
            labels.append(Label(y=values[-1], text=side.name.split(",")[0], colour=colour))
    axes.set_ylim(bottom=0)
    label_right(axes, labels)
    axes.set_xlabel("trials so far")
    axes.set_ylabel(claim.curve_unit or claim.unit)
    axes.set_title(f"{claim.work}\nto reach: {claim.target}", fontsize=LABEL_POINTS, loc="left")
