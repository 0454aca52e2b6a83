"""Starts Ray on this machine or joins a cluster, and allocates resources to trials."""

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trainable.configuration.reference import Reference
from trainable.console.process import silence_loggers
from trainable.reporting.tracking import QUIET
from trainable.reporting.waiting import Waiting
from tuner import formatting
from tuner.ray.address import TOKEN_VARIABLES, token_file
from tuner.ray.compat import (
    PACKAGES,
    CoreLogLevel,
    inherited_environment,
    job_with_own_packages_first,
    set_core_log_level,
)
from tuner.ray.head_watch import head_watched
from tuner.ray.nodes import check_nodes, shipped_code
from tuner.ray.signals import restored_signal_handlers, signals_as_ctrl_c, signals_ignored
from tuner.ray.starting import PATIENCE, start_ray
from tuner.ray.temporary_folder import full_disk_named, remove_abandoned, remove_ray_folder, temporary_ray_folder
from tuner.records import TrialResources
from tuner.settings import SearchSettings, option_of

logger = logging.getLogger(__name__)

ENVIRONMENT = {
    # Inherited by trial processes: glibc keeps a step's memory for the next one, which saves 25 % of the time on a CPU.
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    # Set by Tune for trial processes.
    "PL_DISABLE_FORK": "1",
    # Ray reads these on import or when a search starts; a user's own values are kept.
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray starts its processes at priority 15, where trials get a thirtieth of a core beside another program.
    "RAY_worker_niceness": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Ray's own state is scratch: save it once, at the end.
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    # Ctrl-C and SIGTERM end the search at once: everything is recorded.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # Start all slots at once, because the policy counts them; for a custom searcher Ray would start one at a time.
    "TUNE_MAX_PENDING_TRIALS_PG": "10000",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "3600",
    **PATIENCE,
}
SET_BY_A_SEARCH = frozenset({*ENVIRONMENT, *QUIET, "OPENBLAS_NUM_THREADS", "PYTHONBREAKPOINT", "CRC32C_SW_MODE"})
"""Variables set by a search, its trackers, Ray and Ray's imports; so is every variable that begins with RAY_."""
LOGGERS = ("ray", "ray.tune", "ray.train")
"""Loggers that are silent without --verbose; Ray's errors are still raised."""
NODE_CHECK_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningRay:
    """A running cluster."""

    dashboard: str
    """Address of its dashboard and how to log in; empty if it has none."""
    scratch: Path
    """Folder on this machine for Ray's own files."""
    is_joined: bool = False
    """It ran before, and its nodes may come and go."""


def dashboard_in_words(url: str | None) -> str:
    """Its address and, where Ray has a token, the place of the token that the dashboard asks for."""
    if not url:
        return ""
    given = [name for name in TOKEN_VARIABLES if name in os.environ]
    places = given or (["~/.ray/auth_token"] if token_file().is_file() else [])
    return f"http://{url} (asks for the token in {places[0]})" if places else f"http://{url}"


@contextmanager
def restored_environment() -> Iterator[None]:
    """Restores the variables that a search and Ray set on exit. All others are left alone, because a notebook may set
    some while a search runs in one of its threads."""
    former = dict(os.environ)
    try:
        yield
    finally:
        for name in former.keys() | os.environ.keys():
            if name.startswith("RAY_") or name in SET_BY_A_SEARCH:
                if name in former:
                    os.environ[name] = former[name]
                else:
                    os.environ.pop(name, None)


@contextmanager
def ray_running(
    address: str | None,
    *,
    num_cpus: int | None = None,
    num_gpus: int | None = None,
    references: Sequence[Reference] = (),
    verbose: bool = False,
) -> Iterator[RunningRay]:
    """Runs Ray inside this context. Leaves no file, environment variable or signal handler behind.

    Args:
        address: of a running cluster, as `cluster_address` returns it; None starts Ray on this machine.
        num_cpus: CPUs of this machine for trials; None is all that this process may use.
        num_gpus: its GPUs for trials; None is all that it sees.
        references: the user's own objects, whose modules the nodes of a running cluster get.

    Raises:
        ValueError: no cluster answers at `address`, a node of it can't run a trial, or Ray does not start here.
    """
    with restored_environment(), restored_signal_handlers(), ExitStack() as watched:
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        import ray

        own_folder = temporary_ray_folder()
        options: dict[str, Any] = {"log_to_driver": verbose, "logging_level": "INFO" if verbose else "ERROR"}
        options["job_config"] = job_with_own_packages_first()
        least = CoreLogLevel.INFO if verbose else CoreLogLevel.FATAL
        set_core_log_level(least)
        try:
            with silence_loggers(*() if verbose else LOGGERS, level=logging.CRITICAL):
                with Waiting("Starting Ray" if address is None else f"Joining Ray at {address}"):
                    context = (
                        start_ray(num_cpus=num_cpus, num_gpus=num_gpus, _temp_dir=str(own_folder / "r"), **options)
                        if address is None
                        else _join(address, references, **options)
                    )
                # Starting Ray has set it to INFO.
                set_core_log_level(least)
                head = ray.get_runtime_context().gcs_address
                if address is not None:
                    # Until Ray has been left, which hangs without a head.
                    advice = "start a cluster, and continue with --resume"
                    watched.enter_context(head_watched(head, advice=advice))
                # Ray writes its cluster's token readable for every user of the machine.
                if token_file().is_file():
                    token_file().chmod(0o600)
                environment = nullcontext() if address else inherited_environment()
                watch = nullcontext() if address else head_watched(head)
                with signals_as_ctrl_c(), environment, full_disk_named(own_folder), watch:
                    dashboard = dashboard_in_words(context.dashboard_url)
                    yield RunningRay(dashboard=dashboard, scratch=own_folder / "tune", is_joined=address is not None)
        finally:
            with signals_ignored(), Waiting("Ending Ray"):
                ray.shutdown()
                set_core_log_level(CoreLogLevel.INFO)
                remove_ray_folder(own_folder)
                # That of a search killed before this one is not in use any more.
                remove_abandoned(own_folder.parent)


class LocalNode:
    """Ray's process on this machine; if it dies, a search can't start anything and would wait for ever."""

    def __init__(self) -> None:
        import ray

        self._id, self._looked = ray.get_runtime_context().get_node_id(), time.monotonic()

    def is_lost(self) -> bool:
        """Whether Ray has lost this node; checks at most every NODE_CHECK_SECONDS."""
        if time.monotonic() - self._looked < NODE_CHECK_SECONDS:
            return False
        import ray

        self._looked = time.monotonic()
        return not any(node["Alive"] for node in ray.nodes() if node["NodeID"] == self._id)


def node_resources() -> list[Mapping[str, float]]:
    """Resources of each machine of the running cluster."""
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def allocate_resources(settings: SearchSettings, nodes: Sequence[Mapping[str, float]]) -> TrialResources:
    """Resources per trial, by default one GPU per process if there are any, else one CPU.

    More trials at a time than a cluster has room for wait for nodes: they are what an autoscaler adds some for.

    Raises:
        ValueError: a trial, or on this machine all of them, need more than there is: Ray would wait without end.
    """
    cpus, gpus = (sum(node.get(resource, 0.0) for node in nodes) for resource in ("CPU", "GPU"))
    gpu = settings.gpus_per_trial
    if settings.device == "cuda" and not gpus:
        raise ValueError("--device is cuda, but there is no CUDA GPU; give --device cpu, or leave it out.")
    if settings.device == "mps":
        # Brings in torch.
        from trainable.run_setup import chosen_device

        chosen_device("mps")
    if settings.device in ("cpu", "mps"):
        gpu = 0.0
    if gpu is None:
        gpu = float(settings.ranks_per_trial or 1) if gpus else 0.0
    ranks = settings.ranks_per_trial or max(1, int(gpu))
    cpu = settings.cpus_per_trial or max(float(ranks), _cpus_beside(gpu, nodes))
    check_room(cpu, gpu, nodes)
    room = num_trials_with_room(cpu, gpu, nodes)
    # The trials would share the one Apple GPU.
    concurrent = settings.concurrent or (1 if settings.device == "mps" else room)
    if concurrent > room:
        there = f"{formatting.count(cpus, 'CPU')} and {formatting.count(gpus, 'GPU')}"
        has_room = f"--concurrent is {concurrent}, but {there} have room for {formatting.count(room, 'trial')}"
        if settings.address is None:
            raise ValueError(f"{has_room}; give at most that.")
        logger.warning("%s: the others wait until nodes join", has_room)
    at_once = min(concurrent, settings.num_trials)
    return TrialResources(
        concurrent=at_once,
        cpus_per_trial=cpu,
        gpus_per_trial=gpu,
        ranks_per_trial=ranks,
        follows_cluster=settings.concurrent is None and settings.device != "mps",
        mps=settings.device == "mps",
    )


def resources_here(recorded: TrialResources, nodes: Sequence[Mapping[str, float]]) -> TrialResources:
    """Resources of a continued search: if the user did not say how many trials at a time, as many as have room now.

    Raises:
        ValueError: no machine has room for a trial.
    """
    check_room(recorded.cpus_per_trial, recorded.gpus_per_trial, nodes)
    if not recorded.follows_cluster:
        return recorded
    return replace(recorded, concurrent=num_trials_with_room(recorded.cpus_per_trial, recorded.gpus_per_trial, nodes))


def check_room(cpus_per_trial: float, gpus_per_trial: float, nodes: Sequence[Mapping[str, float]]) -> None:
    """Raises ValueError when a trial needs more than any machine has, which Ray would wait for without end."""
    asked = {"cpus_per_trial": ("CPU", cpus_per_trial), "gpus_per_trial": ("GPU", gpus_per_trial)}
    for setting, (resource, wanted) in asked.items():
        there = max((node.get(resource, 0.0) for node in nodes), default=0.0)
        if wanted > there:
            raise ValueError(
                f"{option_of(setting)} is {wanted:g}, but Ray has {there:g} {resource}s here; give at most that, or "
                "use machines that have more."
            )
    if not num_trials_with_room(cpus_per_trial, gpus_per_trial, nodes):
        needed = f"{formatting.count(cpus_per_trial, 'CPU')} and {formatting.count(gpus_per_trial, 'GPU')}"
        raise ValueError(
            f"A trial needs {needed}, but no single machine of the cluster "
            "has both; give smaller --cpus-per-trial or --gpus-per-trial."
        )


def num_trials_with_room(cpus_per_trial: float, gpus_per_trial: float, nodes: Sequence[Mapping[str, float]]) -> int:
    """Trials at a time. A share must fit on one GPU: 0.4 fits twice on each, not five times on two."""
    room = 0
    for node in nodes:
        by_cpu = by_gpu = _shares(node.get("CPU", 0.0), cpus_per_trial)
        if gpus_per_trial:
            gpus = node.get("GPU", 0.0)
            by_gpu = _shares(gpus, gpus_per_trial) if gpus_per_trial > 1 else int(gpus * _shares(1.0, gpus_per_trial))
        room += min(by_cpu, by_gpu)
    return room


def _shares(amount: float, share: float) -> int:
    """Number of shares that fit, in ten-thousandths as Ray counts: with floats, 1 // 0.2 is 4."""
    return round(amount * 10_000) // max(1, round(share * 10_000))


def _cpus_beside(gpu: float, nodes: Sequence[Mapping[str, float]]) -> float:
    """CPUs per trial that go with its GPUs, on the machine with the fewest CPUs per GPU."""
    has_room = (node for node in nodes if node.get("GPU", 0.0) >= max(gpu, 1e-9))
    shares = [_shares(node.get("CPU", 0.0) * gpu, node["GPU"]) for node in has_room]
    return float(max(1, min(shares))) if gpu and shares else 1.0


def _join(address: str, references: Sequence[Reference], **options: Any) -> Any:
    import ray

    try:
        context = ray.init(address=address, runtime_env=shipped_code(PACKAGES, references), **options)
    except ConnectionError as error:
        raise ValueError(f"No Ray cluster answers: {error}. Start one, or leave --address out.") from error
    check_nodes(references=references)
    return context
