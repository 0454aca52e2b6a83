"""The style of the figures of measured results.

The colours of Okabe and Ito, which suit every kind of colour vision; important curves are labelled in place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

BLACK, GREY, BLUE, SKY, RED, GREEN = "#222222", "#8c8c8c", "#0072B2", "#56B4E9", "#D55E00", "#009E73"
ORANGE, PURPLE, YELLOW = "#E69F00", "#CC79A7", "#F0E442"
STYLE: dict[RcKeyType, Any] = {
    "figure.dpi": 130,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#777777",
    "axes.labelcolor": "#444444",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#ebebeb",
    "xtick.color": "#777777",
    "ytick.color": "#777777",
    "xtick.labelcolor": "#444444",
    "ytick.labelcolor": "#444444",
}
LABEL_POINTS = 9.5
LINE_POINTS = 1.45 * LABEL_POINTS
"""Distance between two lines of labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Text beside the right edge, at the height of its curve."""

    y: float
    text: str
    colour: str
    weight: str = "normal"


def new_axes() -> Axes:
    return Figure(figsize=(8.0, 4.4)).subplots()


def figure_of(axes: Axes) -> Figure:
    """The figure that `new_axes` made; matplotlib allows for axes that were removed from theirs."""
    figure = axes.get_figure(root=True)
    if figure is None:
        raise ValueError("the axes belong to no figure")
    return figure


def label_right(axes: Axes, labels: Sequence[Label]) -> None:
    """Writes the labels beside the right edge, within it and moved apart where they would overlap."""
    bottom, top = axes.get_ylim()
    line = LINE_POINTS / (72 * figure_of(axes).get_size_inches()[1])
    labels = sorted(labels, key=lambda label: label.y)
    heights: list[float] = []
    for label in labels:
        lowest = heights[-1] + line if heights else 0.0
        heights.append(max(lowest, (label.y - bottom) / (top - bottom)))
    highest = 1.0
    place: dict[str, Any] = {"xycoords": "axes fraction", "va": "center", "fontsize": LABEL_POINTS}
    for label, height in zip(reversed(labels), reversed(heights), strict=True):
        axes.annotate(label.text, (1.015, min(height, highest)), color=label.colour, weight=label.weight, **place)
        highest = min(height, highest) - line
