"""Compares the time left that was estimated during finished searches with the time that they took.

python -m benchmarks.replay.time_left results/moe/<run> results/retina/<run>
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainable.console.command_line import error_line
from tuner import formatting
from tuner.budget.time_left import TimeLeft, time_left
from tuner.records import SearchRecord, read_search
from tuner.records.events import EpochDone, TrialEnded

FIRST_ENDED = 3
"""Number of ended trials from which the estimate should be within `CLOSE` of the truth."""
CLOSE = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """An epoch or a trial that ended."""

    seconds: float
    """Since the search started."""
    num_ended: int
    """Trials that had ended."""
    estimate: TimeLeft
    took: float
    """Seconds until the report was written."""

    @property
    def error(self) -> float:
        """Relative error of the median estimate."""
        return self.estimate.likely / self.took - 1


def moments(search: SearchRecord, *, pause_seconds: float) -> Iterator[Moment]:
    """Estimates at each end of a trial, and about every `pause_seconds` in between.

    Raises:
        ValueError: the search is not finished, or was interrupted, so that its duration is unknown.
    """
    if not search.is_finished or len(search.sessions) != 1:
        raise ValueError("A search that is finished, and in one session, is needed.")
    end, so_far = search.events[-1].time, SearchRecord(search.settings)
    ended, due = 0, 0.0
    for event in search.events:
        so_far.apply(event)
        ended += isinstance(event, TrialEnded)
        if isinstance(event, EpochDone | TrialEnded) and event.time >= due and event.time < end:
            estimate = time_left(so_far)
            if estimate is not None:
                due = event.time + pause_seconds
                yield Moment(seconds=event.time, num_ended=ended, estimate=estimate, took=end - event.time)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a table for each folder; returns the exit status: 0 done, 2 user error."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay.time_left", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="finished searches, results/<space>/<run>")
    parser.add_argument("--every", type=float, default=20.0, metavar="SECONDS", help="between two rows (default: 20)")
    options = parser.parse_args(arguments)
    try:
        for folder in options.folders:
            rows = list(moments(read_search(folder), pause_seconds=options.every))
            sys.stdout.write(f"{folder}\n{_table(rows)}\n")
    except (ValueError, OSError) as error:
        sys.stderr.write(error_line(error))
        return 2
    return 0


def _table(rows: Sequence[Moment]) -> str:
    late = [row for row in rows if row.num_ended >= FIRST_ENDED]
    close = sum(abs(row.error) <= CLOSE for row in late)
    summary = f"from {formatting.count(FIRST_ENDED, 'ended trial')} on, within {CLOSE:.0%}: {close} of {len(late)}"
    return "\n".join([*map(_line, rows), summary])


def _line(row: Moment) -> str:
    at, took = formatting.duration(row.seconds), formatting.duration(row.took)
    return f"{at:>8}  {row.num_ended:3} ended  took {took:>8}  estimated {row.estimate!s:16} {row.error:+5.0%}"


if __name__ == "__main__":
    sys.exit(main())
