"""What `--dry-run` prints: what was checked and measured, and what the wall time is made of."""

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainable.config import TrialConfig
from trainable.step_timing import StepTiming
from tuner import formatting
from tuner.formatting import counts_in_words, warning_of_few
from tuner.planning.duration import Forecast
from tuner.planning.plan import Plan
from tuner.records import TrialResources
from tuner.settings import SearchSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class StartUp:
    """Seconds until the first step."""

    command: float
    """Imports, and the check of data and space."""
    ray: float
    process: float
    """Of a trial, until its data is open."""

    @property
    def seconds(self) -> float:
        return self.command + self.ray + self.process


def checked_line(plan: Plan, configs: Sequence[TrialConfig]) -> str:
    """What preflight would have refused, with its numbers."""
    warmup_epochs = max(config.schedule.warmup_fraction * config.max_epochs for config in configs)
    images = sorted(config.batch_size * config.accumulation_steps for config in configs)
    rung = f"the first rung is at epoch {plan.rungs[0]}" if plan.rungs else "no rungs"
    warmup = f"the longest warm-up ends at {warmup_epochs:.1f}"
    return f"checked       {rung}, {warmup}; updates of {images[0]} to {images[-1]} images"


def image_lines(plan: Plan) -> list[str]:
    counts, caution = counts_in_words(plan.images, plan.image_size_px), warning_of_few(plan.images)
    return [f"images        {counts}", *([f"caution       {caution}"] if caution else [])]


def rehearsal_lines(rehearsals: Mapping[str, StepTiming]) -> list[str]:
    head = f"{'':10}{'update':>10}{'an epoch':>10}{'micro-batch':>13}{'epoch':>10}{'memory':>12}{'checkpoint':>12}"
    return [head] + [
        f"{name:10}{one.update_seconds:8.3f} s{one.updates_per_epoch:10}{one.batch_size:13}{one.epoch_seconds:8.2f} s"
        f"{one.peak_gib:8.2f} GiB{one.checkpoint_mb:9.1f} MB"
        for name, one in rehearsals.items()
    ]


def expected_lines(
    settings: SearchSettings,
    plan: Plan,
    slots: TrialResources,
    rehearsals: Mapping[str, StepTiming],
    expected: Forecast,
    start_up: StartUp,
) -> list[str]:
    processor = "GPU" if slots.gpus_per_trial else "CPU"
    hours = expected.middle.busy_seconds / 3600 * (slots.gpus_per_trial or slots.cpus_per_trial)
    return [
        *_time_lines(plan, expected, start_up),
        f"in all        {hours:.2f} {processor}-hours",
        _memory_line(slots, rehearsals),
        _disk_line(settings, slots, rehearsals),
    ]


def _time_lines(plan: Plan, expected: Forecast, start_up: StartUp) -> list[str]:
    """Parts of the search as they share its wall time, which slots that wait for the last trial are in, too."""
    middle = expected.middle
    wall, shortest, longest = (
        formatting.duration(start_up.seconds + seconds)
        for seconds in (middle.seconds, expected.shortest_seconds, expected.longest_seconds)
    )
    share = middle.search_seconds / (middle.busy.build + middle.busy.epoch)
    return [
        f"wall time     {wall}, nine times in ten between {shortest} and {longest}",
        f"  start-up      {formatting.duration(start_up.seconds)}  the command {start_up.command:.0f} s, Ray "
        f"{start_up.ray:.0f} s, a process and its data {start_up.process:.0f} s",
        f"  building      {formatting.duration(share * middle.busy.build)}",
        f"  training      {formatting.duration(share * middle.busy.training)}  {middle.epochs} epochs",
        f"  validation    {formatting.duration(share * middle.busy.validation)}",
        f"  checkpoints   {formatting.duration(share * middle.busy.checkpoint)}",
        f"  confirmation  {formatting.duration(middle.confirm_seconds)}  "
        f"{formatting.count(middle.trainings, 'training')} of {plan.max_epochs} epochs",
    ]


def _memory_line(slots: TrialResources, rehearsals: Mapping[str, StepTiming]) -> str:
    peak = max(one.peak_gib for one in rehearsals.values())
    there = min(one.device_gib for one in rehearsals.values())
    place = "GPU" if slots.gpus_per_trial else "machine"
    on_one_device = int(1 / slots.gpus_per_rank) if slots.gpus_per_rank else slots.concurrent
    warning = ": TOO LITTLE, lower --concurrent or batch_size" if peak * on_one_device > there else ""
    return f"memory        up to {peak:.2f} GiB a trial, of the {place}'s {there:.1f} GiB{warning}"


def _disk_line(settings: SearchSettings, slots: TrialResources, rehearsals: Mapping[str, StepTiming]) -> str:
    """One checkpoint of each trial stays; a new one is written before the last is removed."""
    checkpoint_mb = max(one.checkpoint_mb for one in rehearsals.values())
    disk_mb = (settings.num_trials + slots.concurrent) * checkpoint_mb
    # What may be handed over stays beside what trains: the default and the best that are confirmed, or the best.
    num_kept = min(settings.num_trials, 1 + settings.confirm)
    least_mb = (num_kept + slots.concurrent) * checkpoint_mb
    budget_mb = math.inf if settings.disk_budget_bytes is None else settings.disk_budget_bytes / 1e6
    free_mb = shutil.disk_usage(_existing(settings.storage)).free / 1e6
    warning = ": TOO LITTLE, give --disk-budget" if min(disk_mb, budget_mb) > free_mb else ""
    warning = f": TOO LITTLE, {least_mb:.0f} MB must stay at a time" if least_mb > budget_mb else warning
    return f"disk          up to {min(disk_mb, budget_mb):.0f} MB of checkpoints, {free_mb:.0f} MB free{warning}"


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())
