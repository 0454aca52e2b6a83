"""Searches of one space with several samplers side by side: how soon each was as good as one of them, and on test.

    python -m benchmarks.searches.beside results/moe/random-0 results/moe/forecast-0 results/moe/random-1 ...

What: searches of the same sampler and scheduler are one row, those of the same seed are compared. Of each: the epochs
    until a trial of full length had the value, on the validation split, that the reference ended with; and the
    objective of its exported trial on the test split, as a mean over the seeds of its confirmation.
Cost: none, it reads the folders of confirmed searches.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tuner import formatting
from tuner.records import SearchRecord, read_search
from tuner.results.best_so_far import measured_in_order
from tuner.selection.comparison import confirmed_runs
from tuner.selection.selected_trial import select_trial


class Compared(NamedTuple):
    """One search."""

    policy: str
    """Sampler and scheduler."""
    seed: int
    epochs: int
    """Trained by all trials."""
    best: float
    """Highest value of a trial of full length, with the sign changed where less is better."""
    curve: tuple[tuple[int, float], ...]
    """Epochs trained until then and the value, of each trial of full length in turn; the sign as in `best`."""
    on_test: float
    """Mean of the exported trial over the seeds."""

    def epochs_to(self, value: float) -> int | None:
        """Trained until a trial of full length had the value; None if none has."""
        return next((epochs for epochs, reached in self.curve if reached >= value), None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table; returns the exit status: 0 done, 2 a folder is no confirmed search or the reference lacks."""
    options = _parser().parse_args(arguments)
    try:
        searches = [read_compared(folder) for folder in options.folders]
        sys.stdout.write(table(searches, reference=options.reference) + "\n")
    except (ValueError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


def read_compared(folder: Path) -> Compared:
    """Raises ValueError: the folder holds no search, or none that is confirmed."""
    search = read_search(folder)
    # First: a search that is confirmed has values.
    on_test = _on_test(folder, search)
    settings, sign = search.settings, search.settings.sign
    curve = tuple((one.epochs, sign * one.value) for one in measured_in_order(search))
    return Compared(
        policy=f"{settings.sampler}, {settings.scheduler}",
        seed=settings.seed,
        epochs=sum(len(trial.results) for trial in search.trials),
        best=max(value for _, value in curve),
        curve=curve,
        on_test=on_test,
    )


def table(searches: Sequence[Compared], *, reference: str) -> str:
    """Markdown table with a row for each policy, the reference first.

    Args:
        reference: name of a sampler.

    Raises:
        ValueError: no search of that sampler, or none with the seed of another.
    """
    references = {one.seed: one for one in searches if one.policy.partition(",")[0] == reference}
    if lacking := sorted({one.seed for one in searches} - references.keys()):
        raise ValueError(f"no search with --sampler {reference} and seed {lacking[0]} was given; add its folder.")
    policies = sorted({one.policy for one in searches}, key=lambda name: (not name.startswith(reference), name))
    heads = ["sampler, scheduler", "seeds", "epochs", f"as good as {reference} after", "share of its epochs"]
    heads += ["on test", f"less {reference}"]
    lines = [heads, ["---"] * len(heads)]
    for policy in policies:
        own = sorted((one for one in searches if one.policy == policy), key=lambda one: one.seed)
        lines.append(_row(own, [references[one.seed] for one in own]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(own: Sequence[Compared], beside: Sequence[Compared]) -> list[str]:
    """The searches of one policy, and those of the reference with the same seeds."""
    pairs = list(zip(own, beside, strict=True))
    reached = [(one.epochs_to(other.best), other.epochs) for one, other in pairs]
    return [
        own[0].policy,
        " ".join(str(one.seed) for one in own),
        " ".join(str(one.epochs) for one in own),
        " ".join("never" if epochs is None else str(epochs) for epochs, _ in reached),
        " ".join("-" if epochs is None else f"{epochs / full:.2f}" for epochs, full in reached),
        _mean([one.on_test for one in own]),
        "" if own == beside else _with_error([one.on_test - other.on_test for one, other in pairs]),
    ]


def _on_test(folder: Path, search: SearchRecord) -> float:
    exported = select_trial(folder, search)
    values = [
        run.objective
        for run in confirmed_runs(folder, search)
        if exported is not None and run.trial == exported.trial.name and run.objective is not None
    ]
    if not values:
        raise ValueError(f"{folder} is not confirmed; run python -m tuner.confirm {folder}.")
    return statistics.fmean(values)


def _mean(values: Sequence[float]) -> str:
    return f"{formatting.number(statistics.fmean(values))} ({' '.join(map(formatting.number, values))})"


def _with_error(gains: Sequence[float]) -> str:
    """The mean, and its standard error where there are several."""
    mean = formatting.difference(statistics.fmean(gains))
    return mean if len(gains) < 2 else f"{mean} ± {statistics.stdev(gains) / len(gains) ** 0.5:.3f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.searches.beside",
        description="Compare finished searches of one space that differ in sampler, scheduler and seed.",
    )
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="results/<space>/<run>, confirmed")
    parser.add_argument(
        "--reference", default="random", metavar="SAMPLER", help="whose final value is to be reached (default: random)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
