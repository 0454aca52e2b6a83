"""The lines of `trials.jsonl`: one event each, in the order in which they happened.

`time` is in seconds since the search began, counting only the time in which it ran.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from tuner.policy.decision import Decision
from tuner.policy.outcomes import Outcome
from tuner.records.trial_name import PATTERN
from tuner.records.typed_json import STRICT, Answers, Plain, parsed

TRIALS = "trials.jsonl"
TrialName = Annotated[str, Field(pattern=f"^{PATTERN}$")]
Epoch = Annotated[int, Field(ge=0)]
MAX_OBJECTIVE = 3.4e38
"""As far as float32 goes; what is farther has diverged."""
Objective = Annotated[float, Field(ge=-MAX_OBJECTIVE, le=MAX_OBJECTIVE)]
Numbers = dict[str, int | float | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted:
    """A process opened the search: its first session, or a resume."""

    __pydantic_config__ = STRICT

    event: Literal["session"] = "session"
    version: str
    commit: str | None
    """Git commit of the code; None where it was installed without its repository."""
    host: str
    process: int
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTrialKnown:
    """A trial of an earlier search, with which this one began; it is none of this one's trials."""

    __pydantic_config__ = STRICT

    event: Literal["past_trial"] = "past_trial"
    trial: Annotated[str, Field(pattern=f"^.+/{PATTERN}$")]
    """`<run>/<name>` of the earlier search."""
    answers: Answers
    """What the space asked for, by name."""
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
    """The parameters of its training, as the space returned them."""
    answers: Answers
    """What the space asked for, by name."""
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochDone:
    """One epoch of one trial; its checkpoint was on disk before this line."""

    __pydantic_config__ = STRICT

    event: Literal["result"] = "result"
    trial: TrialName
    epoch: Annotated[int, Field(ge=1)]
    objective: Objective
    metrics: dict[str, float | None]
    """None for a number that was not finite."""
    seconds: float
    process: str | None = None
    """Host and process id of who trained it."""
    precision: str | None = None
    """The number format in effect: fp32, fp16 or bf16, whatever was asked for."""
    outcome: Outcome | None = None
    """What ended the trial with this epoch, where it ended itself: plateaued or experts collapsed."""
    numbers: Numbers = field(default_factory=dict)
    """What that rests on."""
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Why a trial went on, waited or stopped at a rung."""

    __pydantic_config__ = STRICT

    event: Literal["decision"] = "decision"
    trial: TrialName
    decision: Decision
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LegFailed:
    """The process of a trial died; the trial goes on from its last checkpoint."""

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
    """What the outcome rests on."""
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded:
    """The process left the search in good order; until now it has run."""

    __pydantic_config__ = STRICT

    event: Literal["session_end"] = "session_end"
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Every trial has ended and is confirmed; report and export are written as far as they can be."""

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


def read_event(line: bytes, place: str) -> Event:
    """One line as an event; raises ValueError with its place when it is none."""
    return parsed(line, _LINE, place)
