"""The objective over epochs, time and epochs trained."""

from collections.abc import Mapping, Sequence
from itertools import accumulate

import plotly.graph_objects as go

from tuner import formatting
from tuner.policy.decision import STOP
from tuner.records import SearchRecord, TrialRecord
from tuner.results.best_so_far import Measured, measured_in_order
from tuner.views.figures.drawing import (
    DEFAULT,
    EXPORTED,
    SERIES,
    STOPPED,
    Drawing,
    as_text,
    by_kind,
    colour_of,
    epochs_between_ticks,
    hover_of,
    new_figure,
    time_unit,
)

SINGLE_RANGE = 0.05
"""Shown above and below a single value, as a share of it."""
MIN_MEASURED = 5
"""Fewer dots are a white figure, and the table of all trials says as much."""
NOTHING_MEASURED = "No trial has a value yet."


def draw_learning_curves(search: SearchRecord, exported: TrialRecord | None, *, metric: str | None = None) -> Drawing:
    """Plots a metric of every trial by epoch, by default the objective; a click on a curve chooses its trial."""
    name, title = "learning-curves", "Learning curves"
    if search.comparison_epoch is None:
        return Drawing(name=name, title=title, caption=NOTHING_MEASURED)
    is_objective = metric in (None, search.settings.objective)
    figure = new_figure(x="epoch", y=search.settings.metric if is_objective else str(metric), height_px=420)
    for kind, trials in by_kind(search, exported).items():
        if measured := [trial for trial in trials if trial.results]:
            figure.add_trace(_curves(kind, measured, search, exported, metric=None if is_objective else metric))
    rungs = _rungs(search)
    for epoch in search.settings.rung_epochs:
        figure.add_vline(epoch, line={"width": 1, "dash": "dot", "color": STOPPED})
    max_epochs = search.settings.max_epochs
    figure.update_xaxes(range=[0.7, max_epochs + 0.3], dtick=epochs_between_ticks(max_epochs))
    caption = (
        "Validation split. A curve that ends early was stopped at a rung, an epoch at which trials are compared "
        "(dotted); a cross is a bad ending."
    )
    return Drawing(
        name=name,
        title=title,
        caption=f"{caption} {rungs}".strip(),
        description=_described(search, exported),
        figure=figure,
    )


def _curves(
    kind: str,
    trials: Sequence[TrialRecord],
    search: SearchRecord,
    exported: TrialRecord | None,
    *,
    metric: str | None,
) -> go.Scatter:
    """Joins the curves of one kind into one trace, with gaps between them."""
    x: list[int | None] = []
    y: list[float | None] = []
    names: list[str | None] = []
    symbols: list[str] = []
    is_named = trials[0] in (exported, search.default_trial)
    for trial in trials:
        results = [trial.results[epoch] for epoch in sorted(trial.results)]
        x += [*(one.epoch for one in results), None]
        y += [*(one.objective if metric is None else one.metrics.get(metric) for one in results), None]
        names += [*[trial.name] * len(results), None]
        symbols += [*["circle"] * (len(results) - 1), "circle" if trial.may_win else "x", "circle"]
    is_last_of_curve = [following is None for following in [*x[1:], None]]
    is_alone = [is_last and previous is None for is_last, previous in zip(is_last_of_curve, [None, *x], strict=False)]
    ends = [
        9 if symbol == "x" else 7 if alone else 4 if is_last else 0
        for symbol, is_last, alone in zip(symbols, is_last_of_curve, is_alone, strict=True)
    ]
    colour = colour_of(search, trials[0], exported)
    return go.Scatter(
        x=x,
        y=y,
        customdata=names,
        name=kind,
        mode="lines+markers",
        line={"color": colour, "width": 3.2 if is_named else 1.4, "dash": "dot" if kind == "not finished" else None},
        marker={"color": colour, "size": ends, "symbol": symbols, "line": {"width": 0}},
        opacity=1.0 if is_named or kind == "completed" else 0.6,
        hovertemplate="<b>trial %{customdata}</b><br>epoch %{x}: %{y:.4g}<extra></extra>",
    )


def _rungs(search: SearchRecord) -> str:
    """Sentence on how many trials were stopped at each rung."""
    words = []
    for number, epoch in enumerate(search.settings.rung_epochs, start=1):
        here = [one for one in search.decisions if one.decision.epoch == epoch and one.decision.rung is not None]
        stopped = {one.trial for one in here if one.decision.action == STOP}
        # A trial that was promoted past a rung has no decision there.
        num_reached = sum(epoch in trial.results for trial in search.trials)
        if here:
            words.append(f"rung {number} (epoch {epoch}): {len(stopped)} of {num_reached} stopped")
    return f"{'; '.join(words)}.".capitalize() if words else ""


def _described(search: SearchRecord, exported: TrialRecord | None) -> str:
    named = {"the default": search.default_trial, "the exported trial": exported}
    ends = [
        f"{word} ends at {formatting.number(trial.last_result.objective)} after epoch {trial.last_result.epoch}"
        for word, trial in named.items()
        if trial is not None and trial.results
    ]
    curves = formatting.count(len([trial for trial in search.trials if trial.results]), "learning curve")
    return f"{curves}; {', '.join(ends)}."


def draw_best_so_far(search: SearchRecord, exported: TrialRecord | None) -> list[Drawing]:
    """Plots the best value so far against time and trained epochs; empty below MIN_MEASURED trials."""
    measured = measured_in_order(search)
    if len(measured) < MIN_MEASURED:
        return []
    divisor, unit = time_unit(search.elapsed)
    against = [
        ("time", f"{unit} since the search started", [one.time / divisor for one in measured]),
        ("epochs", "epochs trained by all trials", [float(one.epochs) for one in measured]),
    ]
    return [_best_so_far(search, exported, measured, name, x_title, x) for name, x_title, x in against]


def _best_so_far(
    search: SearchRecord,
    exported: TrialRecord | None,
    measured: Sequence[Measured],
    against: str,
    x_title: str,
    x: Sequence[float],
) -> Drawing:
    name, title = f"best-so-far-{against}", f"Best so far against {against}"
    figure = new_figure(x=x_title, y=f"{search.settings.metric} at epoch {search.comparison_epoch}")
    values = [one.value for one in measured]
    best = list(accumulate(values, max if search.settings.mode == "max" else min))
    line = {"shape": "hv", "color": EXPORTED, "width": 2.6}
    figure.add_trace(go.Scatter(x=x, y=best, mode="lines", line=line, name="best so far", hoverinfo="skip"))
    figure.add_trace(_measured_dots(search, exported, measured, x))
    default = next((one.value for one in measured if one.trial is search.default_trial), None)
    if default is not None:
        figure.add_hline(default, line={"color": DEFAULT, "dash": "dash", "width": 1.4}, annotation_text="default")
    figure.update_xaxes(rangemode="tozero")
    if len(set(values)) == 1:
        # For a single value plotly shows a range of 2, in which later values look equal.
        figure.update_yaxes(
            range=[values[0] - SINGLE_RANGE * abs(values[0]), values[0] + SINGLE_RANGE * abs(values[0])]
        )
    goes = "rises" if search.settings.mode == "max" else "falls"
    return Drawing(
        name=name,
        title=title,
        caption=f"Each dot is a trial that reached epoch {search.comparison_epoch} or plateaued before.",
        description=f"The best value {goes} from {formatting.number(best[0])} to {formatting.number(best[-1])}.",
        figure=figure,
    )


def _measured_dots(
    search: SearchRecord, exported: TrialRecord | None, measured: Sequence[Measured], x: Sequence[float]
) -> go.Scatter:
    return go.Scatter(
        x=x,
        y=[one.value for one in measured],
        mode="markers",
        marker={"color": [colour_of(search, one.trial, exported) for one in measured], "size": 8},
        customdata=[one.trial.name for one in measured],
        text=[hover_of(one.trial) for one in measured],
        name="a trial",
        showlegend=False,
        hovertemplate="%{text}<br><b>%{y:.4g}</b><extra></extra>",
    )


def draw_searches(searches: Mapping[str, SearchRecord]) -> Drawing:
    """Plots the best value so far of several searches with one objective against their trained epochs."""
    name, title = "searches", "Best so far of each search"
    measured = {run: found for run, search in searches.items() if (found := measured_in_order(search))}
    if not measured:
        return Drawing(name=name, title=title, caption=NOTHING_MEASURED)
    first = next(iter(searches.values())).settings
    figure = new_figure(x="epochs trained by all trials", y=first.metric)
    ends = []
    for number, (run, found) in enumerate(measured.items()):
        best = list(accumulate((one.value for one in found), max if first.mode == "max" else min))
        line = {"shape": "hv", "color": SERIES[number % len(SERIES)], "width": 2.4}
        x = [one.epochs for one in found]
        figure.add_trace(go.Scatter(x=x, y=best, mode="lines+markers", line=line, name=as_text(run), showlegend=True))
        ends.append(f"{run} {formatting.number(best[-1])}")
    figure.update_xaxes(rangemode="tozero")
    caption = "Validation split, one seed. Each search compares its trials at its own last epoch."
    return Drawing(
        name=name, title=title, caption=caption, description=f"Best values: {', '.join(ends)}.", figure=figure
    )
