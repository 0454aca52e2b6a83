"""`--dry-run`: expected time and memory of a search, from a few steps of three of its configurations."""

import math
import random
import time
from collections.abc import Mapping
from itertools import cycle, islice
from pathlib import Path

import torch

from search_spaces.pinning import NUM_DRAWS
from search_spaces.stub_trials import ends_or_inside
from trainable.config import TrialConfig, from_params
from trainable.configuration.run_config import RunConfig
from trainable.data.io.image_cache import default_cache_dir
from trainable.tasks.registry import get_task
from trainable.workloads.registry import CarriedConfig, get_workload
from tuner import formatting
from tuner.planning.dry_run_text import StartUp, checked_line, expected_lines, image_lines, timing_lines
from tuner.planning.duration import Schedule, Seconds, forecast
from tuner.planning.plan import Plan
from tuner.planning.step_timing import StepTiming, time_epoch, time_steps
from tuner.policy.candidates import SpaceSource
from tuner.ray.cluster import allocate_resources, node_resources, ray_running
from tuner.ray.tasks import assigned_cpus, run_tasks
from tuner.records import TrialResources
from tuner.settings import SearchSettings

PROPOSALS = 200
"""Configurations drawn to estimate how often each of the timed ones is the most similar."""


def dry_run(settings: SearchSettings, plan: Plan, *, began: float) -> str:
    """Times a few steps on the cluster that the search would use; returns the text of the forecast.

    Args:
        began: start of the command, by the monotonic clock.

    Raises:
        ValueError: the cluster cannot be reached or is too small, or a configuration cannot be trained on it.
    """
    planned = time.monotonic()
    with ray_running(settings.address, num_cpus=settings.num_cpus, num_gpus=settings.num_gpus):
        connected = time.monotonic()
        resources = allocate_resources(settings, node_resources())
        configs = extremes(plan)
        carried = {name: CarriedConfig(config, plan.references) for name, config in configs.items()}
        timings, process_seconds = _time_configs(carried, resources)
    start_up = StartUp(command=planned - began, ray=connected - planned, process=process_seconds)
    expected = forecast(
        schedule_of(settings, plan, resources),
        costs=[seconds_of(timings[most_similar(config, configs)]) for config in proposed_configs(plan)],
        first=[seconds_of(timings[most_similar(config, configs)]) for config in plan.first_configs],
        process_seconds=process_seconds,
    )
    trials = f"{formatting.count(settings.num_trials, 'trial')} of up to {formatting.count(plan.max_epochs, 'epoch')}"
    return "\n".join(
        [
            f"{plan.space.name}: {trials}, {settings.scheduler} with {settings.chosen_sampler}; {resources}",
            *image_lines(plan),
            checked_line(plan, drawn_configs(plan)),
            *timing_lines(timings),
            *expected_lines(settings, plan, resources, timings, expected, start_up),
        ]
    )


def schedule_of(settings: SearchSettings, plan: Plan, resources: TrialResources) -> Schedule:
    return Schedule(
        num_trials=settings.num_trials,
        slots=resources.concurrent,
        max_epochs=plan.max_epochs,
        rung_epochs=plan.rungs,
        reduction_factor=plan.space.reduction_factor,
        promotes=settings.scheduler == "asha",
        confirm=settings.confirm,
        seeds=settings.confirm_seeds,
    )


def seconds_of(timing: StepTiming) -> Seconds:
    return Seconds(
        build=timing.build_seconds,
        training=timing.training_seconds,
        validation=timing.validation_seconds,
        checkpoint=timing.checkpoint_seconds,
    )


def extremes(plan: Plan) -> dict[str, RunConfig]:
    """The default configuration and, of many drawn ones, the smallest and largest by batch size times parameters.

    Of a loop of the user's own the default alone: only a task tells what is small or large.
    """
    default = plan.first_configs[0]
    drawn = [config for config in drawn_configs(plan) if isinstance(config, TrialConfig)]
    if not drawn:
        return {"default": default}
    sizes = {(config.model, config.batch_size): config for config in drawn}
    ordered = sorted(sizes.values(), key=lambda config: config.batch_size * _num_parameters(config))
    return {"default": default, "smallest": ordered[0], "largest": ordered[-1]}


def drawn_configs(plan: Plan) -> list[RunConfig]:
    """Configurations that the space may propose, with the ends of its ranges as often as the inside."""
    return [plan.config_of(ends_or_inside(seed)) for seed in range(NUM_DRAWS)]


def _num_parameters(config: TrialConfig) -> int:
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return sum(parameter.numel() for parameter in get_task(config.workload).build_model(config).parameters())


def proposed_configs(plan: Plan) -> list[RunConfig]:
    """Random configurations of the space."""
    generator, source = random.Random(0), SpaceSource(plan.pinned)
    return [from_params(source.any(generator).params, plan.base) for _ in range(PROPOSALS)]


def most_similar(config: RunConfig, measured: Mapping[str, RunConfig]) -> str:
    """The measured configuration with the most similar epoch time: by images per update, then by network."""

    def distance(name: str) -> tuple[float, bool]:
        other = measured[name]
        if not isinstance(config, TrialConfig) or not isinstance(other, TrialConfig):
            return 0.0, False
        micro_batches = config.batch_size / other.batch_size
        updates = micro_batches * config.accumulation_steps / other.accumulation_steps
        return abs(math.log(updates)) + abs(math.log(micro_batches)), other.model != config.model

    return min(measured, key=distance)


def _time_configs(
    configs: Mapping[str, CarriedConfig], resources: TrialResources
) -> tuple[dict[str, StepTiming], float]:
    """Times each configuration in a fresh process, with all slots busy as in a search.

    With more slots than configurations, some are repeated only to keep the other slots busy. Also returns the seconds
    that a process takes before it trains, measured on the first one, which gets a free slot.
    """
    cache_dir, began = str(default_cache_dir()), time.monotonic()
    rounds = math.ceil(len(configs) / resources.concurrent)
    names = list(islice(cycle(configs), rounds * resources.concurrent))
    calls = ((index, (configs[name], cache_dir, resources.device)) for index, name in enumerate(names))
    timings: dict[str, StepTiming] = {}
    process_seconds = 0.0
    for index, call in run_tasks(_time_steps, calls, resources, in_new_processes=True):
        if (error := call.exception()) is not None:
            raise ValueError(
                f"A timed training failed: {formatting.one_line(str(getattr(error, 'cause', error)))}"
            ) from error
        timing, trained_seconds = call.result()
        if index < len(configs):
            timings[names[index]] = timing
        if index == 0:
            process_seconds = time.monotonic() - began - trained_seconds
    return {name: timings[name] for name in configs}, process_seconds


def _time_steps(carried: CarriedConfig, cache_dir: str, device: str) -> tuple[StepTiming, float]:
    """The timing, and the seconds that it took after opening the data."""
    torch.set_num_threads(assigned_cpus())
    config = carried.read()
    workload = get_workload(config.workload)
    data = workload.open_data(config, cache_dir=Path(cache_dir))
    began = time.monotonic()
    if isinstance(config, TrialConfig):
        timing = time_steps(config, data, device=torch.device(device))
    else:
        timing = time_epoch(workload, config, data, device=torch.device(device))
    return timing, time.monotonic() - began
