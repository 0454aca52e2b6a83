"""One search from start to finish: Ray and the trials; its end is in tuner/ending."""

import logging
import sys
from contextlib import ExitStack, closing
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import optuna

from trainable.config import to_dict
from trainable.console.process import silence_loggers
from trainable.reporting.tracking import tracker_errors
from trainable.workloads.exported_config import current_versions
from tuner import formatting
from tuner.baselines.beside import Baselines
from tuner.budget.disk import exportable_trials
from tuner.budget.stated_time import affordable_confirmation
from tuner.ending.steps import INTERRUPTED, confirm_and_show, finish, live_page
from tuner.listeners.dispensable import Dispensable
from tuner.listeners.study_copy import FILE as STUDY
from tuner.listeners.study_copy import StudyCopy
from tuner.listeners.tensorboard import FOLDER as BOARDS
from tuner.listeners.tensorboard import TensorBoards
from tuner.listeners.trackers import TrialTrackers
from tuner.planning.changed_space import ranges_in_words
from tuner.planning.plan import Plan, extend, plan_from_records
from tuner.ray.cluster import RunningRay, allocate_resources, node_resources, ray_running, resources_here
from tuner.ray.cluster_nodes import ClusterNodes, followed_nodes
from tuner.ray.signals import interrupt_again, restored_signal_handlers, signals_as_ctrl_c
from tuner.ray.tuner import run_legs
from tuner.records import ConfirmSeeds, RecordedSettings, Recorder, TrialResources, lock_folder
from tuner.records.checkpoints import remove_leftovers
from tuner.records.code_version import code_commit, code_version
from tuner.records.settings import FORMAT
from tuner.records.trivial import TRIVIAL
from tuner.session import open_session
from tuner.settings import SearchSettings
from tuner.storage.lease import Lease
from tuner.storage.mirror import Mirror, mirror_folder
from tuner.views.choice import make_view, starting_notices
from tuner.views.first_rung_notice import FirstRungNotice
from tuner.views.throttled_view import ThrottledView

logger = logging.getLogger(__name__)


def run_search(settings: SearchSettings, plan: Plan, *, verbose: bool = False) -> int:
    """Runs the planned search in `settings.folder`, then writes report and export; returns the exit status.

    Raises:
        ValueError: the cluster cannot be reached or is too small, or the folder already holds a search.
    """
    folder = settings.folder.absolute()
    with ExitStack() as held:
        machine = {"num_cpus": settings.num_cpus, "num_gpus": settings.num_gpus}
        with ray_running(settings.address, **machine, references=plan.references, verbose=verbose) as cluster:
            nodes = node_resources()
            resources = allocate_resources(settings, nodes)
            cpus, gpus = (sum(node.get(resource, 0.0) for node in nodes) for resource in ("CPU", "GPU"))
            logger.info("%s, of %s and %s", resources, formatting.count(cpus, "CPU"), formatting.count(gpus, "GPU"))
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(lock_folder(folder))
            recorded = recorded_settings(settings, plan, resources)
            recorder = held.enter_context(closing(Recorder.create(folder, recorded, past_trials=plan.past_trials)))
            if plan.trivial is not None:
                TRIVIAL.write(folder, "validation", plan.trivial)
            mirror = held.enter_context(mirror_folder(folder, recorded.store))
            _search(recorder, plan, cluster, mirror, seconds=settings.time_budget_seconds)
        return _report(recorder, mirror)


def resume_search(
    folder: Path,
    *,
    more: int | None = None,
    address: str | None = None,
    num_cpus: int | None = None,
    num_gpus: int | None = None,
    seconds: float | None = None,
    disk_bytes: int | None = None,
    lease: Lease | None = None,
    verbose: bool = False,
) -> int:
    """Continues a search from its records, then writes report and export; returns the exit status.

    Args:
        more: number of additional trials, for a finished search.
        address, num_cpus, num_gpus: as in `ray_running`.
        seconds: total run time of the search, over its sessions; None is no limit.
        disk_bytes: total size of its checkpoints from now on; None is the recorded limit.
        lease: of the URI that its folder is copied to from now on; None is the recorded URI.

    Raises:
        ValueError: the folder holds no search or a damaged one, or the cluster is too small.
    """
    folder = folder.absolute()
    with ExitStack() as held:
        held.enter_context(lock_folder(folder))
        recorder = held.enter_context(closing(Recorder.resume(folder)))
        search = recorder.record
        settings, plan = search.settings, plan_from_records(search.settings)
        store = settings.store if lease is None else lease.store
        mirror = held.enter_context(mirror_folder(folder, store, lease))
        if more is not None:
            known = [trial.answers for trial in search.trials] + [past.answers for past in search.past_trials]
            settings = extend(settings, plan, more=more, known=known)
        machine = {"num_cpus": num_cpus, "num_gpus": num_gpus}
        with ray_running(address, **machine, references=plan.references, verbose=verbose) as cluster:
            resources = _resources_here(settings)
            budget = settings.disk_budget_bytes if disk_bytes is None else disk_bytes
            stated, duration = (settings.stated_seconds, settings.duration_seconds) if more is None else (None, None)
            recorder.change(
                num_trials=settings.num_trials,
                resources=resources,
                first_answers=settings.first_answers,
                disk_budget_bytes=budget,
                stated_seconds=stated,
                duration_seconds=duration,
                store=store,
            )
            _search(recorder, plan, cluster, mirror, seconds=seconds)
        return _report(recorder, mirror)


def _resources_here(settings: RecordedSettings) -> TrialResources:
    """Returns the resources of a continued search on the running Ray, and logs a change."""
    resources = resources_here(settings.resources, node_resources())
    if resources.follows_cluster:
        resources = replace(resources, concurrent=min(resources.concurrent, settings.num_trials))
    if resources != settings.resources:
        logger.info("%s from now on", resources)
    return resources


def recorded_settings(settings: SearchSettings, plan: Plan, resources: TrialResources) -> RecordedSettings:
    """Builds the settings to record, both given and chosen."""
    user_sampler = settings.user_sampler
    return RecordedSettings(
        format=FORMAT,
        version=code_version(),
        commit=code_commit(),
        name=settings.name,
        space=plan.space.name,
        objective=plan.space.objective,
        mode=plan.space.mode,
        scheduler=settings.scheduler,
        sampler=settings.sampler if user_sampler is None else user_sampler.text,
        sampler_reference=user_sampler,
        num_trials=settings.num_trials,
        max_epochs=plan.max_epochs,
        rung_epochs=plan.rungs,
        reduction_factor=plan.space.reduction_factor,
        seed=settings.seed,
        confirm=settings.confirm,
        confirm_seeds=settings.confirm_seeds,
        resources=resources,
        stated_seconds=settings.duration_seconds,
        duration_seconds=settings.left_seconds,
        disk_budget_bytes=settings.disk_budget_bytes,
        data=settings.data,
        pinned=settings.pinned,
        space_ranges=ranges_in_words(plan.pinned_space.asked),
        first_answers=plan.first_answers,
        warm_start=None if settings.warm_start is None else str(settings.warm_start),
        limits=settings.limits,
        track=settings.track,
        store=settings.copy,
        base_config=to_dict(plan.base),
        versions=current_versions() | {"ray": version("ray")},
        **plan.space_and_data(),
    )


def _search(
    recorder: Recorder, plan: Plan, cluster: RunningRay, mirror: Mirror | None, *, seconds: float | None
) -> None:
    """Runs a session, and the confirmation when all trials have ended.

    A new search and a continued one take the same path: the records of a new one are empty.
    """
    folder, search = recorder.folder, recorder.record
    remove_leftovers(folder, search)
    nodes = followed_nodes(cluster, search.settings, plan.base, folder)
    unfit = tuple if nodes is None else nodes.unfit_now
    search.time_budget_seconds = seconds
    # Optuna logs each new study.
    with silence_loggers(optuna.logging.get_logger("optuna").name):
        is_complete = _run_session(recorder, plan, cluster, nodes, mirror, seconds=seconds)
    if is_complete and search.leader is not None:
        _keep_to_stated_time(recorder)
    if is_complete and search.settings.confirm and search.leader is not None:
        top, seeds = search.settings.confirm, search.settings.confirm_seeds
        check_held = (lambda: None) if mirror is None else mirror.check_held
        confirm_and_show(folder, search, top=top, seeds=seeds, on_wait=check_held, unfit_nodes=unfit)


def _keep_to_stated_time(recorder: Recorder) -> None:
    """Reduces the confirmation if the rest of a stated time is too short for the planned one."""
    settings = recorder.record.settings
    top, num_seeds = affordable_confirmation(recorder.record, recorder.elapsed)
    if top < settings.confirm:
        logger.info("The stated time is enough to confirm %d of the best, not %d.", top, settings.confirm)
    if num_seeds < settings.confirm_seeds.first:
        planned = settings.confirm_seeds.first
        logger.info("The stated time is enough for %s, not %d.", formatting.count(num_seeds, "seed"), planned)
        recorder.change(confirm_seeds=ConfirmSeeds(first=num_seeds, last=num_seeds))
    recorder.change(confirm=top)


def _report(recorder: Recorder, mirror: Mirror | None) -> int:
    """Writes report and export; returns the exit status. Runs after Ray, which exits the process of a lost node."""
    with restored_signal_handlers(), signals_as_ctrl_c():
        if mirror is not None:
            recorder.record.taken_over = mirror.taken_over
            mirror.fetch_checkpoints(exportable_trials(recorder.record))
        status = finish(recorder.folder, recorder.record)
    if status != INTERRUPTED:
        recorder.finish()
    return status


def _run_session(
    recorder: Recorder,
    plan: Plan,
    cluster: RunningRay,
    nodes: ClusterNodes | None,
    mirror: Mirror | None,
    *,
    seconds: float | None,
) -> bool:
    """Trains until nothing is left or the session is stopped; returns whether all trials have ended."""
    folder, search = recorder.folder, recorder.record
    session = open_session(recorder, plan.pinned_space, seconds=seconds)
    shown = make_view(sys.stdout, search, results=folder, dashboard=cluster.dashboard)
    view = ThrottledView(shown)
    baselines = Baselines(folder, search, "validation", unfit_nodes=tuple if nodes is None else nodes.unfit_now)
    recorder.listen([*_copies(recorder, plan), view, live_page(folder), FirstRungNotice(folder), baselines])
    recorder.listen(starting_notices(shown))

    def step() -> None:
        interrupt_again()
        view.catch_up()
        if mirror is not None and (reason := mirror.end_reason) is not None:
            session.stop(reason)

    try:
        run_legs(
            session,
            search.settings,
            plan.base,
            scratch=cluster.scratch,
            on_step=step,
            nodes=nodes,
        )
    except KeyboardInterrupt:
        session.stop("Stopping; finished epochs are saved.")
    finally:
        recorder.stop_listening()
    session.close()
    if session.stop_reason is None:
        baselines.finish()
    return session.stop_reason is None and not search.is_unfinished


def _copies(recorder: Recorder, plan: Plan) -> list[Dispensable]:
    """The listeners that copy the search to other tools."""
    folder, search, track = recorder.folder, recorder.record, recorder.record.settings.track
    copies = [
        Dispensable(
            f"The copy for Optuna ({STUDY})",
            lambda: StudyCopy(folder, search, plan.pinned_space),
            remedy="the next --resume rewrites it",
        ),
        Dispensable(
            "TensorBoard",
            lambda: TensorBoards(folder, search),
            remedy=f"delete {BOARDS}/, and the next --resume rewrites it",
        ),
    ]
    if track:
        copies.append(
            Dispensable(
                f"Tracking with {' and '.join(track)}",
                lambda: TrialTrackers(track, folder, search),
                remedy="the next --resume adds what is missing",
                errors=tracker_errors(track),
            )
        )
    return copies
