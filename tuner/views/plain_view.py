"""The view of a search in a file or a pipe: a line for each trial that ends, and one every minute."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from tuner import formatting
from tuner.budget.time_left import time_left
from tuner.formatting import counts_in_words, warning_of_few
from tuner.records import SearchRecord
from tuner.results import progress
from tuner.selection import in_search
from tuner.views.view import View

PROGRESS_SECONDS = 60
"""A line is written at least this often while results arrive."""


class PlainView(View):
    """Each line is complete in itself, for `grep` and `tail -f`."""

    def __init__(self, search: SearchRecord, *, results: Path, dashboard: str | None, stream: TextIO) -> None:
        self._heading = heading(search, results=results, dashboard=dashboard)
        self._stream = stream
        self._reported = _ended(search)
        self._spoke = search.elapsed

    def start(self) -> None:
        for name, words in self._heading.items():
            self.message(f"{name}: {words}")

    def update(self, search: SearchRecord) -> None:
        ended = _ended(search)
        news = [f"trial {name} {sentence}" for name, sentence in ended.items() if name not in self._reported]
        self._reported = ended
        if not news and search.elapsed - self._spoke >= PROGRESS_SECONDS:
            running, waiting = progress.running(search), progress.waiting(search)
            each = ", ".join(f"trial {trial.name} epoch {trial.last_epoch}" for trial in running)
            words = f"running: {each}" if running else "no trial is running"
            news = [f"{words}; {len(waiting)} waiting at rungs" if waiting else words]
        if news:
            self._say(search, news)

    def message(self, text: str) -> None:
        """Prints a line; a closed pipe, as after `head`, does not end the search."""
        with contextlib.suppress(BrokenPipeError):
            self._stream.write(formatting.one_line(text) + "\n")
            self._stream.flush()

    def _say(self, search: SearchRecord, news: Sequence[str]) -> None:
        """Prints the lines of an update; computes the progress once, because it looks at all trials."""
        self._spoke = search.elapsed
        left = time_left(search)
        clock = formatting.duration(search.elapsed) + ("" if left is None else f" | {left} left")
        status = f"{best_words(search)}; {ended_words(search)} ended"
        for words in news:
            self.message(f"[{clock}] {words}; {status}")


def heading(search: SearchRecord, *, results: Path, dashboard: str | None) -> dict[str, str]:
    """Heading with the search, its budget and its files; the live view starts with it too."""
    settings = search.settings
    trials, lanes = formatting.count(settings.num_trials, "trial"), settings.resources.concurrent
    rows = {
        "searching": settings.space + (f" on {settings.data}" if settings.data else ""),
        "images": counts_in_words(settings.images, settings.image_size_px),
        "caution": warning_of_few(settings.images),
        "budget": f"{trials} of up to {formatting.count(settings.max_epochs, 'epoch')}, {lanes} at once",
        "results": formatting.path(results),
        "dashboard": dashboard,
    }
    return {name: words for name, words in rows.items() if words}


def ended_words(search: SearchRecord) -> str:
    return f"{len(search.trials) - len(search.unfinished)} of {formatting.count(search.settings.num_trials, 'trial')}"


def best_words(search: SearchRecord) -> str:
    comparison = in_search.compare_best_so_far(search)
    if comparison is None:
        return _best_alone(search)
    objective, default = search.settings.metric, formatting.number(comparison.default_value)
    if comparison.trial is comparison.default:
        return f"best so far: the default, {objective} {default}"
    best = formatting.number(comparison.value)
    return f"best trial {comparison.trial.name} {objective} {best} at epoch {comparison.epoch} (default {default})"


def _best_alone(search: SearchRecord) -> str:
    """Describes the best value if the default has none to compare with."""
    best, default = search.leader, search.default_trial
    if best is None or default is None:
        return "nothing measured yet"
    value = f"{search.settings.metric} {formatting.number(best.last_result.objective)} at epoch {best.last_epoch}"
    return f"best trial {best.name} {value} (the default has no value{' yet' if default.outcome is None else ''})"


def _ended(search: SearchRecord) -> dict[str, str]:
    """Sentences of ended trials by name."""
    return {trial.name: trial.sentence for trial in search.trials if trial.outcome is not None}
