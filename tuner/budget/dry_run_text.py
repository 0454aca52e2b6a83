"""The text of `--dry-run`: length and pilot run, checks, timings, and the parts of the expected wall time."""

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainable.config import TrialConfig
from trainable.configuration.run_config import RunConfig
from tuner import formatting
from tuner.budget.duration import DurationEstimate
from tuner.budget.learning_curve import LearningCurve
from tuner.budget.measurement import Measurement
from tuner.budget.step_timing import StepTiming
from tuner.formatting import counts_in_words, warning_of_few
from tuner.planning.plan import Plan
from tuner.policy.halving import sign_of
from tuner.records import TrialResources
from tuner.settings import SearchSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class StartUp:
    """Seconds before the first step."""

    command: float
    """Imports and the checks of data and space."""
    ray: float
    process: float
    """Start of a trial's process until its data is open."""

    @property
    def seconds(self) -> float:
        return self.command + self.ray + self.process


def checked_line(plan: Plan, configs: Sequence[RunConfig]) -> str:
    """Line on the values that preflight checks; of a user's own loop only the rung is known."""
    rung = f"the first rung is at epoch {plan.rungs[0]}" if plan.rungs else "no rungs"
    of_task = [config for config in configs if isinstance(config, TrialConfig)]
    if not of_task:
        return f"checked       {rung}"
    warmup_epochs = max(config.warmup_fraction * config.max_epochs for config in of_task)
    images = sorted(config.batch_size * config.accumulation_steps for config in of_task)
    warmup = f"the longest warm-up ends at {warmup_epochs:.1f}"
    return f"checked       {rung}, {warmup}; updates of {images[0]} to {formatting.count(images[-1], 'image')}"


def planned_lines(plan: Plan, measured: Measurement) -> list[str]:
    """Lines on the images, the updates of a full training, and the pilot run of the default."""
    lines = {
        "images": counts_in_words(plan.images, plan.image_size_px),
        "caution": warning_of_few(plan.images),
        "length": length_in_words(plan, measured),
        "pilot run": None if measured.curve is None else pilot_in_words(plan, measured.curve),
    }
    return [f"{name:14}{words}" for name, words in lines.items() if words]


def length_in_words(plan: Plan, measured: Measurement) -> str:
    """Describes the length: `full trainings of 780 updates (20 epochs of the default), first rung at epoch 6`."""
    epochs = formatting.count(plan.max_epochs, "epoch")
    rung = f", first rung at epoch {plan.rungs[0]}" if plan.rungs else ""
    if measured.default.batch_size is None:
        return f"full trainings of {epochs}{rung}"
    updates = formatting.count(plan.max_epochs * measured.default.updates_per_epoch, "update")
    return f"full trainings of {updates} ({epochs}){rung}"


def pilot_in_words(plan: Plan, curve: LearningCurve) -> str:
    """Describes the objective of the default in its pilot run, and of the trivial prediction."""
    if not curve.values:
        return "none: an epoch of the default takes too long, or diverged; the length is the space's"
    sign = sign_of(plan.space.mode)
    reached = f"{formatting.metric(plan.space.objective)} {formatting.number(sign * max(curve.values))}"
    updates = formatting.count(curve.epochs * curve.updates_per_epoch, "update")
    length = f"{updates} ({formatting.count(curve.epochs, 'epoch')})"
    result = f"the default reached {reached} in {length}"
    if plan.trivial is None:
        return result
    floor = f"{plan.trivial.name}, {formatting.number(plan.trivial.objective)}"
    above = "never clearly" if curve.first_above is None else f"from epoch {curve.first_above} on"
    return f"{result}; above {floor}: {above}"


def timing_lines(timings: Mapping[str, StepTiming]) -> list[str]:
    lines = [f"{'':10}{'update':>10}{'per epoch':>10}{'micro-batch':>13}{'epoch':>10}{'memory':>12}{'checkpoint':>12}"]
    for name, one in timings.items():
        update = f"{'-':>10}{'-':>10}{'-':>13}"
        if one.batch_size is not None:
            update = f"{one.update_seconds:8.3f} s{one.updates_per_epoch:10}{one.batch_size:13}"
        lines.append(f"{name:10}{update}{one.epoch_seconds:8.2f} s{one.peak_gib:8.2f} GiB{one.checkpoint_mb:9.1f} MB")
    return lines


def expected_lines(
    settings: SearchSettings,
    plan: Plan,
    resources: TrialResources,
    timings: Mapping[str, StepTiming],
    expected: DurationEstimate,
    start_up: StartUp,
) -> list[str]:
    processor = "GPU" if resources.gpus_per_trial else "CPU"
    hours = expected.median.busy_seconds / 3600 * (resources.gpus_per_trial or resources.cpus_per_trial)
    return [
        *_time_lines(settings, plan, expected, start_up),
        f"total         {hours:.2f} {processor}-hours",
        _memory_line(resources, timings),
        _disk_line(settings, resources, timings),
    ]


def expected_facts(
    settings: SearchSettings,
    plan: Plan,
    timings: Mapping[str, StepTiming],
    expected: DurationEstimate,
    start_up: StartUp,
) -> dict[str, object]:
    """The estimate as plain data."""
    durations = {
        "median": expected.median.seconds,
        "shortest": expected.shortest_seconds,
        "longest": expected.longest_seconds,
    }
    return {
        "space": plan.space.name,
        "trials": settings.num_trials,
        "max_epochs": plan.max_epochs,
        "rung_epochs": list(plan.rungs),
        "images": dict(plan.images),
        "seconds": {name: start_up.seconds + seconds for name, seconds in durations.items()},
        "trainings_of_the_confirmation": expected.median.trainings,
        "peak_gib": max(one.peak_gib for one in timings.values()),
        "checkpoint_mb": max(one.checkpoint_mb for one in timings.values()),
    }


def _time_lines(settings: SearchSettings, plan: Plan, expected: DurationEstimate, start_up: StartUp) -> list[str]:
    """Lines of the parts, scaled to the wall time of the search, which includes slots waiting for the last trial."""
    median = expected.median
    wall, shortest, longest = (
        formatting.duration(start_up.seconds + seconds)
        for seconds in (median.seconds, expected.shortest_seconds, expected.longest_seconds)
    )
    share = median.search_seconds / (median.busy.build + median.busy.epoch)
    trainings = f"{formatting.count(median.trainings, 'training')} of {formatting.count(plan.max_epochs, 'epoch')}"
    seeds = settings.confirm_seeds
    if median.trainings and seeds.last != seeds.first:
        first = formatting.count(seeds.first, "seed")
        trainings += f"; {first}, up to {seeds.last} for the exported one and the default while undecided"
    # Parts that differ by less than a second say nothing of how sure that is.
    spread = f", 90 % between {shortest} and {longest}" if shortest != longest else ""
    return [
        f"wall time     {wall}{spread}",
        f"  start-up      {formatting.duration(start_up.seconds)}  command {start_up.command:.0f} s, Ray "
        f"{start_up.ray:.0f} s, process and data {start_up.process:.0f} s",
        f"  building      {formatting.duration(share * median.busy.build)}",
        f"  training      {formatting.duration(share * median.busy.training)}  "
        f"{formatting.count(median.epochs, 'epoch')}",
        f"  validation    {formatting.duration(share * median.busy.validation)}",
        f"  checkpoints   {formatting.duration(share * median.busy.checkpoint)}",
        f"  confirmation  {formatting.duration(median.confirm_seconds)}  {trainings}",
    ]


def _memory_line(resources: TrialResources, timings: Mapping[str, StepTiming]) -> str:
    peak = max(one.peak_gib for one in timings.values())
    available = min(one.device_gib for one in timings.values())
    device = "GPU" if resources.gpus_per_trial else "machine"
    on_one_device = resources.concurrent
    if resources.gpus_per_rank:
        on_one_device = min(on_one_device, int(1 / resources.gpus_per_rank))
    warning = ": TOO LITTLE, lower --concurrent or batch_size" if peak * on_one_device > available else ""
    return f"memory        up to {peak:.2f} GiB per trial, the {device} has {available:.1f} GiB{warning}"


def _disk_line(settings: SearchSettings, resources: TrialResources, timings: Mapping[str, StepTiming]) -> str:
    """Line on disk space: one checkpoint per trial, and a new one before the last is removed."""
    checkpoint_mb = max(one.checkpoint_mb for one in timings.values())
    disk_mb = (settings.num_trials + resources.concurrent) * checkpoint_mb
    # Kept beside the running trials: the default and the best to confirm, or the best alone.
    num_kept = min(settings.num_trials, 1 + settings.confirm)
    least_mb = (num_kept + resources.concurrent) * checkpoint_mb
    budget_mb = math.inf if settings.disk_budget_bytes is None else settings.disk_budget_bytes / 1e6
    existing = next(path for path in settings.folder.absolute().parents if path.exists())
    free_mb = shutil.disk_usage(existing).free / 1e6
    warning = ": TOO LITTLE, give --disk-budget" if min(disk_mb, budget_mb) > free_mb else ""
    warning = f": TOO LITTLE, the search needs {least_mb:.0f} MB at a time" if least_mb > budget_mb else warning
    return f"disk          up to {min(disk_mb, budget_mb):.0f} MB of checkpoints, {free_mb:.0f} MB free{warning}"
