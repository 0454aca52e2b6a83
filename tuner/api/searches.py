"""Starts and continues searches, for scripts, notebooks and the commands."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from trainable.console import process
from trainable.console.process import collector_paused
from trainable.remote.uri import is_uri
from trainable.reporting.waiting import Waiting
from tuner.api.keywords import SearchOptions, path_of, settings_from
from tuner.planning.places import check_places
from tuner.ray.cluster import restored_environment
from tuner.records.settings import read_settings
from tuner.settings import DEFAULT_SPACE, SearchSettings

if TYPE_CHECKING:
    from tuner.api.result import SearchResult
    from tuner.budget.measurement import Measurement
    from tuner.planning.plan import Plan
    from tuner.storage.lease import Lease


def search(space: str = "moe", *, verbose: bool = False, **options: Unpack[SearchOptions]) -> "SearchResult":
    """Searches for a better training configuration, confirms the best on other seeds, and exports one.

    Works in a script, a notebook and a thread, and shows its progress there. Ctrl-C, or Stop in a notebook, ends it
    early with all finished epochs saved; `resume` continues it.

    Args:
        space: name of the search space, such as "moe".
        verbose: show Ray's own messages too.
        options: every option of `vision-tuner search`, by keyword.

    Returns:
        The result, as `load` reads it from the results folder.

    Raises:
        ValueError: an unknown keyword, a value that is not allowed, or data that cannot be used; nothing was trained.
    """
    with environment():
        settings = settings_from(space, options)
        check_places(settings)
        load_libraries()
        return run(settings, verbose=verbose)


def resume(
    folder: str | Path,
    *,
    trials: int | None = None,
    time_budget_seconds: float | None = None,
    disk_budget: str | None = None,
    address: str | None = None,
    num_cpus: int | None = None,
    num_gpus: int | None = None,
    verbose: bool = False,
) -> "SearchResult":
    """Continues a search that was interrupted, or extends one that is finished.

    Args:
        folder: its results, results/<space>/<run>, or the address of the copy of them, such as s3://bucket/...
        trials: so many more trials, for a finished search.
        time_budget_seconds: total time over all its sessions, without the confirmation; None is no limit.
        disk_budget: limit for all its checkpoints from now on, such as "20G"; None keeps the recorded one.
        address: a running Ray cluster, host:port; None starts Ray here.
        num_cpus: CPUs of this machine for all trials; None is all that the process may use.
        num_gpus: GPUs of this machine for all trials; None is all that the process sees.
        verbose: show Ray's own messages too.

    Raises:
        ValueError: the folder holds no search that can be continued in this way, or its data has changed.
    """
    given = {"time_budget_seconds": time_budget_seconds, "disk_budget": disk_budget, "address": address}
    given |= {"num_cpus": num_cpus, "num_gpus": num_gpus} | ({} if trials is None else {"trials": trials})
    with environment():
        checked = settings_from(DEFAULT_SPACE, given)
        if not is_uri(folder):
            folder = path_of(folder, "folder")
            read_settings(folder)
        load_libraries()
        return continue_from(
            folder,
            more=trials,
            seconds=checked.time_budget_seconds,
            disk_bytes=checked.disk_budget_bytes,
            address=checked.address,
            num_cpus=num_cpus,
            num_gpus=num_gpus,
            verbose=verbose,
        )


def run(settings: SearchSettings, *, verbose: bool = False, began: float | None = None) -> "SearchResult":
    """Checks, plans and runs a search; call it inside `environment`.

    Args:
        began: start of the command, by the monotonic clock; None is now.
    """
    settings, plan, _ = plan_search(settings, began=time.monotonic() if began is None else began)
    from tuner.api.result import load
    from tuner.run import run_search

    run_search(settings, plan, verbose=verbose)
    return load(settings.folder)


def plan_search(settings: SearchSettings, *, began: float) -> "tuple[SearchSettings, Plan, Measurement | None]":
    """The settings of a search with what was chosen for the user, its plan, and what that was measured from, if at all.

    Args:
        began: start of the command, by the monotonic clock.

    Raises:
        ValueError: the folder, a tracker, the data or a configuration cannot be used.
    """
    from trainable.reporting.tracking import check_trackers
    from tuner.budget.choice import fit_plan, like_the_earlier_search, pilot_seconds
    from tuner.budget.network_choice import choose_network
    from tuner.planning import preflight
    from tuner.planning.opened_data import open_for_search
    from tuner.planning.plan import limit_to_space, log_given, plan_on
    from tuner.planning.warm_start import with_earlier_search

    preflight.check_folder(settings.folder)
    if settings.copy is not None:
        from tuner.storage.fetched_search import check_store

        check_store(settings.copy)
    check_trackers(settings.track)
    settings = like_the_earlier_search(with_earlier_search(settings))
    with Waiting("Opening the data") as waiting:
        opened = open_for_search(settings, on_progress=waiting.count)
    plan = plan_on(opened, settings)
    log_given(plan)
    preflight.check_configurations(plan, settings.pinned, settings.ranges)
    preflight.check_limits(plan, settings)
    measured, pilot = None, pilot_seconds(settings, opened)
    if pilot is not None or settings.duration_seconds is not None:
        better = choose_network(settings, opened, plan, pilot_seconds=pilot)
        measured = better.measured
        settings, plan = fit_plan(better.settings, better.opened, better.plan, measured, began=began)
        preflight.check_configurations(plan, settings.pinned, settings.ranges)
    return limit_to_space(settings, plan), plan, measured


def continue_from(
    folder: str | Path,
    *,
    space: str | None = None,
    more: int | None,
    seconds: float | None,
    disk_bytes: int | None,
    address: str | None,
    num_cpus: int | None,
    num_gpus: int | None,
    verbose: bool,
) -> "SearchResult":
    """Continues a search, or extends it with `more` trials; with `space`, only one of that space. Call it inside
    `environment`.

    Args:
        folder: its results folder, or the URI of the copy of it, which is fetched.
    """
    from tuner.api.result import load
    from tuner.ending.restoring import restore
    from tuner.planning import preflight
    from tuner.run import resume_search

    with _fetch(folder) as (folder, lease):
        if more is None and restore(folder, space=space, lease=lease):
            return load(folder)
        preflight.check_continuation(folder, space=space, is_extended=more is not None, seconds=seconds)
        resume_search(
            folder,
            more=more,
            address=address,
            num_cpus=num_cpus,
            num_gpus=num_gpus,
            seconds=seconds,
            disk_bytes=disk_bytes,
            lease=lease,
            verbose=verbose,
        )
        return load(folder)


def load_libraries() -> None:
    """Imports torch and Ray, which takes seconds: call it when the settings are known to be right."""
    if "tuner.run" not in sys.modules:
        with Waiting("Loading torch and Ray"), collector_paused():
            import_module("tuner.run")


@contextmanager
def _fetch(folder: str | Path) -> "Iterator[tuple[Path, Lease | None]]":
    """The folder on this machine, and the right to continue the search in its store where the folder is a URI."""
    if not is_uri(folder):
        yield Path(folder), None
        return
    from tuner.storage.fetched_search import fetch_search
    from tuner.storage.lease import Lease

    lease = Lease(str(folder))
    try:
        yield fetch_search(lease.store, lease=lease), lease
    finally:
        lease.release()


@contextmanager
def environment() -> Iterator[None]:
    """Prepares the process for a search and restores it on exit. Enter it before Ray is imported."""
    from threadpoolctl import ThreadpoolController

    # The matrices of the predictions are small; several threads would wait for each other beside busy trials. NumPy is
    # loaded by now and SciPy may not be: the limit is for the one, the variable for the other.
    loaded = ThreadpoolController().select(internal_api="openblas")
    with restored_environment(), process.shown(), loaded.limit(limits=1):
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        yield
