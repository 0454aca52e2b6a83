"""What a search leaves behind: one line per event, in plain JSON, and how to read it.

`results/<space>/<run>/settings.json`, `trials.jsonl` and `decisions.jsonl` are all that a report, an export or a
resumed search reads. Everything in memory is made from the same events that are on disk, so the two cannot differ.
`time` is in seconds since the search began, counting only the time in which it ran. Standard library only.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from tuner.outcomes import Outcome, describe

FORMAT = 1
REQUIRED_SETTINGS = frozenset({"space", "objective", "mode"})
SETTINGS, TRIALS, DECISIONS = "settings.json", "trials.jsonl", "decisions.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRecord:
    """One epoch of one trial. A number that was not finite is None here and named in `not_finite`."""

    epoch: int
    objective: float | None
    metrics: dict[str, float | None]
    seconds: float
    time: float
    not_finite: dict[str, str]
    process: str | None = None
    """Machine and process id of who trained it; None where nobody said."""
    precision: str | None = None
    """The number format in effect: fp32, fp16 or bf16, whatever was asked for."""


@dataclass(slots=True, kw_only=True)
class TrialRecord:
    """One trial so far: `outcome` is None while it runs."""

    trial: str
    number: int
    params: dict
    time: float
    results: dict[int, ResultRecord] = field(default_factory=dict)
    """By epoch; an epoch repeated after a restore counts once, as it was the last time."""
    checkpoints: dict[int, str] = field(default_factory=dict)
    """Paths by epoch."""
    outcome: Outcome | None = None
    numbers: dict[str, float | str] = field(default_factory=dict)
    """What the outcome rests on."""
    end_time: float | None = None

    @property
    def last(self) -> ResultRecord | None:
        return self.results[max(self.results)] if self.results else None

    @property
    def may_win(self) -> bool:
        return self.outcome is None or self.outcome.may_win

    @property
    def sentence(self) -> str:
        return "running" if self.outcome is None else describe(self.outcome, self.numbers)

    def result_at(self, epoch: int) -> ResultRecord | None:
        """What stands for the trial at this epoch: of one that plateaued, the last result from then on."""
        if self.outcome is Outcome.PLATEAUED and self.results:
            epoch = min(epoch, max(self.results))
        return self.results.get(epoch)

    def objective_at(self, epoch: int) -> float | None:
        result = self.result_at(epoch)
        return None if result is None else result.objective


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord:
    """Why a trial went on, waited or stopped at a rung."""

    trial: str
    epoch: int
    rung: int | None
    """1 is the lowest; None for a value that was not finite between rungs."""
    value: float | None
    cutoff: float | None
    """None for the first to arrive."""
    rank: int | None
    """1 is the best of those that had arrived, this one included."""
    of: int
    action: str
    """`continue`, `stop`, `keep` (the default, which would have stopped), `pause` or `promote`."""
    time: float
    expected: float | None = None
    """Forecast of the objective at full length, where the policy makes one."""


@dataclass(slots=True, kw_only=True)
class SearchRecord:
    """A whole search, in memory."""

    settings: dict
    by_id: dict[str, TrialRecord] = field(default_factory=dict)
    decisions: list[DecisionRecord] = field(default_factory=list)
    elapsed: float = 0.0
    """Seconds the search had run, over all its sessions, when the last line was written."""
    _decided: set[tuple[str, int, str]] = field(default_factory=set, repr=False)
    """What is in `decisions`, so that one that is repeated after a restore is known at once."""

    @property
    def trials(self) -> list[TrialRecord]:
        return sorted(self.by_id.values(), key=lambda trial: trial.number)

    @property
    def default_trial(self) -> TrialRecord | None:
        """What everything is compared with: the (last) trial numbered 0; a killed search may begin it twice."""
        return {trial.number: trial for trial in self.by_id.values()}.get(0)

    @property
    def comparison_epoch(self) -> int | None:
        """The highest epoch at which a trial that may win was measured."""
        finite = [r.epoch for t in self.trials if t.may_win for r in t.results.values() if r.objective is not None]
        return max(finite, default=None)

    @property
    def winner(self) -> TrialRecord | None:
        epoch = self.comparison_epoch
        return None if epoch is None else self.ranked(epoch)[0]

    @property
    def is_unfinished(self) -> bool:
        """Trials are missing, or were cut off: a resume would go on with it."""
        ended = {trial.number for trial in self.trials if trial.outcome not in (None, Outcome.INTERRUPTED)}
        return len(ended) < self.settings["num_trials"]

    def measured_at(self, epoch: int) -> list[TrialRecord]:
        """The trials that are compared at this epoch, by number."""
        return [trial for trial in self.trials if trial.may_win and trial.objective_at(epoch) is not None]

    def ranked(self, epoch: int) -> list[TrialRecord]:
        """The same, the best first; of equals, the earlier."""
        sign = {"max": -1.0, "min": 1.0}[self.settings["mode"]]
        return sorted(self.measured_at(epoch), key=lambda trial: (sign * trial.objective_at(epoch), trial.number))

    def apply(self, event: dict) -> None:
        """Takes in one line of either file. A start or a result of a trial that had ended means that it goes on."""
        self.elapsed = max(self.elapsed, event["time"])
        kind, trial = event.get("event", "decision"), event["trial"]
        if kind == "decision":
            self._apply_decision(event)
        elif kind == "start" and trial not in self.by_id:
            self.by_id[trial] = TrialRecord(**_pick(event, "trial", "number", "params", "time"))
        else:
            _APPLY[kind](self.by_id[trial], event)

    def _apply_decision(self, event: dict) -> None:
        named = _pick(event, *(name for name in DecisionRecord.__slots__ if name != "expected"))
        decision = DecisionRecord(**named, expected=event.get("expected"))
        key = (decision.trial, decision.epoch, decision.action)
        if key not in self._decided:
            self._decided.add(key)
            self.decisions.append(decision)


class _Settings(dict):
    """What the settings file says; a key that it lacks is a sentence, whoever asks for it."""

    def __init__(self, path: Path, content: dict) -> None:
        super().__init__(content)
        self._path = path

    def __missing__(self, key: str) -> None:
        raise ValueError(f"{self._path} lacks {key}: restore the file, or begin a new search")


def read_search(folder: Path, *, space: str | None = None) -> SearchRecord:
    """Reads a results folder; with `space`, only one of that space."""
    settings = _read_settings(folder)
    if space is not None and settings["space"] != space:
        raise ValueError(f"{folder} is a search of the space {settings['space']!r}, not of {space!r}")
    record = SearchRecord(settings=settings)
    for name in (TRIALS, DECISIONS):
        for number, event in enumerate(_read_lines(folder / name), start=1):
            try:
                record.apply(event)
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{folder / name}, line {number} is no event of a search ({error!r})") from error
    return record


def _read_settings(folder: Path) -> dict:
    path = folder / SETTINGS
    if not path.is_file():
        raise ValueError(f"{folder} holds no search: there is no {SETTINGS}; give a folder results/<space>/<run>")
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}): restore the file, or begin a new search") from error
    given = settings.get("format") if isinstance(settings, dict) else None
    if given != FORMAT:
        raise ValueError(f"{path} has format {given}, this version reads {FORMAT}: use the version that wrote it")
    missing = sorted(REQUIRED_SETTINGS - settings.keys())
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}: restore the file, or begin a new search")
    return _Settings(path, settings)


def _read_lines(path: Path) -> list[dict]:
    """The complete lines; what follows the last line break was being written when the search was killed."""
    complete = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    events = []
    for number, line in enumerate(complete, start=1):
        try:
            events.append(json.loads(line))
        except ValueError as error:
            raise ValueError(f"{path}, line {number} is not JSON ({error}): delete that line") from error
    return events


def _pick(event: dict, *names: str) -> dict:
    return {name: event[name] for name in names}


def _apply_start(trial: TrialRecord, event: dict) -> None:
    trial.outcome, trial.numbers, trial.end_time = None, {}, None


def _apply_result(trial: TrialRecord, event: dict) -> None:
    _apply_start(trial, event)
    fields = _pick(event, "epoch", "objective", "metrics", "seconds", "time")
    fields |= {name: event.get(name) for name in ("process", "precision")}
    trial.results[event["epoch"]] = ResultRecord(**fields, not_finite=event.get("not_finite", {}))


def _apply_checkpoint(trial: TrialRecord, event: dict) -> None:
    trial.checkpoints[event["epoch"]] = event["path"]


def _apply_end(trial: TrialRecord, event: dict) -> None:
    trial.outcome, trial.numbers, trial.end_time = Outcome(event["outcome"]), event["numbers"], event["time"]


_APPLY = {"start": _apply_start, "result": _apply_result, "checkpoint": _apply_checkpoint, "end": _apply_end}
