"""Ray: started quietly on this machine or joined, and what a trial gets of it."""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tuner.settings import SearchSettings

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
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    if not verbose:
        for name in ("ray", "ray.tune", "ray.train"):
            logging.getLogger(name).setLevel(logging.ERROR)
    own_folder = None if address else Path(tempfile.mkdtemp(prefix="ray-"))
    options = {"address": address} if address else {"_temp_dir": str(own_folder), "include_dashboard": True}
    try:
        context = ray.init(log_to_driver=verbose, logging_level="INFO" if verbose else "ERROR", **options)
        _protect_token()
        yield f"http://{context.dashboard_url}" if context.dashboard_url else ""
    except ConnectionError as error:
        raise ValueError(f"No Ray cluster answers at {address}: {error}. Start one, or leave --address out.") from error
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
    _check_enough("GPUs", gpu, gpus)
    _check_enough("CPUs", cpu, cpus)
    room = int(min([cpus // cpu] + ([gpus / gpu] if gpu else [])))
    concurrent = settings.concurrent or room
    if concurrent > room:
        raise ValueError(
            f"concurrent is {concurrent}, but there is room for {room} trials ({cpus:g} CPUs, {gpus:g} GPUs)."
        )
    return Slots(concurrent=min(concurrent, settings.num_trials), cpus_per_trial=cpu, gpus_per_trial=gpu)


def _protect_token() -> None:
    """Ray writes its cluster's password readable for everybody on the machine."""
    token = Path.home() / ".ray" / "auth_token"
    if token.is_file():
        token.chmod(0o600)


def _check_enough(what: str, asked: float, available: float) -> None:
    if asked > available:
        raise ValueError(f"A trial asks for {asked:g} {what}, but the cluster has {available:g}; ask for less.")
