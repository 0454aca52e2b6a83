"""Writes the records of a search: each event is one complete line, written before the search continues.

A power cut costs at most what followed the last end of a trial: every end except a stop at a rung waits for the disk,
2 ms plus the trial's checkpoint (20 ms for 10 MB, 130 ms for 100 MB). An epoch does not wait; its line survives a kill.
"""

import json
import math
import os
import platform
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from tuner.policy.decision import Decision
from tuner.policy.outcomes import Numbers, Outcome, TrialEnd
from tuner.records.atomic_file import sync
from tuner.records.checkpoints import last_checkpoint
from tuner.records.code_version import code_commit, code_version
from tuner.records.events import (
    TRIALS,
    Decided,
    EpochDone,
    Event,
    Finished,
    LegFailed,
    PastTrialKnown,
    SessionEnded,
    SessionStarted,
    TrialEnded,
    TrialStarted,
    read_event,
)
from tuner.records.lines import LineFile, complete_lines
from tuner.records.search_record import SearchRecord, read_search
from tuner.records.settings import SETTINGS, RecordedSettings, write_settings
from tuner.records.typed_json import finite_or_none


class Listener(ABC):
    """Copies the events of a search to another tool; the copy is never read back."""

    @abstractmethod
    def on_event(self, search: SearchRecord, event: Event) -> None:
        """Called after the event has been written and applied to `search`."""

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        """Called after the last event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTrial:
    """An ended trial of another search."""

    trial: str
    """`<run>/<name>` in its own search."""
    answers: dict[str, Any]
    """Its values of the parameters that this search's space asks for."""
    values: dict[int, float]
    """Objectives by epoch."""
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """Process and hardware that computed an epoch; None if unknown."""

    process: str | None = None
    """Host and process id."""
    precision: str | None = None
    """The number format in effect: fp32, fp16 or bf16."""


class Recorder:
    """Appends to the files of one search and keeps `record` consistent with them."""

    def __init__(self, folder: Path, record: SearchRecord, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder, self.record = folder, record
        self._listeners: list[Listener] = []
        self._clock = clock
        self._began = clock() - record.search_seconds
        self._file = LineFile(folder / TRIALS)

    @classmethod
    def create(
        cls,
        folder: Path,
        settings: RecordedSettings,
        *,
        past_trials: Iterable[PastTrial] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> Self:
        """Starts a search, with the past trials of an earlier one.

        The settings are written last: without them a folder holds no search, so a kill leaves a whole search or none.
        """
        if (folder / SETTINGS).exists():
            raise ValueError(f"{folder} already holds a search: resume it, or give another name")
        folder.mkdir(parents=True, exist_ok=True)
        if any(b'"event": "start"' in line for _, line in complete_lines(folder / TRIALS)):
            raise ValueError(
                f"{folder / TRIALS} holds trials, but {SETTINGS} is gone: restore it from a copy, or give another name"
            )
        (folder / TRIALS).unlink(missing_ok=True)
        recorder = cls(folder, SearchRecord(settings), clock=clock)
        for past in past_trials:
            recorder.past_trial(past.trial, answers=past.answers, values=past.values, outcome=past.outcome)
        sync(folder / TRIALS)
        write_settings(folder, settings)
        return recorder

    @classmethod
    def resume(cls, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> Self:
        """Continues a search, after removing an incomplete last line."""
        return cls(folder, read_search(folder), clock=clock)

    @property
    def elapsed(self) -> float:
        """Run time of the search in seconds, over all its sessions."""
        return self._clock() - self._began

    def open_session(self) -> None:
        """Starts counting run time, without the start of Ray since the records were read."""
        self._began = self._clock() - self.record.search_seconds
        self._write(
            SessionStarted,
            version=code_version(),
            commit=code_commit(),
            host=platform.node(),
            process=os.getpid(),
        )

    def past_trial(
        self, trial: str, *, answers: Mapping[str, Any], values: Mapping[int, float], outcome: Outcome
    ) -> None:
        self._write(PastTrialKnown, trial=trial, answers=dict(answers), values=dict(values), outcome=outcome)

    def start(self, trial: str, *, params: Mapping[str, Any], answers: Mapping[str, Any]) -> None:
        self._write(TrialStarted, trial=trial, params=dict(params), answers=dict(answers))

    def result(
        self,
        trial: str,
        *,
        epoch: int,
        objective: float,
        metrics: Mapping[str, float],
        seconds: float,
        validation_seconds: float | None = None,
        execution: Execution = Execution(),
        ended: TrialEnd | None = None,
    ) -> None:
        """Records one epoch; `objective` must be finite. `ended` says that the trial ended itself with it."""
        self._write(
            EpochDone,
            trial=trial,
            epoch=epoch,
            objective=float(objective),
            metrics={name: finite_or_none(float(value)) for name, value in metrics.items()},
            seconds=float(seconds),
            validation_seconds=validation_seconds,
            process=execution.process,
            precision=execution.precision,
            outcome=None if ended is None else ended.outcome,
            numbers={} if ended is None else _readable(ended.numbers),
        )

    def decision(self, trial: str, decision: Decision) -> None:
        self._write(Decided, trial=trial, decision=decision)

    def leg_failed(self, trial: str, error: str) -> None:
        self._write(LegFailed, trial=trial, error=_text(error))

    def end(self, trial: str, outcome: Outcome, *, numbers: Numbers, epoch: int) -> None:
        """Records it for good, after the checkpoint: nothing trains the trial again.

        One that is stopped at a rung would be stopped again; at the end of a search hundreds are, one after the other.
        """
        is_for_good, ended = outcome is not Outcome.STOPPED_AT_RUNG, self.record.by_name.get(trial)
        if is_for_good and ended is not None and (checkpoint := last_checkpoint(self.folder, ended)) is not None:
            sync(checkpoint)
        self._write(TrialEnded, trial=trial, outcome=outcome, numbers=_readable(numbers), epoch=epoch)
        if is_for_good:
            sync(self.folder / TRIALS)

    def close_session(self) -> None:
        self._write(SessionEnded)

    def finish(self) -> None:
        self._write(Finished)

    def change(self, **settings: Any) -> None:
        """Changes settings of the search."""
        self.record.settings = replace(self.record.settings, **settings)
        write_settings(self.folder, self.record.settings)

    def listen(self, listeners: Sequence[Listener]) -> None:
        """Adds listeners for all further events."""
        self._listeners += listeners

    def stop_listening(self) -> None:
        """Closes the listeners, the last one first."""
        while self._listeners:
            self._listeners.pop().close()

    def close(self) -> None:
        self.stop_listening()
        self._file.close()

    def _write(self, kind: Callable[..., Event], **given: Any) -> None:
        """Applies the event as parsed from its own line, so that memory and disk can't differ."""
        line = json.dumps(kind(**given, time=round(self.elapsed, 3)), default=_fields, allow_nan=False)
        event = read_event(line.encode(), "this event can't be recorded")
        self.record.check(event)
        self._file.append(line)
        self.record.apply(event)
        for listener in self._listeners:
            listener.on_event(self.record, event)


def _fields(event: Any) -> dict[str, Any]:
    """Fields of a dataclass by name; `asdict` copies deeply, which takes a quarter of a record's time."""
    return {field.name: getattr(event, field.name) for field in fields(event)}


def _readable(numbers: Numbers) -> dict[str, int | float | str]:
    """Replaces numbers that are not finite by their names, since JSON can't hold them."""
    words = {name: str(value) for name, value in numbers.items() if isinstance(value, str) or not math.isfinite(value)}
    return {name: _text(words[name]) if name in words else value for name, value in numbers.items()}


def _text(text: str) -> str:
    """Makes text valid UTF-8: an error may quote a path that is not."""
    return text.encode("utf-8", "backslashreplace").decode()
