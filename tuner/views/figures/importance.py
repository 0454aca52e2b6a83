"""The importance of the parameters, beside what chance reaches."""

from collections.abc import Sequence

import plotly.graph_objects as go

from tuner.importance.measure import Importance
from tuner.records import SearchRecord
from tuner.results.importance_text import importance_sentence
from tuner.views.figures.drawing import BAD, BLUE, GREY, Drawing, as_text, new_figure

MAX_BARS = 12


def draw_importance(search: SearchRecord, importance: Importance | None) -> Drawing:
    name, title = "importance", "Importance of the parameters"
    if importance is None:
        return Drawing(name=name, title=title, caption=importance_sentence(search, None))
    names = list(importance.shares)[:MAX_BARS][::-1]
    # With few trials chance can exceed every bar many times; such a mark is drawn at the edge.
    limit = 1.5 * max(importance.shares.values())
    figure = new_figure(x="share of the importance", y="", height_px=120 + 26 * len(names))
    for word, colour, is_beyond in (("beyond chance", BLUE, True), ("within chance", GREY, False)):
        here = [one for one in names if (one in importance.beyond_chance) is is_beyond]
        shares = [importance.shares[one] for one in here]
        figure.add_trace(_share_bars(word, colour, here, shares))
    figure.add_trace(
        go.Scatter(
            x=[min(importance.chance[one], limit) for one in names],
            y=[as_text(one) for one in names],
            mode="markers",
            marker={"symbol": "line-ns-open", "size": 15, "line": {"width": 2.4}, "color": BAD},
            hovertemplate="chance reaches %{x:.0%}<extra></extra>",
            name="what chance reaches",
        )
    )
    figure.update_xaxes(tickformat=".0%", range=[0, 1.02 * limit])
    figure.update_yaxes(categoryorder="array", categoryarray=[as_text(one) for one in names])
    beyond = ", ".join(importance.beyond_chance) or "none"
    return Drawing(
        name=name,
        title=title,
        caption=importance_sentence(search, importance),
        description=f"More important than chance: {beyond}. "
        + ", ".join(f"{one} {importance.shares[one]:.0%}" for one in reversed(names)),
        figure=figure,
    )


def _share_bars(word: str, colour: str, names: Sequence[str], shares: Sequence[float]) -> go.Bar:
    return go.Bar(
        orientation="h",
        x=shares,
        y=[as_text(one) for one in names],
        marker={"color": colour},
        hovertemplate="%{y}: %{x:.0%}<extra></extra>",
        name=word,
    )
