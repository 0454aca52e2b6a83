"""The lines of `trials.jsonl`: one event each, in order of time.

`time` is in seconds since the search started, without the time between sessions.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from tuner.policy.decision import Decision
from tuner.policy.outcomes import Outcome
from tuner.records.trial_name import PATTERN
from tuner.records.typed_json import STRICT, Answers, Plain, parse

TRIALS = "trials.jsonl"
TrialName = Annotated[str, Field(pattern=f"^{PATTERN}$")]
Epoch = Annotated[int, Field(ge=0)]
MAX_OBJECTIVE = 3.4e38
"""Limit of float32; a larger objective counts as diverged."""
Objective = Annotated[float, Field(ge=-MAX_OBJECTIVE, le=MAX_OBJECTIVE)]
Numbers = dict[str, int | float | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted:
    """A process opened the search: its first session, or a resume."""

    __pydantic_config__ = STRICT

    event: Literal["session"] = "session"
    version: str
    commit: str | None
    """Git commit of the code; None outside a checkout."""
    host: str
    process: int
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTrialKnown:
    """A trial of an earlier search that this one started with; it does not count as a trial of this one."""

    __pydantic_config__ = STRICT

    event: Literal["past_trial"] = "past_trial"
    trial: Annotated[str, Field(pattern=f"^.+/{PATTERN}$")]
    """`<run>/<name>` in the earlier search."""
    answers: Answers
    """The values that the space asked for, by name."""
    values: dict[Annotated[int, Field(ge=1)], Objective]
    """Objectives by epoch."""
    outcome: Outcome
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStarted:
    __pydantic_config__ = STRICT

    event: Literal["start"] = "start"
    trial: TrialName
    params: dict[str, Plain]
    """The training parameters that the space returned."""
    answers: Answers
    """The values that the space asked for, by name."""
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochDone:
    """One epoch of one trial; written after its checkpoint."""

    __pydantic_config__ = STRICT

    event: Literal["result"] = "result"
    trial: TrialName
    epoch: Annotated[int, Field(ge=1)]
    objective: Objective
    metrics: dict[str, float | None]
    """None for a number that was not finite."""
    seconds: float
    validation_seconds: float | None = None
    """The part of `seconds` that the validation took; None where it is not known."""
    process: str | None = None
    """Host and process id of the training process."""
    precision: str | None = None
    """The number format in effect: fp32, fp16 or bf16."""
    outcome: Outcome | None = None
    """The outcome, if the trial ended itself with this epoch: plateaued or experts collapsed."""
    numbers: Numbers = field(default_factory=dict)
    """The numbers behind that outcome."""
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Why a trial continued, waited or stopped at a rung."""

    __pydantic_config__ = STRICT

    event: Literal["decision"] = "decision"
    trial: TrialName
    decision: Decision
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LegFailed:
    """The process of a trial died; the trial restarts from its last checkpoint."""

    __pydantic_config__ = STRICT

    event: Literal["leg_failed"] = "leg_failed"
    trial: TrialName
    error: str
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEnded:
    __pydantic_config__ = STRICT

    event: Literal["end"] = "end"
    trial: TrialName
    outcome: Outcome
    epoch: Epoch
    numbers: Numbers = field(default_factory=dict)
    """The numbers behind the outcome."""
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded:
    """The session ended regularly."""

    __pydantic_config__ = STRICT

    event: Literal["session_end"] = "session_end"
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Every trial has ended, the best are confirmed, and report and export are written."""

    __pydantic_config__ = STRICT

    event: Literal["finished"] = "finished"
    time: float


Event = (
    SessionStarted
    | PastTrialKnown
    | TrialStarted
    | EpochDone
    | Decided
    | LegFailed
    | TrialEnded
    | SessionEnded
    | Finished
)
_LINE = Annotated[Event, Field(discriminator="event")]


def read_event(line: bytes, location: str) -> Event:
    """Parses one line; raises ValueError with its location when it is not an event."""
    return parse(line, _LINE, location)
