"""Plots one training: losses, accuracy, learning rate, and its best epoch as text.

python -m trainable.reporting.curve_picture results/dishes/<run>/train/curve.jsonl training.png
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainable.console.command_line import error_line, run_main
from trainable.data.io.counted import counted
from trainable.reporting.number_text import number_text
from trainable.reporting.output_folder import read_curve

DOTS_PER_INCH = 300
_COLOURS = {"train": "#0072B2", "val": "#D55E00"}

Epoch = Mapping[str, Any]


def draw_training(path: Path, epochs: Sequence[Epoch]) -> None:
    """Plots one or more epochs of a `curve.jsonl`."""
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    (loss, accuracy), (rate, summary) = figure.subplots(2, 2)
    _draw(loss, epochs, "loss")
    # Of several tasks it is the mean.
    several = any("val/mean_accuracy" in epoch["metrics"] for epoch in epochs)
    _draw(accuracy, epochs, "mean_accuracy" if several else "accuracy", title="accuracy")
    _draw(rate, epochs, "lr", title="learning rate")
    if len({value for line in rate.lines for value in line.get_ydata()}) > 1:
        # A logarithmic axis has no limits around a single value.
        rate.set_yscale("log")
    summary.set_axis_off()
    summary.text(0.0, 0.9, _in_words(epochs), va="top", fontsize=11, linespacing=1.7)
    figure.savefig(path, dpi=DOTS_PER_INCH)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m trainable.reporting.curve_picture", description="Draw one training."
    )
    parser.add_argument("curve", type=Path, help="curve.jsonl of a training")
    parser.add_argument("out", type=Path, help="picture to write, such as training.png")
    options = parser.parse_args(arguments)
    try:
        draw_training(options.out, read_curve(options.curve))
    except (ValueError, OSError) as error:
        sys.stderr.write(error_line(error))
        return 2
    return 0


def _draw(axes: Axes, epochs: Sequence[Epoch], metric: str, *, title: str | None = None) -> None:
    """Plots one line per split that has this metric; without any, an empty panel says so."""
    for part, colour in _COLOURS.items():
        points = [(e["epoch"], e["metrics"][f"{part}/{metric}"]) for e in epochs if f"{part}/{metric}" in e["metrics"]]
        if points:
            axes.plot(*zip(*points, strict=True), color=colour, label=part, marker="o", markersize=2.5)
    axes.set_title(title or metric, loc="left")
    axes.set_xlabel("epoch")
    if axes.lines:
        axes.legend(frameon=False)
    else:
        axes.text(0.5, 0.5, "not measured", ha="center", transform=axes.transAxes, color="#8c8c8c")


def _in_words(epochs: Sequence[Epoch]) -> str:
    """Describes the last epoch and both extremes, because the plot does not know which is better."""
    length = f"{counted(len(epochs), 'epoch')}, {sum(epoch.get('seconds', 0) for epoch in epochs):.0f} s"
    validated = [epoch for epoch in epochs if "objective" in epoch]
    if not validated:
        return length
    highest = max(validated, key=lambda epoch: epoch["objective"])
    lowest = min(validated, key=lambda epoch: epoch["objective"])
    return "\n".join(
        [
            length,
            f"objective {number_text(validated[-1]['objective'], 4)} at the end",
            f"highest {number_text(highest['objective'], 4)} at epoch {highest['epoch']}",
            f"lowest {number_text(lowest['objective'], 4)} at epoch {lowest['epoch']}",
        ]
    )


if __name__ == "__main__":
    sys.exit(run_main(main))
