"""`--dry-run`: what a search will take, from a few steps of its default, smallest and largest configuration."""

import math
import random
import time
from collections.abc import Mapping
from itertools import cycle, islice
from pathlib import Path

import torch

from search_spaces.pinning import REHEARSALS
from search_spaces.stub_trials import ends_or_inside
from trainable.config import TrialConfig, from_params
from trainable.data.io.image_cache import default_cache_dir
from trainable.step_timing import StepTiming, rehearse
from trainable.tasks.registry import get_task
from tuner import formatting
from tuner.confirm.wanted import NUM_SEEDS
from tuner.planning.dry_run_text import StartUp, checked_line, expected_lines, image_lines, rehearsal_lines
from tuner.planning.duration import Schedule, Seconds, forecast
from tuner.planning.plan import Plan
from tuner.policy.candidates import SpaceSource
from tuner.ray.cluster import allocate_resources, node_resources, ray_running
from tuner.ray.tasks import assigned_cpus, run_tasks
from tuner.records import TrialResources
from tuner.settings import SearchSettings

PROPOSALS = 200
"""Configurations that are drawn to learn how often there is one like each of those that were measured."""


def dry_run(settings: SearchSettings, plan: Plan, *, began: float) -> str:
    """Rehearses on the cluster that the search would use and returns what it expects.

    Args:
        began: when the command did, by the monotonic clock.

    Raises:
        ValueError: the cluster cannot be reached or is too small, or a configuration cannot be trained on it.
    """
    planned = time.monotonic()
    with ray_running(settings.address):
        connected = time.monotonic()
        slots = allocate_resources(settings, node_resources())
        configs = extremes(plan)
        rehearsals, process_seconds = _rehearsed(configs, slots)
    start_up = StartUp(command=planned - began, ray=connected - planned, process=process_seconds)
    expected = forecast(
        schedule_of(settings, plan, slots),
        costs=[seconds_of(rehearsals[most_like(config, configs)]) for config in proposed_configs(plan)],
        first=[seconds_of(rehearsals[most_like(config, configs)]) for config in plan.first_configs],
        process_seconds=process_seconds,
    )
    trials = f"{formatting.count(settings.num_trials, 'trial')} of up to {formatting.count(plan.max_epochs, 'epoch')}"
    return "\n".join(
        [
            f"{settings.space}: {trials}, {settings.policy}; {slots}",
            *image_lines(plan),
            checked_line(plan, drawn_configs(plan)),
            *rehearsal_lines(rehearsals),
            *expected_lines(settings, plan, slots, rehearsals, expected, start_up),
        ]
    )


def schedule_of(settings: SearchSettings, plan: Plan, slots: TrialResources) -> Schedule:
    return Schedule(
        num_trials=settings.num_trials,
        slots=slots.concurrent,
        max_epochs=plan.max_epochs,
        rung_epochs=plan.rungs,
        reduction_factor=plan.space.reduction_factor,
        promotes=settings.policy == "promote",
        confirm=settings.confirm,
        seeds=NUM_SEEDS,
    )


def seconds_of(rehearsal: StepTiming) -> Seconds:
    return Seconds(
        build=rehearsal.build_seconds,
        training=rehearsal.training_seconds,
        validation=rehearsal.validation_seconds,
        checkpoint=rehearsal.checkpoint_seconds,
    )


def extremes(plan: Plan) -> dict[str, TrialConfig]:
    """The default configuration and, of many that the space may propose, the smallest and the largest of a batch."""
    default = plan.first_configs[0]
    sizes = {_shape(config): config for config in drawn_configs(plan)}
    ordered = sorted(sizes.values(), key=lambda config: config.batch_size * _num_parameters(config))
    return {"default": default, "smallest": ordered[0], "largest": ordered[-1]}


def drawn_configs(plan: Plan) -> list[TrialConfig]:
    """What the space may propose, its ends as often as its inside."""
    return [plan.config_of(ends_or_inside(seed)) for seed in range(REHEARSALS)]


def _shape(config: TrialConfig) -> tuple[object, ...]:
    return config.model, config.batch_size


def _num_parameters(config: TrialConfig) -> int:
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return sum(parameter.numel() for parameter in get_task(config.workload).build_model(config).parameters())


def proposed_configs(plan: Plan) -> list[TrialConfig]:
    """What the space is likely to propose."""
    generator, source = random.Random(0), SpaceSource(plan.pinned)
    return [from_params(source.any(generator).params, plan.base) for _ in range(PROPOSALS)]


def most_like(config: TrialConfig, measured: Mapping[str, TrialConfig]) -> str:
    """The measured configuration whose epochs take most nearly as long: by images an update, then by its network."""
    return min(measured, key=lambda name: (_distance(config, measured[name]), measured[name].model != config.model))


def _distance(one: TrialConfig, other: TrialConfig) -> float:
    images = [config.batch_size * config.accumulation_steps for config in (one, other)]
    return abs(math.log(images[0] / images[1])) + abs(math.log(one.batch_size / other.batch_size))


def _rehearsed(configs: Mapping[str, TrialConfig], slots: TrialResources) -> tuple[dict[str, StepTiming], float]:
    """In fresh processes, in all slots at a time as trials run: their memory and their crowding count.

    Where there are more slots than configurations some are rehearsed again, for company alone. Also the seconds that
    a process takes before it trains, by the first of them, which finds a free slot.
    """
    cache_dir, began = str(default_cache_dir()), time.monotonic()
    rounds = math.ceil(len(configs) / slots.concurrent)
    names = list(islice(cycle(configs), rounds * slots.concurrent))
    calls = ((place, (configs[name], cache_dir, slots.device)) for place, name in enumerate(names))
    rehearsals: dict[str, StepTiming] = {}
    process_seconds = 0.0
    for place, call in run_tasks(_time_steps, calls, slots, in_new_processes=True):
        if (error := call.exception()) is not None:
            raise ValueError(
                f"A rehearsal failed: {formatting.one_line(str(getattr(error, 'cause', error)))}"
            ) from error
        rehearsal, trained_seconds = call.result()
        if place < len(configs):
            rehearsals[names[place]] = rehearsal
        if place == 0:
            process_seconds = time.monotonic() - began - trained_seconds
    return {name: rehearsals[name] for name in configs}, process_seconds


def _time_steps(config: TrialConfig, cache_dir: str, device: str) -> tuple[StepTiming, float]:
    """With the seconds that it took once the data was open."""
    torch.set_num_threads(assigned_cpus())
    splits = get_task(config.workload).open_data(config, cache_dir=Path(cache_dir))
    began = time.monotonic()
    rehearsal = rehearse(config, splits, device=torch.device(device))
    return rehearsal, time.monotonic() - began
