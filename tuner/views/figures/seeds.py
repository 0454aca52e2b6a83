"""The confirmation: one dot for each seed of each configuration."""

import statistics
from collections.abc import Sequence

import plotly.graph_objects as go

from tuner import formatting
from tuner.records import SearchRecord, TrialRecord
from tuner.selection.comparison import Confirmation
from tuner.views.figures.drawing import COMPLETED, DEFAULT, EXPORTED, Drawing, new_figure


def draw_seeds(search: SearchRecord, exported: TrialRecord | None, confirmations: Sequence[Confirmation]) -> Drawing:
    """Plots the value of each seed on the test split; a line connects the default and trials on the same seed."""
    name, title = "seeds", "Every seed on the test split"
    if not confirmations:
        caption = "Not confirmed yet: the default and the best trials are retrained when all trials have ended."
        return Drawing(name=name, title=title, caption=caption)
    columns = {"default": confirmations[0].default_values}
    columns |= {f"trial {one.trial}": one.values for one in confirmations}
    own = "default" if exported is search.default_trial or exported is None else f"trial {exported.name}"
    figure = new_figure(x="", y=f"{search.settings.metric}, test split")
    for seed in sorted({seed for values in columns.values() for seed in values}):
        here = {column: values[seed] for column, values in columns.items() if seed in values}
        figure.add_trace(_line(seed, here))
    for column, values in columns.items():
        colour = EXPORTED if column == own and own != "default" else DEFAULT if column == "default" else COMPLETED
        figure.add_trace(_dots(column, values, colour))
    figure.update_xaxes(type="category")
    means = [
        f"{column} {formatting.number(statistics.fmean(values.values()))} over {formatting.count(len(values), 'seed')}"
        for column, values in columns.items()
        if values
    ]
    return Drawing(
        name=name,
        title=title,
        caption="A dot is one training, scored on data that the search never saw. Lines join a seed, bars are means.",
        description=". ".join(
            [f"Means: {', '.join(means)}", *dict.fromkeys(one.failures for one in confirmations if one.failures)]
        )
        + ".",
        figure=figure,
    )


def _line(seed: int, here: dict[str, float]) -> go.Scatter:
    return go.Scatter(
        x=list(here),
        y=list(here.values()),
        mode="lines",
        line={"width": 1, "color": "rgba(133,137,143,0.55)"},
        name=f"seed {seed}",
        hoverinfo="skip",
        showlegend=False,
    )


def _dots(column: str, values: dict[int, float], colour: str) -> go.Scatter:
    mean = statistics.fmean(values.values()) if values else None
    return go.Scatter(
        x=[column] * (len(values) + 1),
        y=[*values.values(), mean],
        text=[*(f"seed {seed}" for seed in values), "mean"],
        mode="markers",
        marker={
            "color": colour,
            "size": [*[10] * len(values), 34],
            "symbol": [*["circle"] * len(values), "line-ew-open"],
            "line": {"width": 3, "color": colour},
        },
        name=column,
        hovertemplate="%{x}, %{text}: <b>%{y:.4g}</b><extra></extra>",
        showlegend=False,
    )
