"""The figures of a report on parameters: their importance, and the values of the most important ones."""

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from tuner import formatting
from tuner.policy.outcomes import Outcome
from tuner.records import SearchRecord, TrialRecord
from tuner.results.figure_style import BLACK, BLUE, GREY, RED, Picture, figure_of, new_axes
from tuner.results.importance import BEST_SHARE, MIN_TRIALS, Importance, first_common_epoch, is_logarithmic

MAX_BARS = 12
NUM_SLICES = 2


def draw_importance(search: SearchRecord, importance: Importance | None) -> Picture:
    title = "Importance of the parameters"
    if importance is None:
        return Picture(title=title, caption=_too_few(search))
    names = list(importance.shares)[:MAX_BARS][::-1]
    shares = [importance.shares[name] for name in names]
    # With few trials chance can exceed every bar many times; such a mark is drawn at the edge.
    limit = 1.5 * max(shares)
    chance = [min(importance.chance[name], limit) for name in names]
    axes = new_axes(height=1.1 + 0.34 * len(names))
    colours = [BLUE if name in importance.beyond_chance else "#c8c8c8" for name in names]
    axes.barh(names, shares, color=colours, height=0.7)
    axes.plot(chance, names, "|", color=BLACK, markersize=13, markeredgewidth=1.6)
    axes.text(chance[0], 0, "  chance", va="center", fontsize=9, color="#444444")
    axes.set(xlabel="share of the importance", xlim=(0, 1.02 * limit))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(visible=False, axis="y")
    return Picture(title=title, caption=_importance_caption(importance), figure=figure_of(axes))


def _importance_caption(importance: Importance) -> str:
    ended = importance.num_ended_before
    worst = (
        f"; {formatting.count(ended, 'trial')} that diverged, ran out of memory or collapsed counted as worst"
        if ended
        else ""
    )
    beyond = ", ".join(f"`{name}`" for name in importance.beyond_chance) or "none"
    return (
        f"PED-ANOVA: what separates the best {BEST_SHARE:.0%} of {importance.num_trials} trials from all of them, at "
        f"epoch {importance.epoch}, before any was stopped at a rung{worst}. Black marks: 95 % quantile of chance; "
        f"above it: {beyond}."
    )


def _too_few(search: SearchRecord) -> str:
    num_measured = len(search.measured_at(first_common_epoch(search)))
    return (
        f"Left out: needs {MIN_TRIALS} trials with different parameters at the first rung; this search has "
        f"{num_measured}."
    )


def draw_parameters(search: SearchRecord, importance: Importance | None, exported: TrialRecord | None) -> Picture:
    title = "The two most important parameters"
    if importance is None:
        return Picture(title=title, caption="Left out, because the importance is unknown.")
    names = list(importance.shares)[:NUM_SLICES]
    figure = Figure(figsize=(8.0, 3.9))
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        _draw_slice(axes, search, name, importance.epoch, exported)
    panels[0].set_ylabel(f"{formatting.metric(search.settings.objective)} at epoch {importance.epoch}")
    caption = (
        f"Value at epoch {importance.epoch} of every trial with the parameter. Blue: completed. Cross at the edge: "
        "diverged, out of memory or collapsed."
    )
    return Picture(title=title, caption=caption, figure=figure)


def _draw_slice(axes: Axes, search: SearchRecord, name: str, epoch: int, exported: TrialRecord | None) -> None:
    trials = [trial for trial in search.trials if name in trial.params]
    values = [trial.params[name] for trial in trials]
    are_numbers = all(type(value) in (int, float) for value in values)
    if are_numbers and is_logarithmic(values):
        axes.set_xscale("log")
    if not are_numbers:
        axes.plot(sorted(set(map(str, values))), [math.nan] * len(set(map(str, values))))
        axes.margins(x=0.2)
    for trial in trials:
        value = trial.params[name]
        draw_point(axes, search, trial, x=value if are_numbers else str(value), epoch=epoch, exported=exported)
    axes.set_xlabel(name)


def draw_point(
    axes: Axes, search: SearchRecord, trial: TrialRecord, *, x: float | str, epoch: int, exported: TrialRecord | None
) -> None:
    """A trial's value at an epoch; a bad configuration is a cross at the edge."""
    y = trial.objective_at(epoch)
    if trial.outcome is not None and trial.outcome.counts_as_bad:
        edge = {"max": 0.03, "min": 0.97}[search.settings.mode]
        style: dict[str, Any] = {"color": RED, "markeredgecolor": "white", "markersize": 8, "clip_on": False}
        axes.plot(x, edge, "X", transform=axes.get_xaxis_transform(), **style)
    elif y is not None and trial in (exported, search.default_trial):
        word, marker, colour = ("exported", "*", RED) if trial is exported else ("default", "D", BLACK)
        axes.plot(x, y, marker, color=colour, markeredgecolor="white", markersize=15 if marker == "*" else 9, zorder=4)
        offset = (0, 9) if word == "exported" else (0, -17)
        axes.annotate(word, (x, y), xytext=offset, textcoords="offset points", color=colour, ha="center", fontsize=9)
    elif y is not None:
        colour = BLUE if trial.outcome is Outcome.COMPLETED else GREY
        axes.plot(x, y, "o", color=colour, markersize=6, alpha=0.75, markeredgecolor="white")
