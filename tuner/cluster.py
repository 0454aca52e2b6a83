"""Ray: started quietly on this machine or joined, and what a trial gets of it."""

import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuner.settings import SearchSettings, option_of

ENVIRONMENT = {
    # Trial processes inherit these: glibc keeps the memory of a step for the next one, a quarter of the time on a CPU.
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    # Ray reads these when it is imported or when a search begins; a user's own value is kept.
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "3600",
}
CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """How the cluster is shared out."""

    concurrent: int
    cpus_per_trial: float
    gpus_per_trial: float

    @property
    def device(self) -> str:
        return "cuda" if self.gpus_per_trial else "cpu"

    def __str__(self) -> str:
        gpu = f" and {self.gpus_per_trial:g} GPU" if self.gpus_per_trial else ""
        return f"{self.concurrent} trials at a time, {self.cpus_per_trial:g} CPU{gpu} each"


@contextmanager
def ray_running(address: str | None, *, verbose: bool = False) -> Iterator[str]:
    """Ray inside this context; yields the address of its dashboard. A local cluster leaves nothing behind.

    Raises:
        ValueError: no cluster answers at `address`.
    """
    if address is not None:
        _check_address(address)
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    if not verbose:
        for name in ("ray", "ray.tune", "ray.train"):
            logging.getLogger(name).setLevel(logging.ERROR)
    own_folder = None if address else Path(tempfile.mkdtemp(prefix="ray-"))
    options = {"address": address} if address else {"_temp_dir": str(own_folder), "include_dashboard": True}
    try:
        context = _begun(log_to_driver=verbose, logging_level="INFO" if verbose else "ERROR", **options)
        _protect_token()
        yield f"http://{context.dashboard_url}" if context.dashboard_url else ""
    finally:
        ray.shutdown()
        if own_folder is not None:
            shutil.rmtree(own_folder, ignore_errors=True)


def share_out(settings: SearchSettings, available: dict[str, float]) -> Slots:
    """Slots that suit the cluster's resources: a GPU for each trial where there are any, else a CPU.

    Raises:
        ValueError: more was asked for than there is, which Ray would wait for without end.
    """
    cpus, gpus = available.get("CPU", 0.0), available.get("GPU", 0.0)
    gpu = settings.gpus_per_trial if settings.gpus_per_trial is not None else min(1.0, gpus)
    cpu = settings.cpus_per_trial or (max(1.0, cpus * gpu // gpus) if gpu and gpus else 1.0)
    check_room(cpu, gpu, available)
    # A trial's share lies on one GPU: 0.4 fits twice into each, not five times into two.
    room = int(min([cpus // cpu] + ([gpus * int(1 / gpu)] if gpu else [])))
    concurrent = settings.concurrent or room
    if concurrent > room:
        raise ValueError(
            f"--concurrent is {concurrent}, but {cpus:g} CPUs and {gpus:g} GPUs have room for {room} trials; give at "
            "most that."
        )
    return Slots(concurrent=min(concurrent, settings.num_trials), cpus_per_trial=cpu, gpus_per_trial=gpu)


def check_room(cpus_per_trial: float, gpus_per_trial: float, available: dict[str, float]) -> None:
    """Raises ValueError when a trial takes more than there is, which Ray would wait for without end."""
    asked = {"cpus_per_trial": ("CPU", cpus_per_trial), "gpus_per_trial": ("GPU", gpus_per_trial)}
    for setting, (resource, wanted) in asked.items():
        there = available.get(resource, 0.0)
        if wanted > there:
            raise ValueError(
                f"{option_of(setting)} is {wanted:g}, but Ray has {there:g} {resource}s here; give at most that, or "
                "use machines that have more."
            )


def _begun(**options) -> Any:
    import ray

    try:
        return ray.init(**options)
    except ConnectionError as error:
        raise ValueError(f"No Ray cluster answers: {error}. Start one, or leave --address out.") from error


def _check_address(address: str) -> None:
    """Ray itself would wait for minutes where nothing listens."""
    if address in ("auto", "local"):
        return
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (host and colon and port.isdecimal()):
        raise ValueError(f"--address is {address!r}; give host:port of a running Ray cluster, such as 10.0.0.1:6379.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ValueError(f"Nothing answers at {address} ({error}); start Ray there, or leave --address out.") from error


def _protect_token() -> None:
    """Ray writes its cluster's password readable for everybody on the machine."""
    token = Path.home() / ".ray" / "auth_token"
    if token.is_file():
        token.chmod(0o600)
