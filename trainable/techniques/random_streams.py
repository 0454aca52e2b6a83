"""A random stream of its own for each part of a run, all from one seed."""

import random

import numpy as np
import torch


def stream_seed(seed: int, stream: str) -> int:
    """A seed of its own for each random stream of a run, so that no two draw the same numbers."""
    return int(np.random.SeedSequence([seed, *stream.encode()]).generate_state(1)[0])


def seed_everything(seed: int) -> None:
    """Seeds the global generators, from which weights, dropout and router noise are drawn."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
