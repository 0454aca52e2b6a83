"""The figures of a report; each is a function of a `SearchRecord`."""

import re
from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from tuner import formatting
from tuner.policy.decision import STOP
from tuner.policy.outcomes import Outcome
from tuner.records import SearchRecord, TrialRecord
from tuner.records.atomic_file import replacing
from tuner.results import progress
from tuner.results.figure_style import (
    BLACK,
    BLUE,
    GREY,
    RED,
    SERIES,
    SKY,
    STYLE,
    Label,
    Picture,
    figure_of,
    label_right,
    new_axes,
)
from tuner.results.importance import measure_importance
from tuner.results.limit_figures import draw_limits
from tuner.results.parameter_figures import draw_importance, draw_parameters

ENDING_COLOURS = {Outcome.COMPLETED: BLUE, Outcome.STOPPED_AT_RUNG: SKY, None: GREY}
NAMES = ("learning_curves", "best_so_far", "importance", "parameters", "expert_usage", "limits", "endings")
NOTHING_MEASURED = "No trial has a value to compare."


def save_pictures(
    search: SearchRecord, exported: TrialRecord | None, folder: Path
) -> list[tuple[Picture, Path | None]]:
    """Saves all figures in `folder`, the exported trial marked; the path is None where there is nothing to draw."""
    folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        return [(picture, _save(picture, folder / f"{name}.png")) for name, picture in _draw_all(search, exported)]


def _draw_all(search: SearchRecord, exported: TrialRecord | None) -> Iterator[tuple[str, Picture]]:
    importance = measure_importance(search)
    yield "learning_curves", draw_learning_curves(search, exported)
    yield "best_so_far", draw_best_so_far(search, exported)
    yield "importance", draw_importance(search, importance)
    yield "parameters", draw_parameters(search, importance, exported)
    if any("moe/usage_0" in trial.last.metrics for trial in search.trials if trial.last):
        yield "expert_usage", draw_expert_usage(exported)
    if search.settings.limits:
        yield "limits", draw_limits(search, exported)
    yield "endings", draw_endings(search)


def remove_other_pictures(folder: Path, pictures: Iterable[tuple[Picture, Path | None]]) -> None:
    """Removes figures of an earlier report that this one does not show."""
    for path in {folder / f"{name}.png" for name in NAMES} - {path for _, path in pictures}:
        path.unlink(missing_ok=True)


def _save(picture: Picture, path: Path) -> Path | None:
    if picture.figure is None:
        return None
    with replacing(path) as partial:
        picture.figure.savefig(partial, metadata={"Software": None})
    return path


def draw_learning_curves(search: SearchRecord, exported: TrialRecord | None) -> Picture:
    title = "Learning curves"
    if search.comparison_epoch is None:
        return Picture(title=title, caption=NOTHING_MEASURED)
    axes = new_axes(height=5.0)
    for trial in search.trials:
        _draw_curve(axes, trial)
    labels = [_highlight(axes, trial, name, colour) for name, trial, colour in _named_trials(search, exported)]
    axes.set(xlabel="epoch", ylabel=_objective(search), xlim=(0.7, search.settings.max_epochs + 0.3))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _draw_rungs(axes, search)
    label_right(axes, labels)
    is_default = exported is search.default_trial
    highlights = "the default, which is exported" if is_default else "the default. Orange: the exported trial"
    caption = (
        f"The objective of every trial on the validation split. Black: {highlights}. Blue: completed. Grey dot: "
        "stopped at a rung. Cross: failed, diverged, out of memory or collapsed."
    )
    return Picture(title=title, caption=caption, figure=figure_of(axes))


def _draw_curve(axes: Axes, trial: TrialRecord) -> None:
    epochs = sorted(trial.results)
    values = [trial.results[epoch].objective for epoch in epochs]
    completed = trial.outcome is Outcome.COMPLETED
    dot = "." if len(epochs) == 1 else None
    axes.plot(
        epochs, values, color=SKY if completed else GREY, linewidth=1.1, alpha=0.9 if completed else 0.5, marker=dot
    )
    if epochs and trial.outcome is Outcome.STOPPED_AT_RUNG:
        axes.plot(epochs[-1], values[-1], "o", color=GREY, markersize=3.5)
    elif epochs and not trial.may_win:
        axes.plot(epochs[-1], values[-1], "X", color=RED, markeredgecolor="white", markersize=8, zorder=3)


def _highlight(axes: Axes, trial: TrialRecord, name: str, colour: str) -> Label:
    epochs = sorted(trial.results)
    values = [trial.results[epoch].objective for epoch in epochs]
    axes.plot(epochs, values, color=colour, linewidth=2.6, zorder=4, marker="o" if len(epochs) == 1 else None)
    return Label(y=values[-1], text=f"{name}  {formatting.number(values[-1])}", colour=colour)


def _named_trials(
    search: SearchRecord, exported: TrialRecord | None, epoch: int | None = None
) -> list[tuple[str, TrialRecord, str]]:
    """The default and the exported trial, if they have a value (at that epoch); once if they are the same trial."""
    default = search.default_trial
    named = [] if default is None else [("default", default, BLACK)]
    if exported is not None and exported is not default:
        named.append((f"trial {exported.name}", exported, RED))
    return [one for one in named if (one[1].objective_at(epoch) is not None if epoch else bool(one[1].results))]


def _draw_rungs(axes: Axes, search: SearchRecord) -> None:
    """Draws each rung, with its label on its own line above the axes."""
    rungs = search.settings.rung_epochs
    for number, epoch in enumerate(rungs, start=1):
        here = [one for one in search.decisions if one.decision.epoch == epoch and one.decision.rung is not None]
        arrived = {one.trial for one in here}
        stopped = {one.trial for one in here if one.decision.action == STOP}
        axes.axvline(epoch, color="#666666", linewidth=0.9, linestyle=(0, (2, 3)), zorder=1)
        words = f"rung {number}: {len(stopped)} of {len(arrived)} stopped"
        place: dict[str, Any] = {"xycoords": axes.get_xaxis_transform(), "textcoords": "offset points", "fontsize": 8.5}
        axes.annotate(words, (epoch, 1.0), xytext=(0, 3 + 11 * (len(rungs) - number)), color="#666666", **place)


def draw_best_so_far(search: SearchRecord, exported: TrialRecord | None) -> Picture:
    title = "Best so far against time"
    epoch = search.comparison_epoch
    if epoch is None:
        return Picture(title=title, caption=NOTHING_MEASURED)
    measured = sorted((trial.measured(epoch) for trial in search.measured_at(epoch)), key=lambda result: result.time)
    divisor, unit = _time_unit(search.elapsed)
    times = [result.time / divisor for result in measured]
    values = [result.objective for result in measured]
    best = list(accumulate(values, {"max": max, "min": min}[search.settings.mode]))
    axes = new_axes(height=3.8)
    axes.step([*times, search.elapsed / divisor], [*best, best[-1]], color=RED, where="post", linewidth=2.4)
    axes.plot(times, values, "o", color=SKY, markeredgecolor="white", markersize=7, clip_on=False)
    axes.set(xlabel=f"{unit} since the search started", ylabel=f"{_objective(search)} at epoch {epoch}", xlim=(0, None))
    label_right(axes, [_level(axes, search, *named, epoch) for named in _named_trials(search, exported, epoch)])
    caption = (
        f"Each dot is a trial that reached epoch {epoch} or plateaued before; trials are compared only at that epoch."
    )
    return Picture(title=title, caption=caption, figure=figure_of(axes))


def _level(axes: Axes, search: SearchRecord, name: str, trial: TrialRecord, colour: str, epoch: int) -> Label:
    value = trial.measured(epoch).objective
    if trial is search.default_trial:
        axes.axhline(value, color=BLACK, linewidth=1.2, linestyle=(0, (5, 3)))
    return Label(y=value, text=f"{name}  {formatting.number(value)}", colour=colour)


def _time_unit(seconds: float) -> tuple[float, str]:
    if seconds < 180:
        return 1.0, "seconds"
    return (60.0, "minutes") if seconds < 3 * 3600 else (3600.0, "hours")


def draw_expert_usage(exported: TrialRecord | None) -> Picture:
    title = "Expert usage of the exported trial"
    usage = {} if exported is None else _usage_by_epoch(exported)
    if exported is None or len(usage) < 2:
        caption = "The exported trial has recorded its expert usage in fewer than two epochs."
        return Picture(title=title, caption=caption)
    epochs, shares = list(usage), list(zip(*usage.values(), strict=True))
    colours = [SERIES[expert % len(SERIES)] for expert in range(len(shares))]
    axes = new_axes(height=3.8)
    axes.stackplot(epochs, shares, colors=colours, edgecolor="white", linewidth=0.8, alpha=0.85)
    axes.set(xlabel="epoch", ylabel="share of assignments")
    axes.set(xlim=(epochs[0], epochs[-1]), ylim=(0, max(map(sum, usage.values()))))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    label_right(axes, _usage_labels(usage[epochs[-1]]))
    balanced = f"Balanced: {1 / len(shares):.0%} each."
    caption = f"Trial {exported.name}: share of the token assignments per expert. {balanced}"
    return Picture(title=title, caption=caption, figure=figure_of(axes))


def _usage_by_epoch(trial: TrialRecord) -> dict[int, list[float]]:
    """Shares by expert, for each epoch that recorded all of them."""
    usage = {}
    for epoch, result in sorted(trial.results.items()):
        found = {
            int(match[1]): share
            for name, share in result.metrics.items()
            if (match := re.fullmatch(r"moe/usage_(\d+)", name))
        }
        shares = [share for _, share in sorted(found.items()) if share is not None]
        if shares and len(shares) == len(found):
            usage[epoch] = shares
    return usage


def _usage_labels(shares: list[float]) -> list[Label]:
    tops = [sum(shares[: expert + 1]) for expert in range(len(shares))]
    middles = [top - share / 2 for top, share in zip(tops, shares, strict=True)]
    return [
        Label(y=middle, text=f"expert {expert}  {share:.0%}", colour="#444444")
        for expert, (middle, share) in enumerate(zip(middles, shares, strict=True))
    ]


def draw_endings(search: SearchRecord) -> Picture:
    title = "How the trials ended"
    counts = progress.count_endings(search.trials)
    if not counts:
        return Picture(title=title, caption="No trial has started.")
    colours = {progress.ending_of(trial): ENDING_COLOURS.get(trial.outcome, RED) for trial in search.trials}
    axes = new_axes(height=0.9 + 0.38 * len(counts))
    names = list(counts)[::-1]
    bars = axes.barh(names, [counts[name] for name in names], color=[colours[name] for name in names], height=0.7)
    axes.bar_label(bars, padding=4, color="#444444")
    axes.set(xlabel="trials")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(visible=False, axis="y")
    epochs = progress.epochs_done(search)
    budget = search.settings.max_epochs * len(search.trials)
    trials = formatting.count(len(search.trials), "trial")
    caption = f"{trials} trained {epochs} epochs in total; without early stopping it would be {budget}."
    return Picture(title=title, caption=caption, figure=figure_of(axes))


def _objective(search: SearchRecord) -> str:
    return formatting.metric(search.settings.objective)
