"""`--dry-run`: what a search will take, from a few steps of its default, smallest and largest configuration."""

import time
from collections.abc import Mapping
from pathlib import Path

import ray
import torch

from search_spaces.pinning import REHEARSALS
from search_spaces.rehearsal import AnsweredTrial, RandomTrial
from trainable.config import TrialConfig, from_params
from trainable.data.image_cache import default_cache_dir
from trainable.rehearsal import Rehearsal, rehearse
from trainable.tasks.registry import get_task
from tuner import wording
from tuner.cluster import Slots, node_resources, ray_running, share_out
from tuner.confirm import NUM_SEEDS
from tuner.dry_run_text import StartUp, checked_line, expected_lines, rehearsal_lines
from tuner.forecast import Seconds, forecast
from tuner.forecast_policies import Schedule
from tuner.plan import Plan
from tuner.settings import SearchSettings


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
        slots = share_out(settings, node_resources())
        rehearsals, process_seconds = _rehearsed(extremes(plan), slots)
    start_up = StartUp(command=planned - began, ray=connected - planned, process=process_seconds)
    costs = [seconds_of(rehearsal) for rehearsal in rehearsals.values()]
    expected = forecast(schedule_of(settings, plan, slots), costs, process_seconds=process_seconds)
    trials = f"{wording.count(settings.num_trials, 'trial')} of up to {wording.count(plan.max_epochs, 'epoch')}"
    return "\n".join(
        [
            f"{settings.space}: {trials}, {settings.policy}; {slots}",
            checked_line(plan, drawn_configs(plan)),
            *rehearsal_lines(rehearsals),
            *expected_lines(settings, plan, slots, rehearsals, expected, start_up),
        ]
    )


def schedule_of(settings: SearchSettings, plan: Plan, slots: Slots) -> Schedule:
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


def seconds_of(rehearsal: Rehearsal) -> Seconds:
    return Seconds(
        build=rehearsal.build_seconds,
        training=rehearsal.training_seconds,
        validation=rehearsal.validation_seconds,
        checkpoint=rehearsal.checkpoint_seconds,
    )


def extremes(plan: Plan) -> dict[str, TrialConfig]:
    """The default configuration and, of many that the space may propose, the smallest and the largest of a batch."""
    default = from_params(plan.pinned(AnsweredTrial(plan.first_points[0])), plan.base)
    sizes = {_shape(config): config for config in drawn_configs(plan)}
    task = get_task(plan.base.workload)
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        ordered = sorted(sizes.values(), key=lambda config: config.batch_size * _num_parameters(task, config))
    return {"default": default, "smallest": ordered[0], "largest": ordered[-1]}


def drawn_configs(plan: Plan) -> list[TrialConfig]:
    """What the space may propose, its ends as often as its inside."""
    return [from_params(plan.pinned(RandomTrial(seed)), plan.base) for seed in range(REHEARSALS)]


def _shape(config: TrialConfig) -> tuple[object, ...]:
    return config.model, config.batch_size


def _num_parameters(task, config: TrialConfig) -> int:
    return sum(parameter.numel() for parameter in task.build_model(config).parameters())


def _rehearsed(configs: Mapping[str, TrialConfig], slots: Slots) -> tuple[dict[str, Rehearsal], float]:
    """Side by side in fresh processes, as trials run: their memory and their crowding count.

    Also the seconds that a process takes before it trains, by the first of them, which finds a free slot.
    """
    resources = {"num_cpus": slots.cpus_per_rank, "num_gpus": slots.gpus_per_rank}
    task = ray.remote(**resources, max_calls=1, max_retries=0)(_rehearse)
    cache_dir, began = str(default_cache_dir()), time.monotonic()
    calls = {name: task.remote(config, cache_dir, slots.device) for name, config in configs.items()}
    try:
        _, trained_seconds = ray.get(next(iter(calls.values())))
        process_seconds = time.monotonic() - began - trained_seconds
        return {name: ray.get(call)[0] for name, call in calls.items()}, process_seconds
    except ray.exceptions.RayTaskError as error:
        raise ValueError(f"A rehearsal failed: {wording.one_line(str(error.cause))}") from error


def _rehearse(config: TrialConfig, cache_dir: str, device: str) -> tuple[Rehearsal, float]:
    """With the seconds that it took once the data was open."""
    torch.set_num_threads(max(1, int(ray.get_runtime_context().get_assigned_resources().get("CPU", 1))))
    splits = get_task(config.workload).open_data(config, cache_dir=Path(cache_dir))
    began = time.monotonic()
    rehearsal = rehearse(config, splits, device=torch.device(device))
    return rehearsal, time.monotonic() - began
