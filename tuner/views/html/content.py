"""The content of report.html as plain data for its template."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tuner import formatting
from tuner.confirmation.wanted import is_over, what_is_left
from tuner.importance.measure import MIN_TRIALS, Importance, usable_trials
from tuner.records import ConfirmedRun, SearchRecord, TrialRecord
from tuner.records.trivial import PROBE, TRIVIAL, Split
from tuner.results import progress
from tuner.results.above_trivial import warning_of_nothing_learned
from tuner.results.baselines import Row, in_words, rows_of
from tuner.results.headline import Headline, State, headline_of
from tuner.results.importance_text import mattered_most
from tuner.results.samples import Samples, fails_most, read_samples
from tuner.results.timeline import parts_of_time, time_in_words
from tuner.selection import in_search
from tuner.selection.comparison import Confirmation, confirmed_runs, read_confirmations
from tuner.selection.selected_trial import SelectedTrial, select_trial

if TYPE_CHECKING:
    from tuner.budget.time_left import TimeLeft

LONG_EPOCHS = 100
"""Epochs of the proposed training, or twice those of the search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A search with its confirmation and its exported trial."""

    folder: Path
    search: SearchRecord
    state: State
    exported: TrialRecord | None
    """While the search runs, the best so far."""
    selected: SelectedTrial | None
    confirmations: Sequence[Confirmation]
    importance: Importance | None
    samples: Samples | None
    confirmed: Sequence[ConfirmedRun]
    left: "TimeLeft | None" = None
    """While it runs or is confirmed."""

    @property
    def headline(self) -> Headline:
        choice = None if self.selected is None else self.selected.choice
        return headline_of(self.search, self.exported, self.confirmations, self.state, choice)


def read_result(
    folder: Path,
    search: SearchRecord,
    state: State | None = None,
    *,
    importance: Importance | None = None,
    left: "TimeLeft | None" = None,
) -> Result:
    """Reads everything that the page shows of a search.

    Args:
        state: None finds it from the records, for a search that no process runs.

    Raises:
        ValueError: a file of the confirmation, or of the samples, is damaged.
    """
    selected = select_trial(folder, search)
    exported = None if selected is None else selected.trial
    if state is State.RUNNING and (comparison := in_search.compare_best_so_far(search)) is not None:
        exported = comparison.trial
    return Result(
        folder=folder,
        search=search,
        state=state or (State.OVER if is_over(folder, search) else State.INTERRUPTED),
        exported=exported,
        selected=selected,
        confirmations=read_confirmations(folder, search),
        importance=importance,
        samples=None if exported is None or state is State.RUNNING else read_samples(folder, exported.name),
        confirmed=confirmed_runs(folder, search),
        left=left,
    )


def notes(result: Result) -> list[str]:
    """Notes above the numbers: an interruption, nothing learned, few images."""
    search = result.search
    found = [
        what_is_left(result.folder, search) if result.state is State.INTERRUPTED else None,
        warning_of_nothing_learned(
            search, result.exported, result.confirmations, TRIVIAL.read(result.folder), PROBE.read(result.folder)
        ),
        formatting.warning_of_few(search.settings.images),
    ]
    return [note for note in found if note]


def to_decide(result: Result) -> str | None:
    """Sentence on what would tell the exported trial from the default; None if decided or not confirmed."""
    if result.selected is None:
        return None
    is_running = result.state in (State.RUNNING, State.CONFIRMING)
    return result.selected.to_decide(is_over=result.state is State.OVER, is_running=is_running)


def claims(result: Result) -> list[str]:
    """Sentences on how the trial was chosen, the results on the test split, and the leader of the search."""
    selected = result.selected
    if selected is None:
        return []
    tested = result.confirmations if selected.on_test is None else [selected.on_test]
    chosen = None if selected.choice is None else selected.choice.sentence
    has_interval = any(claim.interval is not None for claim in tested)
    why_wide = "The interval holds whenever the confirmation stops, so it is wider than that of a t-test."
    held = why_wide if has_interval else None
    return [one for one in (chosen, *(claim.sentence for claim in tested), held, selected.remark) if one]


def baselines(result: Result) -> list[Row]:
    """Rows of the exported trial, the default and the baselines; empty without measured baselines."""
    rows = rows_of(
        result.search,
        result.exported,
        result.confirmations,
        TRIVIAL.read(result.folder),
        PROBE.read(result.folder),
    )
    return rows if any(not row.is_trial for row in rows) else []


def facts(result: Result) -> dict[str, str]:
    """Short facts under the headline."""
    search = result.search
    settings, parts = search.settings, parts_of_time(search, result.confirmed)
    ended = len(search.trials) - len(search.unfinished)
    done, budget = progress.epochs_done(search), settings.max_epochs * settings.num_trials
    # Trials that all failed have saved nothing.
    has_saved = result.state is State.OVER and result.exported is not None and done < budget
    split: Split = "test" if result.headline.where == "on the test split" else "validation"
    untrained = [row for row in baselines(result) if not row.is_trial]
    of_epochs = [result.seconds for trial in search.trials for result in trial.results.values()]
    found = {
        "mattered most": mattered_most(result.importance),
        "main failures": None if result.samples is None else fails_most(result.samples),
        "without training": in_words(untrained, split),
        "trials": f"{ended} of {settings.num_trials} ended",
        "epochs": f"{done} of {budget}" + (f", {1 - done / budget:.0%} saved" if has_saved else ""),
        "time": time_in_words(search, parts.get("confirmation", 0.0)),
        "left": None if result.left is None else str(result.left),
        "per epoch": _epoch_in_words(statistics.median(of_epochs)) if of_epochs else None,
        "data": settings.data or ("embedded" if settings.images else "the loop's own"),
    }
    return {name: words for name, words in found.items() if words}


def _epoch_in_words(seconds: float) -> str:
    return f"{seconds:.2g} s" if round(seconds) < 60 else formatting.duration_with_unit(seconds)


def time_parts(result: Result) -> list[tuple[str, str, float]]:
    """Parts of the time, as text and seconds; empty while epochs run that are not on record yet."""
    if result.state is State.RUNNING:
        return []
    parts = parts_of_time(result.search, result.confirmed)
    return [(name, formatting.duration(seconds), seconds) for name, seconds in parts.items()]


def commands(result: Result) -> dict[str, str]:
    """Commands to run next, by their purpose."""
    place, best = (
        formatting.argument(formatting.path(path)) for path in (result.folder, result.folder / "best/config.json")
    )
    found = {}
    if result.state is State.INTERRUPTED and result.search.taken_over is None:
        found["Continue the search"] = f"python -m tuner.search --resume {place}"
    if result.exported is None or result.state is State.RUNNING:
        return found | {"Explain the trials so far": f"python -m tuner.explain {place}"}
    if result.state is State.OVER and not result.confirmed:
        found["Score it on the test split"] = f"python -m tuner.confirm {place}"
    if result.state is State.OVER and result.selected is not None and result.selected.seeds_to_decide is not None:
        least, most = result.selected.seeds_to_decide
        found["Decide it on more seeds"] = f"python -m tuner.confirm {place} --seeds {least}..{most}"
    if result.state is not State.CONFIRMING:
        longer = max(LONG_EPOCHS, 2 * result.search.settings.max_epochs)
        found["Train it for longer"] = f"python -m trainable.train --config {best} --epochs {longer}"
        if result.search.settings.images:
            # A loop of the user's own may have none.
            found["Predict on your pictures"] = f"python -m trainable.predict --config {best} --image PICTURES"
    return found | {"Explain the result": f"python -m tuner.explain {place}"}


def more_trials_for_importance(result: Result) -> str | None:
    """Command that continues a search until importance can be measured; None if it is measured, or can't be."""
    if result.importance is not None or result.state is not State.OVER or result.search.taken_over is not None:
        return None
    _, measured, ended_badly = usable_trials(result.search)
    missing = MIN_TRIALS - len(measured) - len(ended_badly)
    place = formatting.argument(formatting.path(result.folder))
    return f"python -m tuner.search --resume {place} --trials +{missing}" if missing > 0 else None


def headline_words(headline: Headline) -> dict[str, str | None]:
    """The headline with its title and its numbers formatted."""
    numbers = {"default_value": headline.default_value, "value": headline.value}
    formatted = {name: formatting.number(value) for name, value in numbers.items()}
    return asdict(headline) | formatted | {"title": headline.title}
