"""Plots the exported trial's techniques: use of experts, augmentation strength, learning rate."""

import re

import plotly.graph_objects as go

from tuner.records import TrialRecord
from tuner.views.figures.drawing import BLUE, SERIES, TEAL, Drawing, epochs_between_ticks, new_figure

CURVES = {
    "aug_strength": ("augmentation", "Augmentation strength", "strength", TEAL),
    "train/lr": ("learning-rate", "Learning rate", "rate at the end of the epoch", BLUE),
}
"""Metrics of an epoch that are drawn where they change: name, title, axis and colour."""


def draw_techniques(trial: TrialRecord | None) -> list[Drawing]:
    """Plots the techniques of a trial; empty for a trial with fewer than two epochs."""
    if trial is None or len(trial.results) < 2:
        return []
    found = [_experts(trial), *(_curve(trial, metric) for metric in CURVES)]
    return [drawing for drawing in found if drawing is not None]


def _experts(trial: TrialRecord) -> Drawing | None:
    usage = usage_by_epoch(trial)
    if len(usage) < 2:
        return None
    figure = new_figure(x="epoch", y="share of the assignments", height_px=300)
    for expert, shares in enumerate(zip(*usage.values(), strict=True)):
        figure.add_trace(
            go.Scatter(
                x=list(usage),
                y=shares,
                stackgroup="experts",
                mode="lines",
                line={"width": 0.8, "color": SERIES[expert % len(SERIES)]},
                name=f"expert {expert}",
                hovertemplate="epoch %{x}: %{y:.1%}",
            )
        )
    figure.update_xaxes(dtick=epochs_between_ticks(max(usage)))
    figure.update_yaxes(tickformat=".0%", range=[0, 1])
    last = usage[max(usage)]
    shares_in_words = ", ".join(f"expert {expert} {share:.0%}" for expert, share in enumerate(last))
    return Drawing(
        name="expert-usage",
        title="Expert usage",
        caption=f"Trial {trial.name}. At its last epoch: {shares_in_words}.",
        description=f"Shares of the experts by epoch; at the end {shares_in_words}.",
        figure=figure,
    )


def usage_by_epoch(trial: TrialRecord) -> dict[int, list[float]]:
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


def _curve(trial: TrialRecord, metric: str) -> Drawing | None:
    measured = {epoch: trial.results[epoch].metrics.get(metric) for epoch in sorted(trial.results)}
    values = {epoch: value for epoch, value in measured.items() if value is not None}
    if len(set(values.values())) < 2:
        return None
    name, title, y_title, colour = CURVES[metric]
    figure = new_figure(x="epoch", y=y_title, height_px=260)
    figure.add_trace(
        go.Scatter(x=list(values), y=list(values.values()), mode="lines+markers", line={"color": colour, "width": 2.4})
    )
    figure.update_xaxes(dtick=epochs_between_ticks(max(values)))
    lowest, highest = min(values.values()), max(values.values())
    return Drawing(
        name=name,
        title=title,
        caption=f"Trial {trial.name}.",
        description=f"{title} by epoch, from {lowest:.3g} to {highest:.3g}.",
        figure=figure,
    )
