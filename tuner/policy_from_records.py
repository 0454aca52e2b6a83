"""Builds the policy of a search from its settings, and replays its recorded events into it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from trainable.configuration.reference import activate
from tuner.planning.user_sampler import user_sampler
from tuner.policy.candidates import Candidate, SpaceSource
from tuner.policy.decision import PROMOTE, Decision
from tuner.policy.halving import HalvingConfig
from tuner.policy.outcomes import Outcome
from tuner.policy.policy import Policy, Promote, outcome_after
from tuner.policy.samplers.forecast import ForecastSampler
from tuner.policy.samplers.optuna_sampler import NAMED, OptunaSampler
from tuner.policy.samplers.sampler import RandomSampler, Sampler
from tuner.policy.samplers.tpe import TpeSampler
from tuner.policy.schedulers.promoting import PromotingPolicy
from tuner.policy.schedulers.stopping import StoppingPolicy
from tuner.records import RecordedSettings
from tuner.records.events import Decided, EpochDone, Event, PastTrialKnown, TrialEnded, TrialStarted
from tuner.records.settings import SchedulerName


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
    if settings.sampler_reference is not None:
        activate([settings.sampler_reference])
    return policy_of(settings.scheduler, settings.sampler, space, config, first=first)


def policy_of(
    scheduler: SchedulerName,
    sampler: str,
    space: Callable[[Any], dict],
    config: HalvingConfig,
    *,
    first: Sequence[Candidate] = (),
) -> Policy:
    """Builds the policy of any scheduler with any sampler; for the scheduler none, `config` has no rungs."""
    if sampler == "forecast" and scheduler != "asha-stopping":
        # It also chooses who continues, and without rungs that nobody waits.
        return PromotingPolicy(SpaceSource(space), config, first=first)
    proposing = _sampler_of(sampler, space, config)
    if scheduler == "asha":
        return PromotingPolicy(SpaceSource(space), config, first=first, sampler=proposing)
    return StoppingPolicy(proposing, config, first=first)


def _sampler_of(name: str, space: Callable[[Any], dict], config: HalvingConfig) -> Sampler:
    match name:
        case "forecast":
            return ForecastSampler(SpaceSource(space), config)
        case "tpe":
            return TpeSampler(space, mode=config.mode)
        case "gp" | "cmaes":
            return OptunaSampler(space, config, NAMED[name], takes_notes=name == "cmaes")
        case "random":
            return RandomSampler(SpaceSource(space))
        case _:
            return OptunaSampler(space, config, user_sampler(name))


class MissingRecords(NamedTuple):
    """Consequences of a trial's last event that a kill may have left unrecorded."""

    decision: Decision | None
    """The last one about the trial."""
    is_decision_recorded: bool
    """Whether the decision is recorded."""
    outcome: Outcome | None
    """The trial's outcome after the decision."""


def replay_events(
    events: Iterable[Event], policy: Policy, source: SpaceSource, *, max_epochs: int
) -> dict[str, MissingRecords]:
    """Calls the policy as the session did, and returns by trial what a killed session had not recorded yet.

    From the records: configurations, values, outcomes and promotions, which reach the policy through `add_past_trial`,
    `start`, `report`, `end` and `promote`. Derived again, and not compared with what is on record: the decision on each
    result, and the outcome that follows from it. `next_work` is not called.

    Raises:
        ValueError: the space has changed, so that it no longer holds a recorded trial.
    """
    missing: dict[str, MissingRecords] = {}
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
                    missing[trial] = MissingRecords(decision, decision is None, outcome)
                else:
                    missing[trial] = MissingRecords(None, True, outcome)
            case Decided(trial=trial, decision=decision):
                missing[trial] = MissingRecords(
                    decision, True, outcome_after(decision, epoch=decision.epoch, max_epochs=max_epochs)
                )
                if decision.action == PROMOTE:
                    policy.promote(Promote(trial, decision.to_epoch))
            case TrialEnded(trial=trial, outcome=outcome):
                missing.pop(trial, None)
                policy.end(trial, outcome)
    return {trial: one for trial, one in missing.items() if not one.is_decision_recorded or one.outcome is not None}


def _candidate(source: SpaceSource, trial: str, answers: dict) -> Candidate:
    try:
        return source.of(answers)
    except ValueError as error:
        raise ValueError(
            f"The space has changed since trial {trial} was proposed: {error}; restore the space, or begin a new "
            "search with --warm-start."
        ) from error
