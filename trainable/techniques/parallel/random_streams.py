"""A random stream of its own for each part of a run, all from one seed."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def stream_seed(seed: int, stream: str) -> int:
    """Derives a seed for each random stream of a run, so that no two draw the same numbers."""
    return int(np.random.SeedSequence([seed, *stream.encode()]).generate_state(1)[0])


def seed_everything(seed: int) -> None:
    """Seeds the global generators, from which weights, dropout and router noise are drawn."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@contextmanager
def random_state_kept(device: torch.device) -> Iterator[None]:
    """Restores torch's random state on the CPU and on this device after this context."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        state = torch.mps.get_rng_state() if device.type == "mps" else None
        try:
            yield
        finally:
            if state is not None:
                torch.mps.set_rng_state(state)
