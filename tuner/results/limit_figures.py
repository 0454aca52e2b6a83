"""The figure of a report on limits: the objective against each quantity that is limited."""

from matplotlib.figure import Figure

from trainable.leg import LIMIT_PREFIX
from tuner import formatting
from tuner.policy.outcomes import Outcome
from tuner.records import SearchRecord, TrialRecord
from tuner.results.figure_style import BLACK, Picture
from tuner.results.parameter_figures import draw_point


def draw_limits(search: SearchRecord, exported: TrialRecord | None) -> Picture:
    """One panel for each limit; a trial that was not trained is a cross at its edge."""
    limits = search.settings.limits
    figure = Figure(figsize=(8.0, 3.9))
    panels = figure.subplots(1, len(limits), sharey=True, squeeze=False)[0]
    for axes, (quantity, limit) in zip(panels, limits.items(), strict=True):
        for trial in search.trials:
            measured = measured_quantity(trial, quantity)
            if measured is not None:
                epoch = trial.last.epoch if trial.last else 0
                draw_point(axes, search, trial, x=measured, epoch=epoch, exported=exported)
        axes.axvline(limit, color=BLACK, linestyle="--", linewidth=1)
        axes.set_xlabel(quantity)
    panels[0].set_ylabel(f"{formatting.metric(search.settings.objective)} at the trial's last epoch")
    over = sum(trial.outcome is Outcome.OVER_LIMIT for trial in search.trials)
    caption = (
        f"Each trial's objective against what was measured before its training. Dashed: the limit. Cross at the edge: "
        f"diverged, out of memory, collapsed or over a limit, which ended {formatting.count(over, 'trial')} untrained."
    )
    return Picture(title="Limits", caption=caption, figure=figure)


def measured_quantity(trial: TrialRecord, quantity: str) -> float | None:
    """What was measured of a trial's network; None where it was not, such as after another broken limit."""
    if trial.outcome is Outcome.OVER_LIMIT and trial.numbers.get("quantity") == quantity:
        return float(trial.numbers["measured"])
    values = (result.metrics.get(f"{LIMIT_PREFIX}{quantity}") for result in trial.results.values())
    return next((value for value in values if value is not None), None)
