"""The view of a running search on a terminal: a table that stays in place.

It shows a `SearchRecord` and is independent of Ray. `update` is called after each event and copies what it needs; a
thread redraws twice a second, so the clock runs during long epochs and the search never waits for the terminal.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tuner import formatting
from tuner.budget.time_left import time_left
from tuner.records import SearchRecord, TrialRecord
from tuner.results import progress
from tuner.results.differences import differences
from tuner.selection import in_search
from tuner.views.plain_view import best_words, ended_words, heading
from tuner.views.view import View

DRAWINGS_PER_SECOND = 2
SPARKLINE_WIDTH = 12
PARAMETERS_WIDTH = 100
"""Terminals at least this wide also show how running trials differ from the default."""
SHOWN_DIFFERENCES = 4
ROWS_BESIDE_RUNNING = 25
BAR_WIDTH = 60
HINT = "Ctrl-C stops and saves; --resume continues"


Block = list[tuple[str, RenderableType]]
"""Lines that belong together: a label and a content each."""


class LiveView(View):
    """A table that stays in place; the last state remains on the screen."""

    def __init__(
        self,
        search: SearchRecord,
        *,
        results: Path,
        dashboard: str | None,
        console: Console,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        words = heading(search, results=results, dashboard=dashboard)
        self._heading = [(name, Text(formatting.one_line(text))) for name, text in words.items()]
        self._console = console
        self._clock = clock
        self._hint = HINT
        self.update(search)
        self._live = Live(
            console=console, refresh_per_second=DRAWINGS_PER_SECOND, get_renderable=self.draw_above_cursor
        )

    def start(self) -> None:
        self._live.start()

    def update(self, search: SearchRecord) -> None:
        self._updated = self._clock()
        self._elapsed = search.elapsed
        self._done = progress.epochs_done(search)
        self._left = time_left(search)
        self._body = (_best(search), _running(search, self._console.size), _ended(search))

    def stop(self) -> None:
        self._hint = ""
        self._live.stop()

    def draw(self) -> RenderableType:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(justify="right", style="dim", no_wrap=True)
        grid.add_column()
        for block in (self._heading, self._progress(), *self._body, [("", Text(self._hint, style="dim"))]):
            for name, content in block:
                grid.add_row(name, content)
            grid.add_row()
        return grid

    def draw_above_cursor(self) -> RenderableType:
        """With an empty last line, behind which a terminal shows a key such as `^C`.

        Behind one that fills its width the key would begin a new one, the next drawing one line too low, and the first
        line would be there twice.
        """
        return Group(self.draw(), Text())

    def _progress(self) -> Block:
        since = self._clock() - self._updated
        total, clock = self._done, formatting.duration(self._elapsed + since)
        words = [formatting.count(self._done, "epoch"), clock]
        if self._left is not None:
            total += self._left.epochs
            words = [
                f"{self._done} of about {formatting.count(total, 'epoch')}",
                clock,
                f"{self._left.after(since)} left",
            ]
        width = min(BAR_WIDTH, max(10, self._console.width - 14))
        bar = ProgressBar(total=max(1.0, total), completed=self._done, width=width)
        return [("progress", bar), ("", Text(" · ".join(words)))]


def sparkline(values: Sequence[float | None], *, low: float, high: float, width: int = SPARKLINE_WIDTH) -> str:
    """Draws a curve as text, one character per value; of a longer curve every n-th value up to the last."""
    blocks = "▁▂▃▄▅▆▇█"
    step = -(-len(values) // width) or 1
    text = ""
    for value in values[::-1][::step][::-1]:
        share = 1.0 if value is None or high <= low else min(max((value - low) / (high - low), 0.0), 1.0)
        text += " " if value is None else blocks[round(share * (len(blocks) - 1))]
    return text


def _best(search: SearchRecord) -> Block:
    comparison = in_search.compare_best_so_far(search)
    if comparison is None:
        return [("best", Text(best_words(search), style="dim"))]
    rows = Table.grid(padding=(0, 2))
    value, default = formatting.number(comparison.value), formatting.number(comparison.default_value)
    is_default = comparison.trial is comparison.default
    beside = Text(f"{search.settings.metric} at epoch {comparison.epoch}, ", style="dim")
    if is_default:
        beside.append("the default")
    else:
        colour = "green" if comparison.gain >= 0 else "red"
        beside.append(formatting.gain(comparison.gain), style=f"not dim bold {colour}")
    rows.add_row(f"trial {comparison.trial.name}", Text(value, style="bold"), beside)
    if not is_default:
        rows.add_row(f"trial {comparison.default.name}", default, Text("the default", style="dim"))
    return [("best", rows)]


def _running(search: SearchRecord, size: tuple[int, int]) -> Block:
    running, waiting = progress.running(search), progress.waiting(search)
    if not search.trials:
        return [("running", Text("the first trials are starting", style="dim"))]
    if not (running or waiting):
        return []
    width, height = size
    room = max(1, height - ROWS_BESIDE_RUNNING)
    # All sparklines share one scale.
    measured = [result.objective for trial in search.trials for result in trial.results.values()]
    lowest, highest = min(measured, default=0.0), max(measured, default=1.0)
    names = ("", "epoch", "", search.settings.metric, "vs default")
    rows = Table.grid(padding=(0, 2))
    rows.add_row(*(Text(name, style="dim") for name in names))
    for trial in running[:room]:
        rows.add_row(*_running_row(search, trial, low=lowest, high=highest, wide=width >= PARAMETERS_WIDTH))
    if len(running) > room:
        rows.add_row(Text(f"and {len(running) - room} more", style="dim"))
    if waiting:
        rows.add_row(Text(f"{len(waiting)} waiting", style="dim"))
    return [("running", rows)]


def _running_row(search: SearchRecord, trial: TrialRecord, *, low: float, high: float, wide: bool) -> list[Text]:
    epoch, last = trial.last_epoch, search.settings.max_epochs
    curve = [trial.objective_at(e) for e in range(1, epoch + 1)]
    gain = in_search.gain_over_default(search, trial, epoch)
    beside_default = "" if gain is None else formatting.difference(search.settings.sign * gain)
    row = [
        Text(f"trial {trial.name}"),
        Text(f"{epoch:>{len(str(last))}} of {last}"),
        Text(sparkline(curve, low=low, high=high).ljust(SPARKLINE_WIDTH), style="cyan"),
        Text(formatting.number(trial.objective_at(epoch))),
        Text(beside_default, style="green" if (gain or 0) >= 0 else "red"),
    ]
    if wide:
        changed = differences(search, trial, None)[:SHOWN_DIFFERENCES]
        words = ", ".join(f"{one.parameter} {one.value}" for one in changed) or "the default"
        row.append(Text(formatting.one_line(words), style="dim", no_wrap=True, overflow="ellipsis"))
    return row


def _ended(search: SearchRecord) -> Block:
    ended = [trial for trial in search.trials if trial.outcome is not None]
    latest = sorted(ended, key=lambda trial: trial.end_time or 0.0)[-2:]
    lines = [Text(ended_words(search))]
    for ending, quantity in progress.count_endings(ended).items():
        lines.append(Text(f"{quantity:>4}  {ending}"))
    lines += [Text(formatting.one_line(f"trial {t.name} {t.sentence}"), style="dim", no_wrap=True) for t in latest]
    return [("ended", Group(*lines))]
