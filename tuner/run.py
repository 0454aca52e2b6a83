"""One search from start to finish: Ray, trials, winner."""

import logging
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import ray
from ray import tune

from trainable.config import TrialConfig, to_dict
from trainable.data.image_cache import default_cache_dir
from trainable.handover import current_versions
from trainable.ray_trainable import OBJECTIVE, Trial
from trainable.tasks.registry import read_config
from tuner.ray.cluster import Slots, check_room, node_resources, ray_running, share_out, slots_of
from tuner.confirm import confirm
from tuner.confirm_progress import say_run
from tuner.extension import (
    RAY_FOLDER,
    PastTrial,
    extended_settings,
    latest_ray_folder,
    next_ray_folder,
    past_trials,
    settings_of,
)
from tuner.interruption import ctrl_c_given_back, full_disk_as_such, sigterm_as_ctrl_c
from tuner.live_view import make_view
from tuner.pairs import pair_of
from tuner.plan import Plan, plan_search
from tuner.ray_controller import patient_controller
from tuner.recorder import Recorder
from tuner.records import SearchRecord, read_search
from tuner.search_callback import Limits, SearchCallback, Watch
from tuner.settings import SearchSettings
from tuner.snapshot import is_whole, put_back
from tuner.trackers import tracker_callbacks

logger = logging.getLogger(__name__)

MAX_FAILURES = 2
"""How often in a row, without an epoch in between, a trial whose process died goes on from its last checkpoint."""


def run_search(settings: SearchSettings, plan: Plan, *, verbose: bool = False) -> SearchRecord:
    """Searches as planned, into `settings.folder`; returns what is on record when it ended or was interrupted.

    Raises:
        ValueError: the cluster cannot be reached or is too small, or the folder already holds a search.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder = settings.folder.absolute()
    with ray_running(settings.address, verbose=verbose) as dashboard, sigterm_as_ctrl_c():
        resources = ray.cluster_resources()
        slots = share_out(settings, node_resources())
        logger.info("%s, of %g CPUs and %g GPUs", slots, resources.get("CPU", 0), resources.get("GPU", 0))
        recorder = Recorder.create(folder, _described(settings, plan, slots))
        record = _fit(_tuner(settings, plan, slots, recorder), folder, dashboard, _limits(settings))
        return _confirmed(folder, record)


def resume_search(folder: Path, *, address: str | None = None, limits: Limits, verbose: bool = False) -> SearchRecord:
    """Goes on with an interrupted search where it stood, under the limits of this session.

    Raises:
        ValueError: the folder holds no search, or one that cannot be resumed.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder = folder.absolute()
    search = read_search(folder)
    said = search.settings
    if not (is_whole(latest_ray_folder(folder)) or put_back(latest_ray_folder(folder))):
        logger.info("Ray was killed while it wrote down where it stood: trials that had not ended begin anew.")
        return _in_new_run(folder, search, settings_of(search), address=address, limits=limits, verbose=verbose)
    base = read_config(said["base_config"])
    with ray_running(address, verbose=verbose) as dashboard, sigterm_as_ctrl_c():
        check_room(settings.resources.cpus_per_trial, settings.resources.gpus_per_trial, node_resources())
        tuner = tune.Tuner.restore(str(latest_ray_folder(folder)), _trainable(said, base), resume_unfinished=True)
        return _confirmed(folder, _fit(tuner, folder, dashboard, limits))


def extend_search(
    folder: Path, more: int, *, address: str | None = None, limits: Limits, verbose: bool = False
) -> SearchRecord:
    """Tries so many more configurations in a search that is over, knowing all that it found.

    Raises:
        ValueError: the folder holds no search, its data is no longer the same, or the cluster is too small.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder = folder.absolute()
    search = read_search(folder)
    settings = extended_settings(search, more)
    return _in_new_run(folder, search, settings, address=address, limits=limits, verbose=verbose)


def _in_new_run(
    folder: Path, search: SearchRecord, settings: SearchSettings, *, address: str | None, limits: Limits, verbose: bool
) -> SearchRecord:
    """Goes on in a run of Ray's of its own, whose proposer knows the trials that have ended."""
    plan, past, ray_folder = plan_search(settings), past_trials(folder, search), next_ray_folder(folder)
    with ray_running(address, verbose=verbose) as dashboard, sigterm_as_ctrl_c():
        check_room(search.settings.resources.cpus_per_trial, search.settings.resources.gpus_per_trial, node_resources())
        recorder = Recorder.resume(folder)
        recorder.extend(settings.num_trials)
        slots = search.settings.resources
        tuner = _tuner(settings, plan, slots, recorder, past=past, ray_name=ray_folder.name)
        return _confirmed(folder, _fit(tuner, folder, dashboard, limits))


def _confirmed(folder: Path, record: SearchRecord) -> SearchRecord:
    """Judges the best on the test split, once the search is complete; interrupted, it leaves the rest to a resume."""
    if record.settings.confirm and record.winner is not None and not record.is_unfinished:
        with suppress(KeyboardInterrupt):
            confirm(folder, top=record.settings.confirm, on_run=say_run)
    return record


def _fit(tuner: tune.Tuner, folder: Path, dashboard: str, limits: Limits) -> SearchRecord:
    SearchCallback.watch = Watch(make_view=partial(_view, folder=folder, dashboard=dashboard), limits=limits)
    with ctrl_c_given_back(), full_disk_as_such(), patient_controller():
        tuner.fit()
    return read_search(folder)


def _limits(settings: SearchSettings) -> Limits:
    return Limits(seconds=settings.time_budget_seconds, disk_bytes=settings.disk_budget_bytes)


def _tuner(
    settings: SearchSettings,
    plan: Plan,
    slots: Slots,
    recorder: Recorder,
    *,
    past: Sequence[PastTrial] = (),
    ray_name: str = RAY_FOLDER,
) -> tune.Tuner:
    num_new = settings.num_trials - len(past)
    proposer, scheduler, limits = pair_of(settings, plan, slots, recorder, num_new=num_new)
    proposer.learn([*plan.imported, *past])
    return tune.Tuner(
        _trainable(recorder.record.settings, plan.base),
        tune_config=tune.TuneConfig(
            metric=OBJECTIVE,
            mode=plan.space.mode,
            search_alg=proposer,
            scheduler=scheduler,
            reuse_actors=True,
            trial_dirname_creator=_trial_folder,
            **limits,
        ),
        run_config=tune.RunConfig(
            name=ray_name,
            storage_path=str(recorder.folder),
            callbacks=[
                SearchCallback(recorder, proposer, objective=OBJECTIVE, max_epochs=plan.max_epochs),
                *tracker_callbacks(settings.track, recorder.folder, search=f"{settings.space}/{settings.folder.name}"),
            ],
            checkpoint_config=tune.CheckpointConfig(num_to_keep=1, checkpoint_frequency=1),
            failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
            verbose=0,
        ),
    )


def _trainable(said: dict[str, Any], base: TrialConfig) -> Any:
    """The trial's class under a name that people find on the dashboard, with what every trial shares."""
    shared = {
        "base": base,
        "fingerprint": said["data_fingerprint"],
        "cache_dir": str(default_cache_dir()),
        "device": settings.resources.device,
        "search": said["name"],
    }
    slots = settings.resources
    bound = tune.with_resources(
        tune.with_parameters(Trial, **shared, ranks=slots.ranks_per_trial), _placement_of(slots)
    )
    # Both wrap the class in one of their own, under whose qualified name the dashboard would list it.
    bound.__name__ = bound.__qualname__ = f"{said['space'].title().replace('_', '')}Trial"
    return bound


def _placement_of(slots: Slots) -> tune.PlacementGroupFactory:
    """What a trial takes; of several processes each has its bundle, and the trial that sends them takes nothing."""
    one = {"CPU": slots.cpus_per_rank, "GPU": slots.gpus_per_rank}
    if slots.ranks_per_trial == 1:
        return tune.PlacementGroupFactory([one])
    return tune.PlacementGroupFactory([{}] + [one] * slots.ranks_per_trial, strategy="STRICT_PACK")


def _described(settings: SearchSettings, plan: Plan, slots: Slots) -> dict[str, Any]:
    """The settings file: all that was asked for and all that was picked."""
    space = plan.space
    return {
        **{name: str(value) if isinstance(value, Path) else value for name, value in asdict(settings).items()},
        **asdict(slots),
        "name": settings.folder.name,
        "device": slots.device,
        "objective": space.objective,
        "mode": space.mode,
        "max_epochs": plan.max_epochs,
        "rung_epochs": list(plan.rungs),
        "reduction_factor": space.reduction_factor,
        "data_fingerprint": plan.fingerprint,
        "images": plan.images,
        "image_size_px": list(plan.image_size_px),
        "base_config": to_dict(plan.base),
        "versions": current_versions() | {"ray": ray.__version__},
    }


def _view(search: SearchRecord, *, folder: Path, dashboard: str):
    return make_view(sys.stdout, search, results=folder, dashboard=dashboard)


def _trial_folder(trial: tune.experiment.Trial) -> str:
    return trial.trial_id
