"""Profiles a few optimizer updates, as a trace for a browser (chrome://tracing, ui.perfetto.dev)."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import profiler

logger = logging.getLogger(__name__)

TRACE = "profile.json"
DEFAULT_UPDATES = "10-20"
_WARMUP_UPDATES = 1


def parse_updates(text: str) -> range:
    """Parses "10-20" as the updates 10 to 20, counted from 1.

    Raises:
        ValueError: it is no such range, or starts at the first update, which the profiler needs to warm up.
    """
    match = re.fullmatch(r"(\d+)-(\d+)", text)
    updates = range(int(match[1]), int(match[2]) + 1) if match else range(0)
    if not updates or updates[0] <= _WARMUP_UPDATES:
        raise ValueError(f"--profile is {text!r}; give the first and the last update, such as 10-20, from 2 on.")
    return updates


@contextmanager
def profile_updates(optimizer: torch.optim.Optimizer, updates: range, folder: Path) -> Iterator[None]:
    """Writes a trace of these updates in the context to the folder."""
    plan = profiler.schedule(
        wait=updates[0] - 1 - _WARMUP_UPDATES, warmup=_WARMUP_UPDATES, active=len(updates), repeat=1
    )
    trace = folder / TRACE
    with profiler.profile(schedule=plan, on_trace_ready=lambda done: done.export_chrome_trace(str(trace))) as recorder:
        hook = optimizer.register_step_post_hook(lambda *_: recorder.step())
        try:
            yield
        finally:
            hook.remove()
    if trace.exists():
        logger.info("profile of updates %d to %d in %s", updates[0], updates[-1], trace)
    else:
        logger.warning("No profile: the training ended before update %d; give earlier ones.", updates[0])
