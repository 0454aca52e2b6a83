"""Writes the records of a search: each event is one complete line, on disk before the next thing happens."""

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from tuner.outcomes import Numbers, Outcome
from tuner.records import (
    DECISIONS,
    FORMAT,
    REQUIRED_SETTINGS,
    SETTINGS,
    TRIALS,
    DecisionRecord,
    SearchRecord,
    read_search,
)


class Recorder:
    """Appends to the files of one search and keeps `record` in step with them."""

    def __init__(self, folder: Path, record: SearchRecord, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self.record = record
        self._clock = clock
        self._began = clock() - record.elapsed
        self._files = {name: (folder / name).open("a", encoding="utf-8") for name in (TRIALS, DECISIONS)}

    @classmethod
    def create(cls, folder: Path, settings: dict, *, clock: Callable[[], float] = time.monotonic) -> Self:
        """Begins a search. `settings` is plain JSON data with at least `space`, `objective` and `mode`."""
        assert settings.keys() >= REQUIRED_SETTINGS, REQUIRED_SETTINGS - settings.keys()
        if (folder / SETTINGS).exists():
            raise ValueError(f"{folder} already holds a search: resume it, or give the new one another name")
        folder.mkdir(parents=True, exist_ok=True)
        settings = {"format": FORMAT, **settings}
        (folder / SETTINGS).write_text(json.dumps(settings, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        return cls(folder, SearchRecord(settings=settings), clock=clock)

    @classmethod
    def resume(cls, folder: Path, *, space: str | None = None, clock: Callable[[], float] = time.monotonic) -> Self:
        """Goes on with a search; a half-written last line is cut off."""
        record = read_search(folder, space=space)
        for name in (TRIALS, DECISIONS):
            _cut_torn_line(folder / name)
        return cls(folder, record, clock=clock)

    def __reduce__(self) -> tuple:
        """A recorder that Ray restores goes on with the files of its folder."""
        return type(self).resume, (self.folder,)

    @property
    def elapsed(self) -> float:
        """Seconds the search has run until now, over all its sessions."""
        return self._clock() - self._began

    def start(self, trial: str, *, number: int, params: dict) -> None:
        self._write(TRIALS, event="start", trial=trial, number=number, params=params)

    def result(
        self,
        trial: str,
        *,
        epoch: int,
        objective: float,
        metrics: Mapping[str, float],
        seconds: float,
        process: str | None = None,
        precision: str | None = None,
    ) -> None:
        fields = {"objective": float(objective), "metrics": _floats(metrics), "seconds": float(seconds)}
        fields |= {"process": process, "precision": precision}
        self._write(TRIALS, event="result", trial=trial, epoch=epoch, **fields)

    def checkpoint(self, trial: str, *, epoch: int, path: str) -> None:
        self._write(TRIALS, event="checkpoint", trial=trial, epoch=epoch, path=path)

    def end(self, trial: str, outcome: Outcome, *, numbers: Numbers, epoch: int) -> None:
        assert self.record.by_id[trial].outcome is None, f"{trial} has already ended"
        readable = {name: _finite_or_name(value) for name, value in numbers.items()}
        self._write(TRIALS, event="end", trial=trial, outcome=str(outcome), numbers=readable, epoch=epoch)

    def interrupt(self) -> None:
        """Ends what has no ending; until now the search has run, however long ago the last line was."""
        for trial in self.record.trials:
            if trial.outcome is None:
                epoch = trial.last.epoch if trial.last else 0
                self.end(trial.trial, Outcome.INTERRUPTED, numbers={"epoch": epoch}, epoch=epoch)

    def extend(self, num_trials: int) -> None:
        """Plans for so many trials in all."""
        self.change(num_trials=num_trials)

    def change(self, **settings) -> None:
        """From now on the search has these settings; their file is replaced whole."""
        self.record.settings |= settings
        partial = self.folder / f".{SETTINGS}"
        partial.write_text(json.dumps(self.record.settings, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        partial.replace(self.folder / SETTINGS)

    def is_default(self, trial: str) -> bool:
        """Whether this trial is the yardstick of all others."""
        return self.record.by_id[trial].number == 0

    @property
    def decisions(self) -> list[DecisionRecord]:
        return self.record.decisions

    def decision(self, trial: str, **fields) -> None:
        """`fields` are those of DecisionRecord but for the time."""
        self._write(DECISIONS, trial=trial, **fields)

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def _write(self, name: str, **event) -> None:
        event = _without_non_finite(event | {"time": round(self.elapsed, 3)})
        file = self._files[name]
        file.write(json.dumps(event, allow_nan=False) + "\n")
        file.flush()
        self.record.apply(event)


def _cut_torn_line(path: Path) -> None:
    """Shortens the file in place: written anew, it would be empty for a moment in which a kill loses everything."""
    if path.exists():
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)


def _floats(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items()}


def _finite_or_name(value: float | str) -> float | str:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _without_non_finite(event: dict) -> dict:
    """JSON knows no NaN: null instead, and what it was under `not_finite` by its name."""
    notes = {}

    def clean(value: object, name: str) -> object:
        if isinstance(value, dict):
            return {key: clean(inner, key) for key, inner in value.items()}
        if isinstance(value, float) and not math.isfinite(value):
            notes[name] = str(value)
            return None
        return value

    cleaned = clean(event, "")
    return cleaned | {"not_finite": notes} if notes else cleaned
