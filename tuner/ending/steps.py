"""The end of a search, in the order in which it happens: confirm, then write the report and export.

A search, a resume and `python -m tuner.confirm` all take these steps, so that what they leave and say is the same.
"""

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from trainable.console.command_line import unnamed_errors_name
from trainable.console.process import silence_loggers
from trainable.reporting.waiting import Waiting
from tuner import formatting
from tuner.budget.time_left import TimeLeft, time_left
from tuner.confirmation.training import Progress, confirm, log_training
from tuner.confirmation.wanted import what_is_left
from tuner.export import CONFIG, FOLDER, export
from tuner.importance.measure import measure_importance
from tuner.listeners.dispensable import Dispensable
from tuner.listeners.study_copy import mark_exported
from tuner.listeners.tensorboard import write_columns
from tuner.records import ConfirmedRun, ConfirmSeeds, SearchRecord, TrialResources
from tuner.results.headline import State
from tuner.selection.selected_trial import select_trial
from tuner.storage.lease import LeaseLostError
from tuner.views.throttled_view import ThrottledView

logger = logging.getLogger(__name__)

NO_RESULT, INTERRUPTED = 1, 130
NUM_COMMANDS = 3
_WIDTH = 12
PAGE_SECONDS = 5.0
"""Least time between two drawings of the page."""
DATA_NOTES = "trainable.tasks"
"""Logger of what is said about the data; the search has said it when it opened it first."""


def confirm_and_show(
    folder: Path,
    search: SearchRecord,
    *,
    top: int,
    seeds: ConfirmSeeds,
    on_wait: Callable[[], None] = lambda: None,
    unfit_nodes: Callable[[], Sequence[str]] = tuple,
    resources: TrialResources | None = None,
) -> bool:
    """Trains what is missing of the confirmation, on a running Ray, and tells each training on terminal and page.

    Args:
        on_wait: called every second; a LeaseLostError of it ends the confirmation with its message.
        unfit_nodes: returns the ids of the nodes that get no training.
        resources: what trainings get on this Ray; None is what the search's trials had.

    Returns:
        False where it ended early, as after Ctrl-C; the same call trains the rest.

    Raises:
        ValueError: a trial needs more than Ray has.
    """
    left: TimeLeft | None = None
    page = live_page(folder, State.CONFIRMING, time_left=lambda _: left)

    def tell(run: ConfirmedRun, progress: Progress) -> None:
        nonlocal left
        left = progress.left if progress.done < progress.total else None
        log_training(run, progress)
        page.on_event(search, search.events[-1])

    try:
        confirm(
            folder, top=top, seeds=seeds, on_run=tell, on_wait=on_wait, unfit_nodes=unfit_nodes, resources=resources
        )
    except KeyboardInterrupt:
        return False
    except LeaseLostError as error:
        logger.info("%s", error)
        return False
    return True


def finish(folder: Path, search: SearchRecord) -> int:
    """Writes samples, report, page and export over earlier ones, and says what came of the search.

    Returns:
        The exit status of the search: 0 over, 1 over without a value of any trial, 130 something is left to train.
    """
    # Its figures take as long to import as a trial takes to start.
    from tuner.report import write_measured
    from tuner.samples.judging import draw_samples_once

    with Waiting("Writing the report"), silence_loggers(DATA_NOTES), unnamed_errors_name(folder):
        draw_samples_once(folder, search)
        importance = measure_importance(search)
        write_measured(folder, search, importance)
        not_exported = _export_selected(folder, search)
        write_columns(folder, search, () if importance is None else importance.shares)
    sys.stdout.write("\n".join(summary(folder, search, not_exported)) + "\n")
    if what_is_left(folder, search) is not None:
        return INTERRUPTED
    return NO_RESULT if search.leader is None else 0


def live_page(
    folder: Path,
    state: State = State.RUNNING,
    *,
    time_left: Callable[[SearchRecord], TimeLeft | None] = time_left,
) -> Dispensable:
    """The page of the running search, for the browser."""

    def make() -> ThrottledView:
        # plotly takes a moment to import, and a command that only checks its options draws nothing.
        from tuner.views.html.live import LivePage

        return ThrottledView(LivePage(folder, state, time_left), pause_seconds=PAGE_SECONDS)

    return Dispensable("report.html", make, remedy="python -m tuner.report writes it again")


def summary(folder: Path, search: SearchRecord, not_exported: str | None) -> list[str]:
    """The last lines on the terminal: an interruption first; then the headline of the page, what would decide it, the
    values on both splits, the files, and some commands.

    Args:
        not_exported: why nothing is exported; None where it is.
    """
    from tuner.report import outcome_lines
    from tuner.views.html.content import commands, read_result, to_decide
    from tuner.views.html.page import PAGE

    result, left = read_result(folder, search), what_is_left(folder, search)
    decides = to_decide(result)
    exported = f"none: {not_exported}." if not_exported else formatting.path(folder / FOLDER / CONFIG)
    usable = {name: one for name, one in commands(result).items() if not (not_exported and f"/{CONFIG}" in one)}
    shown = list(usable.items())[:NUM_COMMANDS]
    width = max(len(name) for name, _ in shown) + 2
    return [
        *([] if left is None else [left]),
        f"{'Result':{_WIDTH}}{result.headline.sentence}",
        *([] if decides is None else [f"{'':{_WIDTH}}{decides}"]),
        *outcome_lines(folder, search),
        f"{'Exported':{_WIDTH}}{exported}",
        f"{'Page':{_WIDTH}}{formatting.path(folder / PAGE)}",
        *(f"{name:{width}}{command}" for name, command in shown),
    ]


def _export_selected(folder: Path, search: SearchRecord) -> str | None:
    """Exports the selected trial; returns why that can't be done, and None where it is."""
    selected = select_trial(folder, search)
    if selected is None:
        if search.is_unfinished and not any(trial.results for trial in search.trials):
            return "interrupted before any epoch ended"
        return "no trial has a finite objective; the report says why each ended"
    try:
        export(folder)
    except ValueError as error:
        return str(error).rstrip(".")
    finally:
        mark_exported(folder, selected.trial, remark=selected.remark, left=what_is_left(folder, search))
    return None
