"""The objective against each quantity that is limited."""

import plotly.graph_objects as go

from trainable.leg import LIMIT_PREFIX
from tuner import formatting
from tuner.policy.outcomes import Outcome
from tuner.records import SearchRecord, TrialRecord
from tuner.views.figures.drawing import DEFAULT, Drawing, by_kind, colour_of, hover_of, new_figure


def draw_limits(search: SearchRecord, exported: TrialRecord | None) -> list[Drawing]:
    """Plots a figure for each limit; the caption names the trials that broke it."""
    limits = enumerate(search.settings.limits.items(), start=1)
    return [_draw(search, exported, quantity, limit, number=number) for number, (quantity, limit) in limits]


def measured_quantity(trial: TrialRecord, quantity: str) -> float | None:
    """Measured quantity of a trial's network; None if unknown, such as after another broken limit."""
    if trial.outcome is Outcome.OVER_LIMIT and trial.numbers.get("quantity") == quantity:
        return float(trial.numbers["measured"])
    values = (result.metrics.get(f"{LIMIT_PREFIX}{quantity}") for result in trial.results.values())
    return next((value for value in values if value is not None), None)


def _draw(search: SearchRecord, exported: TrialRecord | None, quantity: str, limit: float, *, number: int) -> Drawing:
    figure = new_figure(x=quantity, y=f"last {search.settings.metric}", height_px=300)
    for kind, trials in by_kind(search, exported).items():
        pairs = [(one, measured_quantity(one, quantity)) for one in trials if one.results]
        here = [(one, measured) for one, measured in pairs if measured is not None]
        figure.add_trace(
            go.Scatter(
                x=[measured for _, measured in here],
                y=[one.last_result.objective for one, _ in here],
                customdata=[one.name for one, _ in here],
                text=[hover_of(one) for one, _ in here],
                mode="markers",
                name=kind,
                marker={"color": colour_of(search, trials[0], exported), "size": 8},
                hovertemplate="%{text}<br>%{x:.4g}: <b>%{y:.4g}</b><extra></extra>",
            )
        )
    figure.add_vline(limit, line={"color": DEFAULT, "dash": "dash", "width": 1.4}, annotation_text="limit")
    broken = [
        one for one in search.trials if one.outcome is Outcome.OVER_LIMIT and one.numbers.get("quantity") == quantity
    ]
    return Drawing(
        name=f"limit-{number}",
        title=f"{search.settings.metric} against {quantity}",
        caption=f"The limit is {limit:g}; {formatting.count(len(broken), 'trial')} above it ended untrained.",
        description=f"One dot for each trained trial, and the limit of {limit:g}.",
        figure=figure,
    )
