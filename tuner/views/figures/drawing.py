"""A figure with its words, and the style that all of them share.

Colours reach a contrast of 3 on white and on the dark background, and differ in every kind of colour vision. Text and
grid take the colours of the page that shows the figure.
"""

import html
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from tuner import formatting
from tuner.records import SearchRecord, TrialRecord
from tuner.results.progress import ending_of

GREY, BLUE, ORANGE, PURPLE, RED = "#85898f", "#3187bd", "#d9650b", "#8f62c2", "#cf3f7b"
GREEN, YELLOW, TEAL = "#2f9166", "#a8800c", "#1793a0"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, YELLOW, RED, TEAL, GREY)
DEFAULT, EXPORTED, COMPLETED, STOPPED, BAD = PURPLE, ORANGE, BLUE, GREY, RED
HEIGHT_PX = 340


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A figure with its title and caption; without a figure, the caption says why there is none."""

    name: str
    """Unique on a page."""
    title: str
    caption: str
    description: str = ""
    """Text alternative for people who can't see it."""
    figure: go.Figure | None = None


def new_figure(*, x: str, y: str, height_px: int = HEIGHT_PX, **layout: Any) -> go.Figure:
    """An empty figure with these axis titles, which may come from data."""
    # A rate is 8e-4: plotly alone writes 800µ.
    axis = {"zeroline": False, "automargin": True, "exponentformat": "e"}
    return go.Figure(
        layout={
            "template": "none",
            "height": height_px,
            "margin": {"l": 56, "r": 16, "t": 34, "b": 44},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "hovermode": "closest",
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            "xaxis": {"title": {"text": as_text(x)}, **axis},
            "yaxis": {"title": {"text": as_text(y)}, **axis},
        }
        | layout
    )


def as_text(text: object) -> str:
    """Escapes text from data for a plotly figure, which interprets HTML."""
    return html.escape(formatting.one_line(str(text)), quote=False)


def colour_of(search: SearchRecord, trial: TrialRecord, exported: TrialRecord | None) -> str:
    if trial is exported:
        return EXPORTED
    if trial is search.default_trial:
        return DEFAULT
    if not trial.may_win:
        return BAD
    return COMPLETED if trial.keeps_last_value else STOPPED


def kind_of(search: SearchRecord, trial: TrialRecord, exported: TrialRecord | None) -> str:
    """Legend entry of a trial, the same in every figure."""
    if trial is exported:
        word = word_of_exported(search)
        return word if trial is not search.default_trial else f"default, {word}"
    if trial is search.default_trial:
        return "default"
    if not trial.may_win:
        return "diverged, failed or over a limit"
    if trial.keeps_last_value:
        return "completed"
    return "not finished" if trial.outcome is None else "stopped at a rung"


def word_of_exported(search: SearchRecord) -> str:
    return "best so far" if search.is_unfinished else "exported"


ORDER = (
    "stopped at a rung",
    "not finished",
    "diverged, failed or over a limit",
    "completed",
    "default",
    "best so far",
    "default, best so far",
    "exported",
    "default, exported",
)
"""Drawing order; later ones are on top."""


def by_kind(search: SearchRecord, exported: TrialRecord | None) -> dict[str, list[TrialRecord]]:
    """Groups the trials by legend entry, in drawing order."""
    found: dict[str, list[TrialRecord]] = {kind: [] for kind in ORDER}
    for trial in search.trials:
        found[kind_of(search, trial, exported)].append(trial)
    return {kind: trials for kind, trials in found.items() if trials}


def hover_of(trial: TrialRecord) -> str:
    return f"<b>trial {trial.name}</b><br>{as_text(ending_of(trial))}"


def epochs_between_ticks(max_epochs: int) -> int:
    """Step in whole epochs that gives at most about twelve ticks."""
    return next((step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500) if max_epochs / step <= 12), 1000)


def time_unit(seconds: float) -> tuple[float, str]:
    """Returns the unit in seconds that suits an axis of this length, and its name."""
    if seconds < 180:
        return 1.0, "seconds"
    return (60.0, "minutes") if seconds < 3 * 3600 else (3600.0, "hours")
