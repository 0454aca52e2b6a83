"""The exported trial and the default beside what needs no training, for the terminal, the report and the page."""

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tuner import formatting
from tuner.records import SearchRecord, TrialRecord
from tuner.records.events import EpochDone
from tuner.records.trivial import ProbeScore, Split, TrivialScore
from tuner.results.report_text import table
from tuner.selection.comparison import Confirmation
from tuner.selection.in_search import exported_result

TRIAL = "trial "
"""Prefix of the name of a trial's row."""


class Row(NamedTuple):
    """Objective of a trial or a baseline on both splits; None where not measured."""

    name: str
    validation: float | None
    test: float | None
    """Value on the test split; of a trial, the mean over its seeds."""
    num_seeds: int = 0
    """Number of seeds of the mean; 0 if it is not a trial."""

    @property
    def is_trial(self) -> bool:
        """Whether it is a trial, not a baseline."""
        return self.name.startswith(TRIAL)


def rows_of(
    search: SearchRecord,
    exported: TrialRecord | None,
    confirmations: Sequence[Confirmation],
    trivial: Mapping[Split, TrivialScore],
    probe: Mapping[Split, ProbeScore],
) -> list[Row]:
    """The exported trial, the default, the linear probe, the trivial prediction, as far as there are any."""
    default = search.default_trial
    trials = [exported] if exported is not None else []
    trials += [default] if default is not None and default is not exported and default.results else []
    rows = []
    for trial in trials:
        tested = tested_values(search, trial, confirmations)
        result = exported_result(search, trial) if trial.results else None
        validation = None if result is None else result.objective
        test = statistics.fmean(tested) if tested else None
        rows.append(Row(_name(search, trial, result), validation, test, len(tested)))
    for scores in (probe, trivial):
        named: dict[str, dict[Split, float]] = {}
        for split, score in scores.items():
            named.setdefault(score.name, {})[split] = score.objective
        rows += [Row(name, values.get("validation"), values.get("test")) for name, values in named.items()]
    return rows


def _name(search: SearchRecord, trial: TrialRecord, result: EpochDone | None) -> str:
    """Name of a trial, with its epoch while it runs, since values of different epochs are not comparable."""
    facts = ["the default"] if trial is search.default_trial else []
    if trial.outcome is None and result is not None:
        facts.append(f"at epoch {result.epoch} of {search.settings.max_epochs}")
    return f"{TRIAL}{trial.name}" + (f" ({', '.join(facts)})" if facts else "")


def baselines_section(search: SearchRecord, rows: Sequence[Row]) -> str:
    """The section of a report; empty where nothing was measured beside the trials."""
    if all(row.is_trial for row in rows):
        return ""
    objective = search.settings.metric
    header = (f"`{objective}`", "validation split", "test split")
    cells = [(row.name, formatting.number(row.validation), formatting.number(row.test)) for row in rows]
    words = f"Rows that are not trials need no training. On the validation split {_seeds_of_trials(rows, 'validation')}"
    words += f"; on the test split {_seeds_of_trials(rows, 'test')}." if any(row.num_seeds for row in rows) else "."
    return f"## Beside predictions that need no training\n\n{table(header, cells)}\n\n{words}"


def in_words(rows: Sequence[Row], split: Split) -> str:
    """One line for the terminal; empty where nothing was measured on the split."""
    measured = [(row.name, value) for row in rows if (value := getattr(row, split)) is not None]
    words = ", ".join(f"{name} {formatting.number(value)}" for name, value in measured)
    is_seeds_of_trials = any(name.startswith(TRIAL) for name, _ in measured)
    return f"{words} ({_seeds_of_trials(rows, split)})" if is_seeds_of_trials else words


def _seeds_of_trials(rows: Sequence[Row], split: Split) -> str:
    """States how many seeds the values of trials on a split are from."""
    if split == "validation":
        return "trials have one seed, that of the search"
    numbers = {row.num_seeds for row in rows if row.num_seeds}
    # The default may have more seeds than a trial that was confirmed later, or that failed on one.
    least = "" if len(numbers) == 1 else f"{min(numbers)} to "
    return f"trials have the mean of {least}{formatting.count(max(numbers), 'seed')}"


def tested_values(search: SearchRecord, trial: TrialRecord, confirmations: Sequence[Confirmation]) -> list[float]:
    """Objectives on the test split of the trial's confirmed seeds."""
    for one in confirmations:
        if trial is search.default_trial:
            return list(one.default_values.values())
        if one.trial == trial.name:
            return list(one.values.values())
    return []
