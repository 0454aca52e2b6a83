"""Starts Ray's processes on this machine, patiently: on a busy machine they take longer than Ray waits for them."""

import logging
import os
import secrets
from typing import Any

import psutil

from tuner import formatting
from tuner.ray.address import token_file
from tuner.ray.compat import on_loopback

ATTEMPTS = 2
_TOKEN = secrets.token_hex(32)
"""The same for all clusters of this process: Ray reads it once."""
PATIENCE = {"RAY_gcs_server_port_wait_time_s": "120", "RAY_DASHBOARD_STARTUP_TIMEOUT_S": "180"}
"""Seconds that Ray waits for its head process, 30 by itself, and for its dashboard, 60 by itself."""

_LONGEST = 300
"""Characters of a line of Ray's log in a sentence."""

logger = logging.getLogger(__name__)


def start_ray(*, num_cpus: int | None, num_gpus: int | None, **options: Any) -> Any:
    """Starts Ray here and returns its context.

    Args:
        num_cpus: CPUs for trials; None is what this process may use.
        num_gpus: GPUs for trials; None is what it sees.

    Raises:
        ValueError: it did not start, twice.
    """
    import ray

    # What taskset or Slurm left to this process; Ray itself knows a container's.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if num_cpus is None and allowed != os.cpu_count():
        num_cpus = allowed
    if not _can_keep_token():
        os.environ.setdefault("RAY_AUTH_TOKEN", _TOKEN)
    for attempt in range(1, ATTEMPTS + 1):
        before = set(psutil.Process().children(recursive=True))
        try:
            with on_loopback():
                # RAY_ADDRESS would send it elsewhere.
                return ray.init(
                    address="local",
                    include_dashboard=True,
                    num_cpus=num_cpus,
                    num_gpus=num_gpus,
                    **options,
                )
        except Exception as error:  # noqa: BLE001 - Ray raises no narrower class
            reason = _in_a_sentence(error)
            _end(set(psutil.Process().children(recursive=True)) - before)
            logger.warning("Ray did not start, attempt %d of %d: %s", attempt, ATTEMPTS, reason)
    raise ValueError(
        f"Ray did not start on this machine: {reason}. Wait until it is less busy and has memory to spare, or give "
        "--address of a running Ray; --verbose shows Ray's own messages."
    )


def _in_a_sentence(error: Exception) -> str:
    """Ray's words; of the log of its dashboard, which Ray raises where that one is late or ended, the last line."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    if not lines or "dashboard." not in lines[0]:
        return formatting.one_line(str(error)).removesuffix(".")
    last = formatting.one_line(lines[-1])[:_LONGEST].removesuffix(".")
    return f"its dashboard did not start; the end of its log is: {last}"


def _can_keep_token() -> bool:
    """Ray writes the token of its cluster into the home folder, and does not start where it can't."""
    if token_file().is_file():
        return True
    existing = next(folder for folder in token_file().parents if folder.exists())
    return existing.is_dir() and os.access(existing, os.W_OK)


def _end(processes: set[psutil.Process]) -> None:
    """Kills the processes of a failed attempt, which hold its memory and would outlive the command."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=10)
