"""Who trained when: one row for each slot."""

import plotly.graph_objects as go

from tuner import formatting
from tuner.policy.decision import PROMOTE
from tuner.records import SearchRecord, TrialRecord
from tuner.results.timeline import Stretch, busy_share, stretches
from tuner.views.figures.drawing import Drawing, by_kind, colour_of, hover_of, new_figure, time_unit


def draw_timeline(search: SearchRecord, exported: TrialRecord | None) -> Drawing:
    """Plots trainings as bars, promotions and bad endings as marks."""
    name, title = "timeline", "Timeline of the slots"
    found = stretches(search)
    if not found:
        return Drawing(name=name, title=title, caption="No epoch is done yet.")
    divisor, unit = time_unit(search.elapsed)
    num_slots = max(stretch.slot for stretch in found)
    figure = new_figure(x=f"{unit} since the search started", y="", height_px=130 + 46 * min(num_slots, 12))
    promoted = {(one.trial, one.decision.epoch) for one in search.decisions if one.decision.action == PROMOTE}
    for kind, trials in by_kind(search, exported).items():
        names = {trial.name for trial in trials}
        here = [stretch for stretch in found if stretch.trial in names]
        if here:
            figure.add_trace(_bars(search, kind, here, colour_of(search, trials[0], exported), divisor))
    starts = [stretch for stretch in found if (stretch.trial, stretch.first_epoch - 1) in promoted]
    bad_ends = {trial.name: trial.last_epoch for trial in search.trials if not trial.may_win}
    ends = [stretch for stretch in found if bad_ends.get(stretch.trial) == stretch.last_epoch]
    figure.add_trace(_marks("promoted", "triangle-right", starts, [one.begin / divisor for one in starts]))
    figure.add_trace(_marks("ended badly", "x", ends, [one.end / divisor for one in ends]))
    for session in search.sessions[1:]:
        figure.add_vline(session.time / divisor, line={"width": 1, "dash": "dot"}, annotation_text="resumed")
    figure.update_layout(barmode="overlay", bargap=0.25)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(rangemode="tozero")
    share = busy_share(search)
    busy = "" if share is None else f" The slots were training or validating for {share:.0%} of the time."
    caption = f"Each bar is a trial without a break; a paused trial goes on in a later bar.{busy}"
    description = (
        f"{formatting.count(len(found), 'stretch', 'stretches')} of training in {formatting.count(num_slots, 'slot')}."
    )
    return Drawing(name=name, title=title, caption=caption, description=description, figure=figure)


def _bars(search: SearchRecord, kind: str, here: list[Stretch], colour: str, divisor: float) -> go.Bar:
    return go.Bar(
        orientation="h",
        base=[stretch.begin / divisor for stretch in here],
        x=[(stretch.end - stretch.begin) / divisor for stretch in here],
        y=[f"slot {stretch.slot}" for stretch in here],
        customdata=[stretch.trial for stretch in here],
        text=[_hover(search, stretch) for stretch in here],
        textposition="none",
        name=kind,
        marker={"color": colour, "line": {"width": 1, "color": "rgba(255,255,255,0.7)"}},
        hovertemplate="%{text}<extra></extra>",
    )


def _hover(search: SearchRecord, stretch: Stretch) -> str:
    epochs = (
        f"{stretch.first_epoch}"
        if stretch.first_epoch == stretch.last_epoch
        else (f"{stretch.first_epoch} to {stretch.last_epoch}")
    )
    return f"{hover_of(search.by_name[stretch.trial])}<br>epoch {epochs}"


def _marks(name: str, symbol: str, here: list[Stretch], x: list[float]) -> go.Scatter:
    return go.Scatter(
        x=x,
        y=[f"slot {stretch.slot}" for stretch in here],
        mode="markers",
        name=name,
        marker={"symbol": symbol, "size": 9, "color": "#ffffff", "line": {"width": 1.4, "color": "#333333"}},
        hoverinfo="skip",
    )
