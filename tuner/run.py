"""One search from start to finish: Ray, trials, winner."""

import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import optuna
import ray

from trainable.config import to_dict
from trainable.data.image_cache import default_cache_dir
from trainable.handover import current_versions
from tuner.confirm import confirm
from tuner.confirm_progress import say_run
from tuner.finish import finish
from tuner.listeners.study_copy import StudyCopy
from tuner.listeners.tensorboard import TensorBoards
from tuner.listeners.throttled_view import ThrottledView
from tuner.listeners.trackers import TrialTrackers
from tuner.live_view import make_view
from tuner.plan import Plan, extended, recorded_plan
from tuner.policies import build_policy
from tuner.policy.candidates import SpaceSource
from tuner.ray.cluster import RunningRay, allocate_resources, check_room, node_resources, ray_running
from tuner.ray.tuner import run_legs
from tuner.records import RecordedSettings, Recorder, SearchRecord, TrialResources, locked
from tuner.records.checkpoints import remove_leftovers
from tuner.records.code_version import code_commit, code_version
from tuner.records.search_record import read_events
from tuner.records.settings import FORMAT
from tuner.retelling import retell
from tuner.session import Limits, Session
from tuner.settings import SearchSettings

logger = logging.getLogger(__name__)


def run_search(settings: SearchSettings, plan: Plan, *, verbose: bool = False) -> int:
    """Searches as planned, into `settings.folder`, and finishes; returns the exit status.

    Raises:
        ValueError: the cluster cannot be reached or is too small, or the folder already holds a search.
    """
    folder = settings.folder.absolute()
    limits = Limits(seconds=settings.time_budget_seconds, disk_bytes=settings.disk_budget_bytes)
    with ExitStack() as stack:
        with ray_running(settings.address, verbose=verbose) as cluster:
            resources = allocate_resources(settings, node_resources())
            total = ray.cluster_resources()
            logger.info("%s, of %g CPUs and %g GPUs", resources, total.get("CPU", 0), total.get("GPU", 0))
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder))
            recorder = Recorder.create(folder, described(settings, plan, resources), past_trials=plan.past_trials)
            recorder.close()
            search = _run_session(folder, plan, limits, cluster)
        return _finish(folder, search)


def resume_search(
    folder: Path, *, more: int | None = None, address: str | None = None, limits: Limits, verbose: bool = False
) -> int:
    """Goes on with a search from its records, under the limits of this session, and finishes; returns the exit status.

    Args:
        more: so many more trials in a search that is over.

    Raises:
        ValueError: the folder holds no search or a damaged one, or the cluster is too small.
    """
    folder = folder.absolute()
    with locked(folder):
        search, _ = read_events(folder)
        settings, plan = search.settings, recorded_plan(search.settings)
        if more is not None:
            known = [one.answers for one in (*search.trials, *search.past_trials)]
            settings = extended(settings, plan, more=more, known=known)
        with ray_running(address, verbose=verbose) as cluster:
            resources = settings.resources
            check_room(resources.cpus_per_trial, resources.gpus_per_trial, node_resources())
            with _closed(Recorder.resume(folder)) as recorder:
                budget = settings.disk_budget_bytes if limits.disk_bytes is None else limits.disk_bytes
                recorder.change(
                    num_trials=settings.num_trials,
                    first_answers=settings.first_answers,
                    disk_budget_bytes=budget,
                )
            search = _run_session(folder, plan, limits, cluster)
        return _finish(folder, search)


def described(settings: SearchSettings, plan: Plan, resources: TrialResources) -> RecordedSettings:
    """All that was asked for and all that was picked."""
    return RecordedSettings(
        format=FORMAT,
        version=code_version(),
        commit=code_commit(),
        name=settings.name,
        space=settings.space,
        objective=plan.space.objective,
        mode=plan.space.mode,
        policy=settings.policy,
        num_trials=settings.num_trials,
        max_epochs=plan.max_epochs,
        rung_epochs=plan.rungs,
        reduction_factor=plan.space.reduction_factor,
        seed=settings.seed,
        confirm=settings.confirm,
        resources=resources,
        disk_budget_bytes=settings.disk_budget_bytes,
        data=settings.data,
        data_fingerprint=plan.fingerprint,
        images=plan.images,
        image_size_px=plan.image_size_px,
        pinned=settings.pinned,
        pins=plan.pins,
        situation=asdict(plan.situation),
        first_answers=plan.first_answers,
        warm_start=None if settings.warm_start is None else str(settings.warm_start),
        track=settings.track,
        base_config=to_dict(plan.base),
        versions=current_versions() | {"ray": ray.__version__},
    )


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Without a line for each new study."""
    former = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(former)


@contextmanager
def _closed(recorder: Recorder) -> Iterator[Recorder]:
    try:
        yield recorder
    finally:
        recorder.close()


@_quiet_optuna()
def _run_session(folder: Path, plan: Plan, limits: Limits, cluster: RunningRay) -> SearchRecord:
    """One session from what is on record to its end, by itself or by Ctrl-C; the search as it stands then.

    The way is the same for a new search, whose records are empty, and for one that goes on.
    """
    search, events = read_events(folder)
    settings = search.settings
    policy = build_policy(settings, plan.pinned)
    unsettled = retell(events, policy, SpaceSource(plan.pinned), max_epochs=settings.max_epochs)
    remove_leftovers(folder, search)
    with _closed(Recorder.resume(folder)) as recorder:
        recorder.record.time_budget_seconds = limits.seconds
        view = ThrottledView(make_view(sys.stdout, recorder.record, results=folder, dashboard=cluster.dashboard))
        trackers = [TrialTrackers(settings.track, folder, recorder.record)] if settings.track else []
        copies = [StudyCopy(folder, recorder.record, plan.pinned), TensorBoards(folder, recorder.record)]
        recorder.listen([*copies, *trackers, view])
        recorder.open_session()
        session = Session(recorder, policy, unsettled=unsettled, seconds=limits.seconds)
        try:
            run_legs(
                session,
                settings,
                plan.base,
                cache_dir=default_cache_dir(),
                scratch=cluster.scratch,
                on_step=view.catch_up,
            )
        except KeyboardInterrupt:
            session.stop("Interrupted: finished epochs are saved.")
        session.close()
    _confirm(folder, recorder.record)
    return recorder.record


def _finish(folder: Path, search: SearchRecord) -> int:
    """Report and export; only with both written the search is finished."""
    status = finish(folder, search)
    if status == 0:
        with _closed(Recorder.resume(folder)) as recorder:
            recorder.finish()
    return status


def _confirm(folder: Path, search: SearchRecord) -> None:
    """Judges the best on the test split, once the search is complete; interrupted, it leaves the rest to a resume."""
    if search.settings.confirm and search.winner is not None and not search.is_unfinished:
        with suppress(KeyboardInterrupt):
            confirm(folder, top=search.settings.confirm, on_run=say_run)
