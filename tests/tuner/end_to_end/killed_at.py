"""`python -m tests.tuner.end_to_end.killed_at MOMENT ...`: tuner.search in a process that kills itself at that moment.

What the kernel would have written before a `kill -9` at that moment is on disk, and nothing after it.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from trainable.leg import checkpoint_name
from trainable.ray.trainable import LegTrainable
from tuner import export, report, run
from tuner.confirmation import training
from tuner.ray import adapters
from tuner.ray import tuner as ray_tuner
from tuner.records import recorder
from tuner.search import main


def dying(function: Callable, *, after_calls: int = 0, leaving: Callable | None = None) -> Callable:
    """The function, which after so many calls does `leaving` with its arguments and then never returns."""
    calls = iter(range(after_calls))

    def called(*arguments, **options):
        if next(calls, None) is not None:
            return function(*arguments, **options)
        if leaving is not None:
            leaving(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)
        return None

    return called


def in_a_line() -> None:
    """A line of trials.jsonl is half written."""

    def tear(itself, kind, **fields):
        with (itself.folder / "trials.jsonl").open("a") as file:
            file.write('{"event": "result", "tri')

    recorder.Recorder._write = dying(recorder.Recorder._write, after_calls=9, leaving=tear)


def between_result_and_decision() -> None:
    """The line of a result is written, that of what was decided about it is not."""
    recorder.Recorder.decision = dying(recorder.Recorder.decision, after_calls=2)


def between_two_legs() -> None:
    """A leg has ended, and the next has not begun."""
    adapters.Session.next_leg = dying(adapters.Session.next_leg, after_calls=4)


def in_a_checkpoint() -> None:
    """A checkpoint is half written, and its process dies with the search."""
    search = os.getpid()

    class Tearing(LegTrainable):
        def _report(self):
            report = super()._report()
            if report.result is not None and report.result.epoch == 2:
                whole = Path(self._leg.folder) / checkpoint_name(2)
                whole.write_bytes(whole.read_bytes()[:1000])
                os.kill(search, signal.SIGKILL)
                os._exit(1)
            return report

    ray_tuner.LegTrainable = Tearing


def in_the_confirmation() -> None:
    """A line of training.jsonl is half written."""

    def tear(folder, one):
        with (folder / "confirm.jsonl").open("a") as file:
            file.write('{"trial": "000-')

    training.append_run = dying(training.append_run, after_calls=1, leaving=tear)


def before_the_report() -> None:
    """Every trial has ended and is confirmed; the report is not begun."""
    run.finish = dying(run.finish)


def in_the_report() -> None:
    """Some of the report's files are in their places, the others are not."""
    report.replacing = dying(report.replacing, after_calls=1)


def in_the_export() -> None:
    """The winner's configuration is written, its weights are not."""
    export.save_whole = dying(export.save_whole)


def in_the_last_moment() -> None:
    """Report and export are written; that the search is finished is not on record."""
    recorder.Recorder.finish = dying(recorder.Recorder.finish)


MOMENTS = {
    moment.__name__: moment
    for moment in (
        in_a_line,
        between_result_and_decision,
        between_two_legs,
        in_a_checkpoint,
        in_the_confirmation,
        before_the_report,
        in_the_report,
        in_the_export,
        in_the_last_moment,
    )
}

if __name__ == "__main__":
    MOMENTS[sys.argv[1]]()
    sys.exit(main(sys.argv[2:]))
