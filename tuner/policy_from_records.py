"""Builds the policy of a search from its settings, and replays its recorded events into it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from tuner.policy.actions import HalvingConfig, Policy, Promote, outcome_after
from tuner.policy.candidates import Candidate, SpaceSource
from tuner.policy.decision import PROMOTE, Decision
from tuner.policy.outcomes import Outcome
from tuner.policy.prediction import LastValues
from tuner.policy.promoting import PromotingPolicy
from tuner.policy.stopping import RandomSampler, StoppingPolicy
from tuner.policy.tpe import TpeSampler
from tuner.records import RecordedSettings
from tuner.records.events import Decided, EpochDone, Event, PastTrialKnown, TrialEnded, TrialStarted
from tuner.records.settings import SamplerName, SchedulerName


def build_policy(settings: RecordedSettings, space: Callable[[Any], dict]) -> Policy:
    """A new policy without any results.

    Raises:
        ValueError: the space has changed, so that it no longer holds a configuration to try first.
    """
    config = HalvingConfig(
        rung_epochs=settings.rung_epochs,
        max_epochs=settings.max_epochs,
        reduction_factor=settings.reduction_factor,
        mode=settings.mode,
        slots=settings.resources.concurrent,
        seed=settings.seed,
        num_trials=settings.num_trials,
    )
    source = SpaceSource(space)
    try:
        first = [source.of(answers) for answers in settings.first_answers]
    except ValueError as error:
        raise ValueError(
            f"The space {settings.space} has changed since this search began: {error}; restore the space, or begin a "
            "new search with --warm-start."
        ) from error
    return policy_of(settings.scheduler, settings.sampler, space, config, first=first)


def policy_of(
    scheduler: SchedulerName,
    sampler: SamplerName,
    space: Callable[[Any], dict],
    config: HalvingConfig,
    *,
    first: Sequence[Candidate] = (),
) -> Policy:
    """One of the pairs in `SAMPLERS`; for the scheduler none `config` has no rungs."""
    source = SpaceSource(space)
    match scheduler, sampler:
        case _, "forecast":
            return PromotingPolicy(source, config, first=first)
        case "asha", _:
            return PromotingPolicy(RandomSampler(source), config, first=first, predictor=LastValues())
        case _, "tpe":
            return StoppingPolicy(TpeSampler(space, mode=config.mode), config, first=first)
        case _:
            return StoppingPolicy(RandomSampler(source), config, first=first)


class Unrecorded(NamedTuple):
    """A decision or outcome that follows from a trial's last event but was not recorded before a kill."""

    decision: Decision | None
    """The last one about the trial."""
    is_decided: bool
    """Whether the decision is recorded."""
    outcome: Outcome | None
    """The trial's outcome after the decision."""


def replay_events(
    events: Iterable[Event], policy: Policy, source: SpaceSource, *, max_epochs: int
) -> dict[str, Unrecorded]:
    """Returns, by trial, what is not recorded yet.

    Raises:
        ValueError: the space has changed, so that it no longer holds a recorded trial.
    """
    unrecorded: dict[str, Unrecorded] = {}
    for event in events:
        match event:
            case PastTrialKnown(trial=trial, answers=answers, values=values, outcome=outcome):
                policy.add_past_trial(trial, _candidate(source, trial, answers), values, outcome)
            case TrialStarted(trial=trial, answers=answers):
                policy.start(trial, _candidate(source, trial, answers))
            case EpochDone(trial=trial, epoch=epoch, objective=value, outcome=outcome):
                decision = policy.report(trial, epoch=epoch, value=value)
                if outcome is None:
                    outcome = outcome_after(decision, epoch=epoch, max_epochs=max_epochs)
                    unrecorded[trial] = Unrecorded(decision, decision is None, outcome)
                else:
                    unrecorded[trial] = Unrecorded(None, True, outcome)
            case Decided(trial=trial, decision=decision):
                unrecorded[trial] = Unrecorded(
                    decision, True, outcome_after(decision, epoch=decision.epoch, max_epochs=max_epochs)
                )
                if decision.action == PROMOTE:
                    policy.promote(Promote(trial, decision.to_epoch))
            case TrialEnded(trial=trial, outcome=outcome):
                unrecorded.pop(trial, None)
                policy.end(trial, outcome)
    return {trial: one for trial, one in unrecorded.items() if not one.is_decided or one.outcome is not None}


def _candidate(source: SpaceSource, trial: str, answers: dict) -> Candidate:
    try:
        return source.of(answers)
    except ValueError as error:
        raise ValueError(
            f"The space has changed since trial {trial} was proposed: {error}; restore the space, or begin a new "
            "search with --warm-start."
        ) from error
