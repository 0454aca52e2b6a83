"""One search from start to finish: Ray, trials, winner."""

import logging
import sys
from contextlib import closing, suppress
from pathlib import Path

import optuna
import ray

from trainable.config import to_dict
from trainable.data.image_cache import default_cache_dir
from trainable.handover import current_versions
from trainable.messages import silenced
from trainable.tracking import tracker_errors
from tuner.confirm import confirm
from tuner.confirm_progress import say_run
from tuner.finish import finish
from tuner.listeners.dispensable import Dispensable
from tuner.listeners.study_copy import FILE as STUDY
from tuner.listeners.study_copy import StudyCopy
from tuner.listeners.tensorboard import FOLDER as BOARDS
from tuner.listeners.tensorboard import TensorBoards
from tuner.listeners.throttled_view import ThrottledView
from tuner.listeners.trackers import TrialTrackers
from tuner.live_view import make_view
from tuner.plan import Plan, extended, recorded_plan
from tuner.ray.cluster import RunningRay, allocate_resources, check_room, node_resources, ray_running
from tuner.ray.tuner import run_legs
from tuner.records import RecordedSettings, Recorder, TrialResources, locked
from tuner.records.checkpoints import remove_leftovers
from tuner.records.code_version import code_commit, code_version
from tuner.records.settings import FORMAT
from tuner.session import Limits, open_session
from tuner.settings import SearchSettings

logger = logging.getLogger(__name__)


def run_search(settings: SearchSettings, plan: Plan, *, verbose: bool = False) -> int:
    """Searches as planned, into `settings.folder`, and finishes; returns the exit status.

    Raises:
        ValueError: the cluster cannot be reached or is too small, or the folder already holds a search.
    """
    folder = settings.folder.absolute()
    limits = Limits(seconds=settings.time_budget_seconds, disk_bytes=settings.disk_budget_bytes)
    with ray_running(settings.address, verbose=verbose) as cluster:
        resources = allocate_resources(settings, node_resources())
        total = ray.cluster_resources()
        logger.info("%s, of %g CPUs and %g GPUs", resources, total.get("CPU", 0), total.get("GPU", 0))
        folder.mkdir(parents=True, exist_ok=True)
        recorded = recorded_settings(settings, plan, resources)
        with locked(folder), closing(Recorder.create(folder, recorded, past_trials=plan.past_trials)) as recorder:
            return _search(recorder, plan, limits, cluster)


def resume_search(
    folder: Path, *, more: int | None = None, address: str | None = None, limits: Limits, verbose: bool = False
) -> int:
    """Continues a search from its records, under the limits of this session, and finishes; returns the exit status.

    Args:
        more: so many more trials in a search that is over.

    Raises:
        ValueError: the folder holds no search or a damaged one, or the cluster is too small.
    """
    folder = folder.absolute()
    with locked(folder), closing(Recorder.resume(folder)) as recorder:
        search = recorder.record
        settings, plan = search.settings, recorded_plan(search.settings)
        if more is not None:
            known = [one.answers for one in (*search.trials, *search.past_trials)]
            settings = extended(settings, plan, more=more, known=known)
        with ray_running(address, verbose=verbose) as cluster:
            resources = settings.resources
            check_room(resources.cpus_per_trial, resources.gpus_per_trial, node_resources())
            budget = settings.disk_budget_bytes if limits.disk_bytes is None else limits.disk_bytes
            recorder.change(
                num_trials=settings.num_trials, first_answers=settings.first_answers, disk_budget_bytes=budget
            )
            return _search(recorder, plan, limits, cluster)


def recorded_settings(settings: SearchSettings, plan: Plan, resources: TrialResources) -> RecordedSettings:
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
        situation=plan.situation,
        first_answers=plan.first_answers,
        warm_start=None if settings.warm_start is None else str(settings.warm_start),
        track=settings.track,
        base_config=to_dict(plan.base),
        versions=current_versions() | {"ray": ray.__version__},
    )


def _search(recorder: Recorder, plan: Plan, limits: Limits, cluster: RunningRay) -> int:
    """From what is on record to the end of the search, or of this session; returns the exit status.

    The way is the same for a new search, whose records are empty, and for one that continues.
    """
    folder, search = recorder.folder, recorder.record
    remove_leftovers(folder, search)
    search.time_budget_seconds = limits.seconds
    # Optuna tells of each new study.
    with silenced(optuna.logging.get_logger("optuna").name):
        is_complete = _run_session(recorder, plan, limits, cluster)
    if is_complete and search.settings.confirm and search.winner is not None:
        # Interrupted, it leaves the rest to a resume.
        with suppress(KeyboardInterrupt):
            confirm(folder, top=search.settings.confirm, on_run=say_run)
    status = finish(folder, search)
    if status == 0:
        recorder.finish()
    return status


def _run_session(recorder: Recorder, plan: Plan, limits: Limits, cluster: RunningRay) -> bool:
    """Trains until nothing is left or the session is stopped; whether all trials have ended."""
    folder, search = recorder.folder, recorder.record
    session = open_session(recorder, plan.pinned, seconds=limits.seconds)
    view = ThrottledView(make_view(sys.stdout, search, results=folder, dashboard=cluster.dashboard))
    recorder.listen([*_copies(recorder, plan), view])
    try:
        run_legs(
            session,
            search.settings,
            plan.base,
            cache_dir=default_cache_dir(),
            scratch=cluster.scratch,
            on_step=view.catch_up,
        )
    except KeyboardInterrupt:
        session.stop("Interrupted: finished epochs are saved.")
    finally:
        recorder.stop_listening()
    session.close()
    return session.stop_reason is None and not search.is_unfinished


def _copies(recorder: Recorder, plan: Plan) -> list[Dispensable]:
    """What is made of the search for other people's tools."""
    folder, search, track = recorder.folder, recorder.record, recorder.record.settings.track
    copies = [
        Dispensable(
            f"The copy for Optuna ({STUDY})",
            lambda: StudyCopy(folder, search, plan.pinned),
            remedy="the next --resume writes it anew",
        ),
        Dispensable(
            "TensorBoard",
            lambda: TensorBoards(folder, search),
            remedy=f"delete {BOARDS}/, and the next --resume writes it anew",
        ),
    ]
    if track:
        copies.append(
            Dispensable(
                f"Tracking by {' and '.join(track)}",
                lambda: TrialTrackers(track, folder, search),
                remedy="the next --resume adds what is missing",
                errors=tracker_errors(track),
            )
        )
    return copies
