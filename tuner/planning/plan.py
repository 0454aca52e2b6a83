"""Plans a search before Ray starts: its data, its space with the user's pins, its rungs."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from search_spaces.pinning import PinnedSpace
from search_spaces.space import Situation, Space
from search_spaces.stub_trials import configurations, given_or_middle
from trainable.config import from_params
from trainable.configuration.reference import references_of
from trainable.configuration.run_config import RunConfig
from trainable.workloads.registry import read_config
from trainable.workloads.workload import DataFacts
from tuner import formatting
from tuner.planning.base_config import gpu_memory_gb, is_of_space
from tuner.planning.opened_data import OpenedData, open_for_search
from tuner.planning.ranges import searched_ranges
from tuner.planning.spaces import recorded_space
from tuner.planning.warm_start import PastTrial, WarmStart, warm_start
from tuner.policy.halving import rung_epochs
from tuner.records import RecordedSettings
from tuner.records.settings import SpaceAndData
from tuner.records.trivial import TrivialScore
from tuner.settings import MOST, SearchSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(SpaceAndData):
    """A search that is ready to start."""

    space: Space
    pinned_space: PinnedSpace
    base: RunConfig
    trivial: TrivialScore | None = None
    """Score on the validation split of a prediction that looks at no image."""
    rungs: tuple[int, ...]
    points_to_evaluate: tuple[dict, ...]
    """Answers to try first, in this order, by name: the default, the recommended ones, those of the warm start."""
    past_trials: tuple[PastTrial, ...] = ()
    """Trials of another search that the policy starts with."""
    all_points: tuple[dict, ...] | None = None
    """All answers of the space, if it holds no more configurations than trials were asked for; else None."""

    @property
    def max_epochs(self) -> int:
        return self.base.max_epochs

    @property
    def first_answers(self) -> tuple[dict, ...]:
        """Answers to try before any are drawn: for a small space, all of them."""
        others = [point for point in self.all_points or () if point not in self.points_to_evaluate]
        return (*self.points_to_evaluate, *others)

    @property
    def first_configs(self) -> list[RunConfig]:
        """The configurations of `points_to_evaluate`."""
        return [self.config_of(given_or_middle(point)) for point in self.points_to_evaluate]

    def config_of(self, trial: Any) -> RunConfig:
        """The configuration that an Optuna trial, or a stub, draws from the space."""
        return from_params(self.pinned_space(trial), self.base)


def plan_as_given(settings: SearchSettings) -> Plan:
    """The plan of a search without a pilot run: its length, rungs and network are those of the settings and the space.

    For tests and benchmarks; the commands plan with `tuner.api.searches.plan_search`.

    Raises:
        ValueError: the data cannot be used, a pinned parameter is unknown, or the space does not fit the budget.
    """
    plan = plan_on(open_for_search(settings), settings)
    log_given(plan)
    return plan


def plan_on(opened: OpenedData, settings: SearchSettings, *, first_rung: int | None = None) -> Plan:
    """The plan of a search on opened data; opening it once is enough for several plans.

    Args:
        first_rung: epoch of the first rung; None keeps the space's share of a full training.

    Raises:
        ValueError: a pinned parameter is unknown, or the space does not fit the budget.
    """
    facts = opened.facts
    space = opened.space if settings.max_epochs is None else opened.space.with_max_epochs(settings.max_epochs)
    base = from_params({"max_epochs": space.max_epochs}, opened.base)
    situation = _situation(settings, facts)
    own = space.defaults(situation).keys()
    pins = {name: value for name, value in settings.pinned.items() if is_of_space(name, own, base)}
    ranges = searched_ranges(settings.ranges, base, PinnedSpace(space, situation).asked)
    pinned_space = PinnedSpace(space, situation, pins=pins, ranges=ranges)
    warm = _warm_start(settings, space, pinned_space, base, opened.fingerprint)
    return Plan(
        space=space,
        space_reference=opened.found.reference,
        references=(*opened.found.references, *references_of(getattr(base, "model", None))),
        situation=situation,
        pinned_space=pinned_space,
        pins=pins,
        ranges=ranges,
        base=base,
        data_fingerprint=opened.fingerprint,
        trivial=opened.trivial,
        images=dict(facts.images),
        image_size_px=facts.image_size_px,
        class_counts={split: dict(counts) for split, counts in facts.class_counts.items()},
        data_findings=facts.findings,
        rungs=_rungs(settings, space, first_rung),
        points_to_evaluate=(*pinned_space.points_to_evaluate(), *warm.points),
        past_trials=tuple(warm.past_trials),
        all_points=_all_configurations(
            pinned_space, [one.answers for one in warm.past_trials], num_trials=settings.num_trials
        ),
    )


def plan_from_records(settings: RecordedSettings) -> Plan:
    """The plan of a recorded search, from its settings alone; the data is not opened.

    Its `rungs` are those on record, which a pilot run may have moved from the space's own share.

    Raises:
        ValueError: its space or its workload no longer exists or has changed.
    """
    space = recorded_space(settings).with_max_epochs(settings.max_epochs)
    return Plan(
        space=space,
        pinned_space=PinnedSpace(space, settings.situation, pins=settings.pins, ranges=settings.ranges),
        base=read_config(settings.base_config),
        rungs=settings.rung_epochs,
        points_to_evaluate=settings.first_answers,
        **settings.space_and_data(),
    )


def extend(settings: RecordedSettings, plan: Plan, *, more: int, known: Sequence[dict]) -> RecordedSettings:
    """The settings with `more` additional trials; a small space gets its remaining configurations.

    Args:
        known: answers of the recorded trials, past ones included.

    Raises:
        ValueError: `more` is not from 1 to `MOST`, or every configuration has been tried.
    """
    if not 1 <= more <= MOST:
        raise ValueError(f"--trials is {more}; give the number of additional trials, from 1 to {MOST}.")
    remaining = _all_configurations(plan.pinned_space, known, num_trials=settings.num_trials + more)
    if remaining is None:
        return replace(settings, num_trials=settings.num_trials + more)
    if not remaining:
        raise ValueError("Every configuration of the space has been tried.")
    logger.info("%s left to try.", formatting.count(len(remaining), "configuration"))
    num_trials = settings.num_trials + min(more, len(remaining))
    return replace(settings, num_trials=num_trials, first_answers=(*settings.first_answers, *remaining))


def log_given(plan: Plan) -> None:
    """Says what is searched, which values of trial 0 are not the default's, and which fixed ones it does not use."""
    for name, one in plan.ranges.items():
        logger.info("Searched: %s %s.", name, one.in_words)
        default, first = plan.pinned_space.default_of(name), plan.pinned_space.points_to_evaluate()[0]
        if name in first and first[name] != default:
            logger.info("The default, %s=%s, is outside: trial 0 has %s.", name, default, first[name])
    used = plan.pinned_space.pins_used_by(given_or_middle(plan.points_to_evaluate[0]))
    for name, value in plan.pins.items():
        if name not in used:
            logger.info("Fixed: %s=%s in each trial that uses it; the default does not.", name, value)


def limit_to_space(settings: SearchSettings, plan: Plan) -> SearchSettings:
    """The settings with no more trials than the space holds configurations."""
    if plan.all_points is None or len(plan.all_points) >= settings.num_trials:
        return settings
    num_trials = len(plan.all_points)
    configurations, trials = formatting.count(num_trials, "configuration"), formatting.count(num_trials, "trial")
    logger.info("The space holds %s: %s, not %d.", configurations, trials, settings.num_trials)
    return replace(settings, num_trials=num_trials)


def _all_configurations(space: PinnedSpace, known: Sequence[dict], *, num_trials: int) -> tuple[dict, ...] | None:
    """All new answers of a small space, because random draws would miss some of the last; None for a larger space."""
    found = configurations(space, at_most=num_trials + len(known))
    return None if found is None else tuple(answers for answers in found if answers not in known)


def _rungs(settings: SearchSettings, space: Space, first_rung: int | None) -> tuple[int, ...]:
    """The epochs at which trials are compared; none where every trial trains to its full length."""
    if settings.scheduler == "none":
        return ()
    grace_epochs = space.grace_epochs if first_rung is None else first_rung
    return rung_epochs(grace_epochs=grace_epochs, max_epochs=space.max_epochs, reduction_factor=space.reduction_factor)


def _warm_start(
    settings: SearchSettings, space: Space, pinned_space: PinnedSpace, base: RunConfig, fingerprint: dict[str, str]
) -> WarmStart:
    if settings.warm_start is None:
        return WarmStart()
    return warm_start(
        settings.warm_start,
        pinned_space,
        base=base,
        points_to_evaluate=pinned_space.points_to_evaluate(),
        settings={
            "space": space.name,
            "objective": space.objective,
            "mode": space.mode,
            "max_epochs": space.max_epochs,
            "data_fingerprint": fingerprint,
        },
    )


def _situation(settings: SearchSettings, facts: DataFacts) -> Situation:
    return Situation(
        num_train_images=facts.images.get("train", 1),
        pretrained=facts.pretrained,
        own_weights=facts.own_weights or None,
        own_network=facts.own_network or None,
        max_batch_size=facts.batch_size,
        gpu_memory_gb=None if "batch_size" in settings.pinned else gpu_memory_gb(settings),
        num_tasks=facts.num_tasks,
    )
