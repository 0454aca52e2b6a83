"""Limits on a network, measured on stand-in images before it is trained.

What: params_m, parameters in millions, counted on torch's meta device; latency_ms, the median time of a forward pass of
    one image on the trial's device; peak_gib, the peak memory of two updates on a CUDA device.
Cost: a second per trial. A configuration that breaks a limit is not trained. Off: no limits.
"""

import statistics
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import torch

from trainable.build_trainer import build_trainer
from trainable.config import TrialConfig
from trainable.device_copy import wait_for
from trainable.tasks.registry import fresh_network, get_task
from trainable.techniques.memory import forget_peak, peak_gib
from trainable.techniques.parallel.random_streams import seed_everything

WARMUP_PASSES, TIMED_PASSES = 3, 9


def first_over(limits: Mapping[str, float], measured: Mapping[str, float]) -> dict[str, float | str] | None:
    """The first limit that is broken, with its numbers; None where all are kept."""
    for quantity, limit in limits.items():
        if measured[quantity] > limit:
            return {"quantity": quantity, "measured": measured[quantity], "limit": limit}
    return None


def measure(config: TrialConfig, splits: Any, device: torch.device, quantities: Iterable[str]) -> dict[str, float]:
    """The quantities of a configuration, by name; changes torch's random streams."""
    seed_everything(config.seed)
    measures = {
        "params_m": lambda config, splits, device: num_parameters(config) / 1e6,
        "latency_ms": _latency_ms,
        "peak_gib": _peak_gib,
    }
    return {quantity: measures[quantity](config, splits, device) for quantity in quantities}


def num_parameters(config: TrialConfig) -> int:
    """Number of parameters, from a network without memory or weights; leaves torch's random state unchanged."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return sum(parameter.numel() for parameter in fresh_network(config).parameters())


@torch.no_grad()
def _latency_ms(config: TrialConfig, splits: Any, device: torch.device) -> float:
    network = fresh_network(config).to(device).eval()
    image = torch.rand((1, 3, *splits.train.images.shape[1:3]), device=device)
    seconds = []
    for _ in range(WARMUP_PASSES + TIMED_PASSES):
        began = time.perf_counter()
        network(image)
        wait_for(device)
        seconds.append(time.perf_counter() - began)
    return 1000 * statistics.median(seconds[WARMUP_PASSES:])


def _peak_gib(config: TrialConfig, splits: Any, device: torch.device) -> float:
    """Peak memory of an update as in the last epoch, when images are whole and all blocks train."""
    task, last_epoch = get_task(config.workload), config.max_epochs - 1
    batches = task.training_batches(config, splits.train, device)
    batches.set_epoch(last_epoch)
    window = list(islice(batches, config.accumulation_steps))
    trainer = build_trainer(task, replace(config, compile_backend=None), updates_per_epoch=1, device=device)
    forget_peak(device)
    # Twice: the moments of the optimizer lie there from the second update on.
    trainer.train_epoch([*window, *window], last_epoch, 0, accumulation_steps=len(window))
    return peak_gib(device)
