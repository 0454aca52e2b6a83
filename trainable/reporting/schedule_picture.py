"""Plots what a configuration plans: learning rates, augmentation strength and unfrozen share against epochs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainable.config import TrialConfig
from trainable.techniques.optim.optimizer import peak_rates
from trainable.techniques.optim.unfreezing import unfrozen_share

DOTS_PER_INCH = 200
POINTS_PER_EPOCH = 20
_COLOURS = {"heads": "#0072B2", "backbone": "#D55E00", "custom": "#009E73"}
_STRENGTH, _UNFROZEN = "#CC79A7", "#56B4E9"


def draw_schedule(path: Path, config: TrialConfig) -> None:
    """Writes the picture; the rate of a plateau schedule is drawn for a metric that keeps improving.

    Raises:
        ValueError: matplotlib can't write files with this ending.
    """
    figure = Figure(figsize=(8, 5.5), layout="constrained")
    rate, share = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    epochs = np.linspace(0, config.max_epochs, config.max_epochs * POINTS_PER_EPOCH + 1)
    for part, rates in planned_rates(config, epochs).items():
        rate.plot(epochs, rates, color=_COLOURS[part], label=part)
    rate.set_title(f"{config.workload}: learning rate ({config.schedule.schedule_kind})", loc="left")
    rate.set_ylim(bottom=0)
    rate.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    if len(rate.lines) > 1:
        rate.legend(frameon=False)
    _draw_shares(share, config)
    figure.savefig(path, dpi=DOTS_PER_INCH)


def planned_rates(config: TrialConfig, epochs: Sequence[float] | np.ndarray) -> dict[str, list[float]]:
    """The learning rate of each part at these times, real numbers of epochs; one part where all have one rate."""
    peaks = peak_rates(config.optimizer)
    if len(set(peaks.values())) == 1:
        peaks = {"heads": peaks["heads"]}
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": peak} for peak in peaks.values()]
    schedule = config.schedule.build(
        torch.optim.SGD(groups), total_epochs=config.max_epochs, max_lr=max(peaks.values()), mode="max"
    )
    by_time = [[scale * schedule.lr_at(float(epoch)) for scale in schedule.group_scales] for epoch in epochs]
    return {part: list(rates) for part, rates in zip(peaks, zip(*by_time, strict=True), strict=True)}


def planned_strengths(config: TrialConfig) -> list[float]:
    """The augmentation's strength in each epoch; 0 where it is off or the workload has none."""
    augmentation = getattr(config, "augmentation", None)
    if augmentation is None:
        return [0.0] * config.max_epochs
    built, strengths = augmentation.build(config.max_epochs, seed=0), []
    for epoch in range(config.max_epochs):
        built.update_epoch(epoch)
        strengths.append(built.current_strength)
    return strengths


def _draw_shares(axes: Axes, config: TrialConfig) -> None:
    """Draws both as steps: they are constant within an epoch, unlike the learning rate."""
    edges = np.arange(config.max_epochs + 1)
    axes.stairs(planned_strengths(config), edges, baseline=None, color=_STRENGTH, label="augmentation strength")
    if config.unfreezing is not None:
        milestones, count = config.unfreezing.milestones, config.max_epochs
        shares = [unfrozen_share(milestones, epoch / count) for epoch in range(count)]
        axes.stairs(shares, edges, baseline=None, color=_UNFROZEN, label="share of the backbone that trains")
        axes.legend(frameon=False)
    shown = "augmentation strength" if config.unfreezing is None else "augmentation strength, share of the backbone"
    axes.set_title(shown, loc="left")
    axes.set_ylim(-0.02, 1.05)
    axes.set_xlim(0, config.max_epochs)
    axes.set_xlabel("epochs")
