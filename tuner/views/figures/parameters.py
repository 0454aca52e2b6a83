"""Which parameters mattered: importance beside chance, slices, a contour, parallel coordinates.

Optuna's own figures have ticks at values that were never tried, and draw a contour between any two trials.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from tuner import formatting
from tuner.importance.measure import Importance, is_logarithmic
from tuner.importance.surface import smooth
from tuner.records import SearchRecord, TrialRecord
from tuner.views.figures.drawing import (
    BLUE,
    GREY,
    ORANGE,
    Drawing,
    as_text,
    by_kind,
    colour_of,
    hover_of,
    new_figure,
    word_of_exported,
)
from tuner.views.figures.importance import draw_importance

MAX_SLICES, MIN_SLICES = 12, 3
MAX_AXES = 7
"""Axes of the parallel coordinates, without the objective."""
MAX_TICKS, FEW_TICKS = 8, 4
"""Up to this many values all have a label; of more, about this few."""
MISSING = "not used"


def draw_parameters(search: SearchRecord, exported: TrialRecord | None, importance: Importance | None) -> list[Drawing]:
    """Plots all figures on parameters, importance first; with too few trials, one that gives the reason."""
    bars = draw_importance(search, importance)
    if importance is None:
        return [bars]
    measured = search.measured_at(importance.epoch)
    # What only trials without a value had has no dot.
    names = [name for name in importance.shares if any(name in trial.params for trial in measured)]
    shown = names[: max(MIN_SLICES, min(MAX_SLICES, len(importance.beyond_chance)))]
    slices = [
        draw_slice(search, exported, name, importance.epoch, number=number)
        for number, name in enumerate(shown, start=1)
    ]
    contour = _contour(search, exported, names, importance.epoch)
    return [bars, *slices, *([] if contour is None else [contour]), _parallel(search, names, importance.epoch)]


def draw_slice(
    search: SearchRecord, exported: TrialRecord | None, parameter: str, epoch: int, *, number: int
) -> Drawing:
    """Plots the objective at an epoch against one parameter."""
    figure = new_figure(x=parameter, y=f"{search.settings.metric} at epoch {epoch}", height_px=300, showlegend=False)
    values = [trial.params[parameter] for trial in search.trials if parameter in trial.params]
    are_numbers = all(type(value) in (int, float) for value in values)
    drawn = [one.params[parameter] for one in search.measured_at(epoch) if parameter in one.params]
    for kind, trials in by_kind(search, exported).items():
        here = [one for one in trials if parameter in one.params and one.objective_at(epoch) is not None]
        is_exported, is_default = trials[0] is exported, trials[0] is search.default_trial
        figure.add_trace(
            go.Scatter(
                x=[one.params[parameter] if are_numbers else as_text(one.params[parameter]) for one in here],
                y=[one.objective_at(epoch) for one in here],
                customdata=[one.name for one in here],
                text=[hover_of(one) for one in here],
                mode="markers",
                name=kind,
                marker={
                    "color": colour_of(search, trials[0], exported),
                    "size": 13 if is_exported or is_default else 8,
                    "symbol": "star" if is_exported else "diamond" if is_default else "circle",
                    "opacity": 0.85,
                },
                hovertemplate="%{text}<br>%{x}: <b>%{y:.4g}</b><extra></extra>",
            )
        )
    figure.update_xaxes(**_axis(drawn) if drawn and are_numbers else {"type": "category"})
    return Drawing(
        name=f"slice-{number}",
        title=f"{search.settings.metric} against {parameter}",
        caption=f"Star: {word_of_exported(search)}. Diamond: default." if number == 1 else "",
        description=f"One dot for each of {formatting.count(len(drawn), 'trial')}. Star: {word_of_exported(search)}. "
        "Diamond: default.",
        figure=figure,
    )


def _axis(values: Sequence[float]) -> dict[str, Any]:
    ticks = ticks_of(values)
    scale = {"type": "log"} if is_logarithmic(values) else {}
    return scale | {"tickvals": ticks, "ticktext": [formatting.parameter(value) for value in ticks]}


def _rounded(values: np.ndarray) -> np.ndarray:
    """Rounds to a thousandth of the spread, since more digits only make the page larger."""
    spread = float(np.nanmax(values) - np.nanmin(values))
    return values.round(3 - math.floor(math.log10(spread))) if spread > 0 else values


def _contour(search: SearchRecord, exported: TrialRecord | None, names: Sequence[str], epoch: int) -> Drawing | None:
    """Contour over the two most important numeric parameters; None if there are fewer than two."""
    trials = search.measured_at(epoch)
    numbers = [name for name in names if _is_number(name, trials)][:2]
    if len(numbers) < 2:
        return None
    columns = [[float(trial.params[name]) for trial in trials] for name in numbers]
    surface = smooth(columns[0], columns[1], [trial.measured(epoch).objective for trial in trials])
    figure = new_figure(x=numbers[0], y=numbers[1], height_px=400, showlegend=False)
    figure.add_trace(
        go.Contour(
            x=surface.x,
            y=surface.y,
            z=_rounded(surface.z),
            colorscale="Viridis",
            reversescale=search.settings.mode == "min",
            colorbar={"thickness": 12},
            line={"width": 0.5},
            hoverinfo="skip",
        )
    )
    figure.add_trace(_dots_on_contour(search, exported, trials, columns))
    figure.update_xaxes(**_axis(columns[0]))
    figure.update_yaxes(**_axis(columns[1]))
    return Drawing(
        name="contour",
        title=f"{numbers[0]} and {numbers[1]} together",
        caption=f"{search.settings.metric} at epoch {epoch}, smoothed between the trials; only where trials are near.",
        description=f"{search.settings.metric} over {numbers[0]} and {numbers[1]}.",
        figure=figure,
    )


def _dots_on_contour(
    search: SearchRecord,
    exported: TrialRecord | None,
    trials: Sequence[TrialRecord],
    columns: Sequence[Sequence[float]],
) -> go.Scatter:
    return go.Scatter(
        x=columns[0],
        y=columns[1],
        customdata=[trial.name for trial in trials],
        text=[hover_of(trial) for trial in trials],
        mode="markers",
        marker={
            "color": [colour_of(search, trial, exported) for trial in trials],
            "size": [12 if trial in (exported, search.default_trial) else 6 for trial in trials],
            "line": {"width": 1, "color": "#ffffff"},
        },
        hovertemplate="%{text}<br>%{x}, %{y}<extra></extra>",
    )


def _is_number(name: str, trials: Sequence[TrialRecord]) -> bool:
    """Whether all trials have numbers for this parameter, with more than two values."""
    values = [trial.params.get(name) for trial in trials]
    return all(type(value) in (int, float) for value in values) and len(set(values)) > 2


def _parallel(search: SearchRecord, names: Sequence[str], epoch: int) -> Drawing:
    """Plots each trial as a line through its values of the most important parameters."""
    trials = search.measured_at(epoch)
    shown = names[:MAX_AXES]
    values = [trial.measured(epoch).objective for trial in trials]
    figure = new_figure(x="", y="", height_px=420, margin={"l": 70, "r": 60, "t": 60, "b": 30})
    figure.add_trace(
        go.Parcoords(
            dimensions=[
                *(_dimension(trials, name) for name in shown),
                {"label": as_text(search.settings.metric), "values": values},
            ],
            line={
                "color": values,
                "colorscale": [[0.0, GREY], [0.5, BLUE], [1.0, ORANGE]],
                "reversescale": search.settings.mode == "min",
                "showscale": True,
                "colorbar": {"thickness": 12},
            },
        )
    )
    return Drawing(
        name="parallel",
        title="Parallel coordinates",
        caption=f"A line is a trial, its colour {search.settings.metric} at epoch {epoch}. Drag along an axis to keep "
        "only the trials of that range.",
        description=f"A line for each of {formatting.count(len(trials), 'trial')} through {', '.join(shown)}.",
        figure=figure,
    )


def _dimension(trials: Sequence[TrialRecord], name: str) -> dict[str, Any]:
    """Builds an axis: numbers on their scale, words in alphabetical order, missing values below."""
    given = [trial.params.get(name, MISSING) for trial in trials]
    numbers = [float(value) for value in given if type(value) in (int, float)]
    ticks: dict[float, str]
    if any(value is not MISSING and type(value) not in (int, float) for value in given):
        words = sorted({as_text(value) for value in given})
        places = [float(words.index(as_text(value))) for value in given]
        ticks = {float(place): word for place, word in enumerate(words)}
    else:
        is_log = is_logarithmic(numbers)
        scaled = [math.log10(value) if is_log else value for value in numbers]
        below = min(scaled) - 0.15 * ((max(scaled) - min(scaled)) or 1.0)
        places = [below if value is MISSING else math.log10(value) if is_log else float(value) for value in given]
        ticks = {(math.log10(value) if is_log else value): formatting.parameter(value) for value in ticks_of(numbers)}
        ticks |= {below: MISSING} if MISSING in given else {}
    return {"label": as_text(name), "values": places, "tickvals": list(ticks), "ticktext": list(ticks.values())}


def ticks_of(values: Sequence[float]) -> list[float]:
    """Tried values in ascending order, far enough apart for their labels."""
    tried = sorted(set(values))
    is_log = is_logarithmic(values)
    places = [math.log10(value) if is_log else value for value in tried]
    room = (places[-1] - places[0]) / (FEW_TICKS if len(tried) > MAX_TICKS else 3 * MAX_TICKS)
    kept = [0]
    for number, place in enumerate(places[1:], start=1):
        has_room_behind = places[-1] - place >= room or number == len(tried) - 1
        if place - places[kept[-1]] >= room and has_room_behind:
            kept.append(number)
    return [tried[number] for number in kept]
