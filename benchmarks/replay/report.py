"""Table and picture of replayed searches: normalised regret against budget, with paired bootstrap intervals.

What: every policy was given the same problems, seeds and budget. Policies with several first rungs or ways to end
a search are shown with the better one, chosen afterwards for each point of the budget: an advantage that they would not
have. Intervals resample problems, then seeds within them, the same for all policies.
Source: Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from benchmarks.figure_style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    STYLE,
    YELLOW,
    Label,
    label_right,
    new_axes,
)
from benchmarks.replay.run import BUDGET_TRAININGS, POINTS

NUM_RESAMPLES = 2000
QUARTER, HALF, FULL = POINTS // 4 - 1, POINTS // 2 - 1, POINTS - 1
BASELINE = "stock"
LEADER = "ours"

Regrets = dict[str, np.ndarray]
"""Regret [problems, seeds, points] by policy."""


def write_report(runs: Sequence[dict], folder: Path) -> str:
    """Writes table.md and regret.png, where there is anything to compare; returns the table."""
    regrets = better_variants(runs)
    if not regrets:
        return "No search was finished by every policy: there is nothing to compare."
    text = f"{setting(runs[0])}\n\n{table(regrets)}"
    if LEADER in regrets and len(regrets) > 1:
        text += f"\n\n{behind(regrets)}"
    (folder / "table.md").write_text(text + "\n", encoding="utf-8")
    _draw(regrets, folder / "regret.png")
    return text


def setting(run: dict) -> str:
    """The curves, workers and noise that all runs of a comparison share."""
    kind, _, path = run["suite"].partition(":")
    noise = f"noise of {run['noise']:g} of the spread" if run["noise"] else "without noise"
    return f"Curves: {kind} {Path(path).name}".rstrip() + f"; {run['slots']} simulated workers, {noise}."


def better_variants(runs: Sequence[dict]) -> Regrets:
    """Regrets of each policy, at each point with the first rung and the way to end that have the lowest mean.

    Empty if no search was finished by every policy.
    """
    variants: dict[str, dict[tuple, dict]] = defaultdict(lambda: defaultdict(dict))
    for run in runs:
        for ending, regret in run["regret"].items():
            variants[run["policy"]][run["grace_epochs"], ending][run["problem"], run["seed"]] = regret
    done = [set(cells) for by_way in variants.values() for cells in by_way.values()]
    problems, seeds = _largest_block(set.intersection(*done) if done else set())
    if not problems:
        return {}
    lowest = {}
    for policy, by_way in variants.items():
        cubes = np.array([[[cells[p, s] for s in seeds] for p in problems] for cells in by_way.values()])
        best = cubes.mean(axis=(1, 2)).argmin(axis=0)
        lowest[policy] = np.stack([cubes[way, :, :, point] for point, way in enumerate(best)], axis=-1)
    return lowest


def _largest_block(done: set[tuple[str, int]]) -> tuple[list[str], list[int]]:
    """Problems and seeds of which every pair is done: most pairs, and of equal numbers the most problems."""
    of_seed = {seed: {problem for problem, other in done if other == seed} for _, seed in done}
    fullest = sorted(of_seed, key=lambda seed: (-len(of_seed[seed]), seed))
    blocks = []
    for count in range(1, len(fullest) + 1):
        seeds = fullest[:count]
        blocks.append((sorted(set.intersection(*(of_seed[seed] for seed in seeds))), sorted(seeds)))
    return max(blocks, key=lambda block: len(block[0]) * len(block[1]), default=([], []))


def table(regrets: Regrets) -> str:
    problems, seeds, _ = next(iter(regrets.values())).shape
    lines = [
        f"Normalised regret (0: best known, 1: median configuration), {problems} tasks, {seeds} seeds; "
        f"mean and, against {BASELINE}, ratio of means with its 95 % interval.",
        "",
        f"| policy | {BUDGET_TRAININGS // 4} full trainings | ratio | {BUDGET_TRAININGS} full trainings | ratio |",
        "|---|---|---|---|---|",
    ]
    for policy, regret in regrets.items():
        cells = []
        for point in (QUARTER, FULL):
            cells += [_mean(regret[..., point]), _ratio(regrets, policy, point)]
        lines.append(f"| {policy} | {' | '.join(cells)} |")
    return "\n".join(lines)


def behind(regrets: Regrets) -> str:
    """A table of how far each policy is behind the leader, with paired standard errors over the problems."""
    points = (QUARTER, HALF, FULL)
    headings = [f"{(point + 1) * BUDGET_TRAININGS // POINTS} full trainings | behind" for point in points]
    lines = [
        f"Behind {LEADER}: mean difference of regret, with its standard error over the tasks (means of their seeds).",
        "",
        f"| policy | {' | '.join(headings)} |",
        "|---|" + "---|---|" * len(points),
    ]
    for policy, regret in regrets.items():
        cells = []
        for point in points:
            gap = (regret[..., point] - regrets[LEADER][..., point]).mean(axis=1)
            cells += [f"{regret[..., point].mean():.3f}", "-" if policy == LEADER else _with_error(gap)]
        lines.append(f"| {policy} | {' | '.join(cells)} |")
    return "\n".join(lines)


def bootstrap_means(regret: np.ndarray) -> np.ndarray:
    """Means [resamples] of regret [problems, seeds], resampled alike for all arrays of that shape."""
    generator = np.random.default_rng(0)
    problems, seeds = regret.shape
    rows = generator.integers(problems, size=(NUM_RESAMPLES, problems, 1))
    columns = generator.integers(seeds, size=(NUM_RESAMPLES, problems, seeds))
    return regret[rows, columns].mean(axis=(1, 2))


def _mean(regret: np.ndarray) -> str:
    low, high = np.percentile(bootstrap_means(regret), [2.5, 97.5])
    return f"{regret.mean():.3f} ({low:.3f} to {high:.3f})"


def _ratio(regrets: Regrets, policy: str, point: int) -> str:
    if policy == BASELINE or BASELINE not in regrets:
        return "-"
    own, other = regrets[policy][..., point], regrets[BASELINE][..., point]
    others = bootstrap_means(other)
    if not others.all():
        return f"{BASELINE} has no regret"
    low, high = np.percentile(bootstrap_means(own) / others, [2.5, 97.5])
    return f"{own.mean() / other.mean():.2f} ({low:.2f} to {high:.2f})"


def _with_error(gap: np.ndarray) -> str:
    """Mean and standard error of a gap [problems]; no error for a single problem."""
    error = f" ± {gap.std(ddof=1) / len(gap) ** 0.5:.3f}" if len(gap) > 1 else ""
    return f"{gap.mean():+.3f}{error}"


def _draw(regrets: Regrets, path: Path) -> None:
    """Mean regret against budget with its 95 % interval, beside each policy's name what is left at the end."""
    with matplotlib.rc_context(STYLE):
        axes = new_axes()
        spent = np.arange(1, POINTS + 1) * BUDGET_TRAININGS / POINTS
        labels = []
        for (policy, regret), colour in zip(
            regrets.items(), cycle((RED, ORANGE, BLUE, BLACK, GREEN, GREY, PURPLE, SKY, YELLOW)), strict=False
        ):
            means = regret.mean(axis=(0, 1))
            low, high = np.transpose(
                [np.percentile(bootstrap_means(at), [2.5, 97.5]) for at in np.moveaxis(regret, 2, 0)]
            )
            leads = policy == LEADER
            axes.plot(spent, means, color=colour, linewidth=2.8 if leads else 1.4, zorder=3 if leads else 2)
            axes.fill_between(spent, low, high, color=colour, alpha=0.2 if leads else 0.06, linewidth=0)
            weight = "bold" if leads else "normal"
            labels.append(Label(y=means[-1], text=f"{policy} {means[-1]:.2f}", colour=colour, weight=weight))
        axes.set_xticks([1, *range(POINTS // 4, POINTS + 1, POINTS // 4)])
        axes.set(xlabel="budget in full trainings", ylabel="normalised regret", xlim=(spent[0], spent[-1]), ylim=(0, 1))
        label_right(axes, labels)
        figure = axes.figure
        assert isinstance(figure, Figure)
        figure.savefig(path, metadata={"Software": None})
