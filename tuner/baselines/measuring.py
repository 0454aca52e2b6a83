"""Measures the baselines of one split, in the process of a call that takes no slot."""

import math
import os
import time
from dataclasses import dataclass

import torch

from trainable.configuration.run_config import RunConfig
from trainable.run_setup import open_data
from trainable.workloads.registry import CarriedConfig, get_workload
from tuner.formatting import metric
from tuner.records.trivial import ProbeScore, Split, TrivialScore

PROBE_NAME = "a linear probe"
LOW_PRIORITY = 10
"""A tenth of a core beside a busy trial; at 19, the lowest, a search on a busy machine would end by waiting for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The requested baselines that could be measured."""

    trivial: TrivialScore | None = None
    probe: ProbeScore | None = None
    problem: str | None = None
    """Why there is no probe, where it was asked for."""


def measure_at_low_priority(
    carried: CarriedConfig, fingerprint: dict[str, str], split: Split, *, trivial: bool, probe: str | None
) -> Measured:
    """Calls `measure` at low priority, so that trials keep the CPUs; the process stays at that priority."""
    if hasattr(os, "nice"):
        os.nice(LOW_PRIORITY)
    torch.set_num_threads(1)
    return measure(carried.read(), fingerprint, split, trivial=trivial, probe=probe)


def measure(
    config: RunConfig, fingerprint: dict[str, str], split: Split, *, trivial: bool, probe: str | None
) -> Measured:
    """Measures the requested baselines of a configuration: the trivial prediction and the linear probe.

    Args:
        probe: its name in the report; None for none.

    Raises:
        ValueError: the data can't be used or is not that of the fingerprint.
    """
    workload, data = get_workload(config.workload), open_data(config, fingerprint)
    floor = workload.trivial_floor(config, data, split) if trivial else None
    found = Measured(trivial=None if floor is None else TrivialScore(**floor._asdict()))
    if probe is None:
        return found
    began = time.monotonic()
    try:
        metrics = workload.linear_probe(config, data, split)
    except ValueError as error:
        return Measured(trivial=found.trivial, problem=str(error))
    score = ProbeScore(
        name=probe,
        objective=metrics[metric(workload.objective)],
        metrics={name: value for name, value in metrics.items() if math.isfinite(value)},
        seconds=round(time.monotonic() - began, 3),
    )
    return Measured(trivial=found.trivial, probe=score)
