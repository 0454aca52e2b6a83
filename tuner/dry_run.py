"""`--dry-run`: what a search will take, from a few steps of its default, smallest and largest configuration."""

import shutil
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
from tuner.forecast import Forecast, Schedule, forecast
from tuner.plan import Plan
from tuner.settings import SearchSettings


def dry_run(settings: SearchSettings, plan: Plan) -> str:
    """Rehearses on the cluster that the search would use and returns what it expects.

    Raises:
        ValueError: the cluster cannot be reached or is too small, or a configuration cannot be trained on it.
    """
    with ray_running(settings.address):
        nodes = node_resources()
        slots = share_out(settings, nodes)
        rehearsals = _rehearsed(extremes(plan), slots)
    schedule = Schedule(
        num_trials=settings.num_trials,
        slots=slots.concurrent,
        max_epochs=plan.max_epochs,
        rung_epochs=plan.rungs,
        reduction_factor=plan.space.reduction_factor,
    )
    expected = forecast(schedule, [rehearsal.epoch_seconds for rehearsal in rehearsals.values()])
    return "\n".join(
        [
            f"{settings.space}: {settings.num_trials} trials of up to {plan.max_epochs} epochs; {slots}",
            *_rehearsal_lines(rehearsals),
            *_expected_lines(settings, plan, slots, rehearsals, expected),
        ]
    )


def extremes(plan: Plan) -> dict[str, TrialConfig]:
    """The default configuration and, of many that the space may propose, the smallest and the largest of a batch."""
    default = from_params(plan.pinned(AnsweredTrial(plan.first_points[0])), plan.base)
    drawn = [from_params(plan.pinned(RandomTrial(seed)), plan.base) for seed in range(REHEARSALS)]
    sizes = {_shape(config): config for config in drawn}
    task = get_task(plan.base.workload)
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        ordered = sorted(sizes.values(), key=lambda config: config.batch_size * _num_parameters(task, config))
    return {"default": default, "smallest": ordered[0], "largest": ordered[-1]}


def _shape(config: TrialConfig) -> tuple[object, ...]:
    return config.model, config.batch_size


def _num_parameters(task, config: TrialConfig) -> int:
    return sum(parameter.numel() for parameter in task.build_model(config).parameters())


def _rehearsed(configs: Mapping[str, TrialConfig], slots: Slots) -> dict[str, Rehearsal]:
    """Side by side in fresh processes, as trials run: their memory and their crowding count."""
    resources = {"num_cpus": slots.cpus_per_rank, "num_gpus": slots.gpus_per_rank}
    task = ray.remote(**resources, max_calls=1, max_retries=0)(_rehearse)
    cache_dir = str(default_cache_dir())
    calls = {name: task.remote(config, cache_dir, slots.device) for name, config in configs.items()}
    try:
        return {name: ray.get(call) for name, call in calls.items()}
    except ray.exceptions.RayTaskError as error:
        raise ValueError(f"A rehearsal failed: {wording.one_line(str(error.cause))}") from error


def _rehearse(config: TrialConfig, cache_dir: str, device: str) -> Rehearsal:
    torch.set_num_threads(max(1, int(ray.get_runtime_context().get_assigned_resources().get("CPU", 1))))
    splits = get_task(config.workload).open_data(config, cache_dir=Path(cache_dir))
    return rehearse(config, splits, device=torch.device(device))


def _rehearsal_lines(rehearsals: Mapping[str, Rehearsal]) -> list[str]:
    head = f"{'':10}{'update':>10}{'epoch':>10}{'memory':>12}{'checkpoint':>12}"
    return [head] + [
        f"{name:10}{one.update_seconds:8.3f} s{one.epoch_seconds:8.2f} s{one.peak_gib:8.2f} GiB"
        f"{one.checkpoint_mb:9.1f} MB"
        for name, one in rehearsals.items()
    ]


def _expected_lines(
    settings: SearchSettings, plan: Plan, slots: Slots, rehearsals: Mapping[str, Rehearsal], expected: Forecast
) -> list[str]:
    ones = rehearsals.values()
    confirming = (1 + settings.confirm) * NUM_SEEDS * plan.max_epochs if settings.confirm else 0
    confirm_seconds = confirming * max(one.epoch_seconds for one in ones) / slots.concurrent
    hours = (expected.busy_seconds + confirm_seconds * slots.concurrent) / 3600
    processor, place = ("GPU", "GPU") if slots.gpus_per_trial else ("CPU", "machine")
    share = slots.gpus_per_trial or slots.cpus_per_trial
    disk_mb = settings.num_trials * max(one.checkpoint_mb for one in ones)
    free_mb = shutil.disk_usage(_existing(settings.storage)).free / 1e6
    peak, there = max(one.peak_gib for one in ones), min(one.device_gib for one in ones)
    warning = ": TOO LITTLE, lower --concurrent or batch_size" if peak * _trials_on_one_device(slots) > there else ""
    return [
        f"search        {wording.duration(expected.wall_seconds)}, nine times in ten between "
        f"{wording.duration(expected.shortest_seconds)} and {wording.duration(expected.longest_seconds)}; "
        f"{expected.epochs} epochs",
        f"confirmation  at most {wording.duration(confirm_seconds)}; {confirming} epochs",
        f"in all        {hours * share:.2f} {processor}-hours",
        f"memory        up to {peak:.2f} GiB a trial, of the {place}'s {there:.1f} GiB{warning}",
        f"disk          up to {disk_mb:.0f} MB of checkpoints, {free_mb:.0f} MB free",
    ]


def _trials_on_one_device(slots: Slots) -> int:
    return int(1 / slots.gpus_per_rank) if slots.gpus_per_rank else slots.concurrent


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())
