"""Times a few steps of three configurations of a search on its cluster, with a pilot run of its default."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

import torch

from search_spaces.pinning import NUM_DRAWS
from search_spaces.stub_trials import ends_or_inside
from trainable.config import TrialConfig
from trainable.configuration.run_config import RunConfig
from trainable.data.io.image_cache import default_cache_dir
from trainable.loop.loop_error import LoopError
from trainable.reporting.waiting import Waiting
from trainable.workloads.limits import num_parameters
from trainable.workloads.registry import CarriedConfig, get_workload
from tuner import formatting
from tuner.budget.duration import Seconds
from tuner.budget.learning_curve import LearningCurve, PilotLimits, pilot_run
from tuner.budget.step_timing import StepTiming, time_epoch, time_steps
from tuner.planning.plan import Plan
from tuner.policy.halving import sign_of
from tuner.ray.cluster import allocate_resources, node_resources, ray_running
from tuner.ray.cluster_nodes import ClusterNodes, Needs
from tuner.ray.tasks import assigned_cpus, run_tasks
from tuner.records import TrialResources
from tuner.settings import SearchSettings

DEFAULT, RIVAL = "default", "rival"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Measurements on the cluster that the search uses."""

    resources: TrialResources
    configs: dict[str, RunConfig]
    """Timed configurations by name."""
    timings: dict[str, StepTiming]
    ray_seconds: float
    """Start of Ray."""
    process_seconds: float
    """Start of a trial's process until its data is open."""
    curve: LearningCurve | None = None
    """Curve of the default, if it had a pilot run."""
    rival_curve: LearningCurve | None = None
    """Curve of the other default, if it had a pilot run."""

    @property
    def default(self) -> StepTiming:
        return self.timings[DEFAULT]

    def seconds_of(self, config: RunConfig) -> Seconds:
        """The times of the most similar configuration."""
        timing = self.timings[most_similar(config, self.configs)]
        return Seconds(
            build=timing.build_seconds,
            training=timing.update_seconds * timing.updates_per_epoch,
            validation=timing.validation_seconds,
            checkpoint=timing.checkpoint_seconds,
        )


def measure(
    settings: SearchSettings, plan: Plan, *, pilot_seconds: float | None = None, rival: RunConfig | None = None
) -> Measurement:
    """Times a few steps on the cluster that the search would use.

    Args:
        pilot_seconds: the most that the default's steps and pilot run take, once its data is open; None for no pilot
            run.
        rival: another default with a pilot run as long, beside the first; with one slot each has half of the time.

    Raises:
        ValueError: the cluster cannot be reached or is too small, or a configuration cannot be trained on it.
    """
    began = time.monotonic()
    with ray_running(
        settings.address, num_cpus=settings.num_cpus, num_gpus=settings.num_gpus, references=plan.references
    ) as cluster:
        ray_seconds = time.monotonic() - began
        nodes = _nodes_with_data(plan) if cluster.is_joined else None
        resources = allocate_resources(settings, node_resources() if nodes is None else nodes.resources)
        default, *others = extremes(plan).items()
        defaults = dict([default]) if rival is None else {**dict([default]), RIVAL: rival}
        configs = {**defaults, **dict(others)}
        carried = {name: CarriedConfig(config, plan.references) for name, config in configs.items()}
        limits = None if pilot_seconds is None else _pilot_limits(plan, pilot_seconds, len(defaults), resources)
        doing = f"Timing a few steps of {formatting.count(len(configs), 'configuration')}"
        if limits is not None:
            doing += f", training {'the default' if rival is None else 'two networks'} for up to"
            doing += f" {limits.most_seconds:.0f} s"
        with Waiting(doing):
            timings, process_seconds, curves = _time_configs(
                carried,
                resources,
                dict.fromkeys(defaults, limits),
                unfit_nodes=tuple if nodes is None else nodes.unfit_now,
            )
    return Measurement(
        resources=resources,
        configs=dict([default, *others]),
        timings={name: timing for name, timing in timings.items() if name != RIVAL},
        ray_seconds=ray_seconds,
        process_seconds=process_seconds,
        curve=curves[DEFAULT],
        rival_curve=curves.get(RIVAL),
    )


def _nodes_with_data(plan: Plan) -> ClusterNodes:
    needs = Needs(
        base=CarriedConfig(plan.base, plan.references), fingerprint=plan.data_fingerprint, references=plan.references
    )
    nodes = ClusterNodes(needs)
    nodes.wait()
    return nodes


def _pilot_limits(plan: Plan, pilot_seconds: float, num_runs: int, resources: TrialResources) -> PilotLimits:
    """Limits of one pilot run; with a single slot, the pilot runs share the time."""
    return PilotLimits(
        most_seconds=pilot_seconds / num_runs if resources.concurrent == 1 else pilot_seconds,
        trivial=None if plan.trivial is None else plan.trivial.objective,
        sign=sign_of(plan.space.mode),
    )


def extremes(plan: Plan) -> dict[str, RunConfig]:
    """The default, and the smallest and largest of many drawn configurations by batch size times parameters.

    For a user's own loop only the default: only a task knows what is small or large.
    """
    default = plan.first_configs[0]
    drawn = [config for config in drawn_configs(plan) if isinstance(config, TrialConfig)]
    if not drawn:
        return {DEFAULT: default}
    sizes = {(config.model, config.batch_size): config for config in drawn}
    ordered = sorted(sizes.values(), key=lambda config: config.batch_size * num_parameters(config))
    return {DEFAULT: default, "smallest": ordered[0], "largest": ordered[-1]}


def drawn_configs(plan: Plan) -> list[RunConfig]:
    """Draws configurations of the space, with the ends of its ranges as often as the inside."""
    return [plan.config_of(ends_or_inside(seed)) for seed in range(NUM_DRAWS)]


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
    configs: Mapping[str, CarriedConfig],
    resources: TrialResources,
    limits: Mapping[str, PilotLimits | None],
    *,
    unfit_nodes: Callable[[], Sequence[str]],
) -> tuple[dict[str, StepTiming], float, dict[str, LearningCurve | None]]:
    """Times each configuration in a fresh process, with all slots busy as in a search.

    With more slots than configurations, some are repeated only to keep the other slots busy. Also returns the seconds
    that a process takes before it trains, measured on the first one, which gets a free slot, and the curves of those
    in a pilot run, the first ones.
    """
    cache_dir, began = str(default_cache_dir()), time.monotonic()
    rounds = math.ceil(len(configs) / resources.concurrent)
    names = list(islice(cycle(configs), rounds * resources.concurrent))
    calls = (
        (index, (configs[name], cache_dir, resources.device, limits[name] if index < len(limits) else None))
        for index, name in enumerate(names)
    )
    timings: dict[str, StepTiming] = {}
    curves: dict[str, LearningCurve | None] = {}
    process_seconds = 0.0
    for index, call in run_tasks(_time_steps, calls, resources, in_new_processes=True, unfit_nodes=unfit_nodes):
        if (error := call.exception()) is not None:
            cause = getattr(error, "cause", error)
            # The last line has the loop's message and place; the user's frames come before it.
            said = str(cause).splitlines()[-1] if isinstance(cause, LoopError) else formatting.one_line(str(cause))
            raise ValueError(f"A timed training failed: {said}") from error
        timing, trained_seconds, curve = call.result()
        if index < len(configs):
            timings[names[index]] = timing
        if index < len(limits):
            curves[names[index]] = curve
        if index == 0:
            process_seconds = time.monotonic() - began - trained_seconds
    return {name: timings[name] for name in configs}, process_seconds, curves


def _time_steps(
    carried: CarriedConfig, cache_dir: str, device: str, limits: PilotLimits | None
) -> tuple[StepTiming, float, LearningCurve | None]:
    """Returns the timing, the total seconds after opening the data, and the curve of a pilot run."""
    torch.set_num_threads(assigned_cpus())
    config = carried.read()
    workload = get_workload(config.workload)
    data = workload.open_data(config, cache_dir=Path(cache_dir))
    began, on = time.monotonic(), torch.device(device)
    if not isinstance(config, TrialConfig):
        return time_epoch(workload, config, data, device=on), time.monotonic() - began, None
    timing, curve = time_steps(config, data, device=on), None
    if limits is not None:
        # The steps have taken some of its time.
        left = replace(limits, most_seconds=limits.most_seconds - (time.monotonic() - began))
        curve = pilot_run(
            workload,
            config,
            data,
            left,
            device=on,
            updates_per_epoch=timing.updates_per_epoch,
            epoch_seconds=timing.epoch_seconds,
        )
    return timing, time.monotonic() - began, curve
