"""Imports without the garbage collector, which would look through the same new modules again and again for nothing.

The first optimizer of a process counts as one: it brings in torch's compiler.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def nothing_collected() -> Iterator[None]:
    """No garbage is looked for inside: a quarter of the time of importing torch, Ray and Optuna."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
