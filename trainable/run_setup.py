"""Builds a run from a configuration: its device, its initial weights and its data, which must be unchanged."""

import logging
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch

from trainable.config import TrialConfig
from trainable.configuration.run_config import RunConfig
from trainable.reporting.output_folder import initial_weights
from trainable.run import Run
from trainable.techniques.parallel.data_parallel import Ranks
from trainable.workloads.exported_config import ExportedConfig
from trainable.workloads.registry import get_workload

logger = logging.getLogger(__name__)


def started_from(config: TrialConfig, given: Path) -> TrialConfig:
    """The configuration with these initial weights; whether they fit is checked when the network is built."""
    path = initial_weights(given)
    has_field = (
        any(field.name == "weights" for field in fields(config.model))
        and getattr(config.model, "network", None) is None
    )
    model = replace(config.model, weights=path) if has_field else config.model
    return replace(config, model=model, init_weights=path)


def open_run(exported: ExportedConfig, device: str = "auto", *, ranks: Ranks | None = None) -> Run:
    """The run of a configuration before its first epoch; refuses data that differs from the fingerprint.

    Without a fingerprint the data is new on purpose, and the configuration is adapted to it.
    """
    chosen = chosen_device(device)
    config, expected = exported.config, exported.data_fingerprint
    workload, data = get_workload(config.workload), open_data(config, expected)
    if not expected:
        config = workload.adapt_to_data(config, data)
    return workload.begin(config, data, device=chosen, ranks=ranks)


def open_data(config: RunConfig, expected: Mapping[str, str]) -> Any:
    """The data of a configuration.

    Raises:
        ValueError: it can't be used, or its fingerprint is not the expected one; an empty one accepts any data.
    """
    source, workload = config.data.source, get_workload(config.workload)
    try:
        splits = workload.open_data(config, on_progress=_log_preparation)
    except ValueError as error:
        is_gone = source is not None and Path(source).is_absolute() and not Path(source).exists()
        if not expected or not is_gone:
            raise
        raise ValueError(
            f"{error} This configuration was found on it: put it back, or start over with --data."
        ) from error
    differing = _differing(splits.fingerprint, expected)
    if differing:
        raise ValueError(
            f"The data at {source} is not what this configuration was found on "
            f"({differing} differ); restore the data, or start over with --data."
        )
    return splits


def open_trial_data(config: RunConfig, expected: Mapping[str, str], *, cache_dir: Path | None = None) -> Any:
    """The data of a search on the machine of one of its trials, in the cache of that machine unless another is given.

    Raises:
        ValueError: it can't be used, or it is not the data that the search started with.
    """
    splits = get_workload(config.workload).open_data(config, cache_dir=cache_dir)
    differing = _differing(splits.fingerprint, expected)
    if differing:
        raise ValueError(
            f"The data at {config.data.source} on {platform.node()} is not what the search started with ({differing} "
            "differ); give every machine the same files."
        )
    return splits


def chosen_device(name: str) -> torch.device:
    """The device of that name; "auto" is the first GPU if there is one, or each process's own GPU.

    Raises:
        ValueError: the device is not on this machine.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and "LOCAL_RANK" in os.environ:
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", name):
        raise ValueError(f"device is {name!r}; allowed: auto, cpu, cuda, cuda:N, mps.")
    if name == "mps" and not torch.backends.mps.is_available():
        raise ValueError("device is 'mps', but this machine has no Apple GPU that torch can use; use --device cpu.")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device is {name!r}, but this machine has no CUDA device; use --device cpu.")
    if name.startswith("cuda:") and int(name.removeprefix("cuda:")) >= torch.cuda.device_count():
        last = torch.cuda.device_count() - 1
        raise ValueError(f"device is {name!r}, but the last CUDA device of this machine is cuda:{last}; use that.")
    return torch.device(name)


def _differing(found: Mapping[str, str], expected: Mapping[str, str]) -> str:
    """Names of the splits that differ; none for an empty fingerprint."""
    return ", ".join(name for name in found if expected and expected.get(name) != found[name])


def _log_preparation(done: int, total: int) -> None:
    if done == total or done % max(1, total // 10) == 0:
        logger.info("preparing data: %d of %d", done, total)
