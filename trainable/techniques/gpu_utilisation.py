"""How busy a GPU is while it trains: the mean over an epoch, in percent of the time.

What: nvidia-smi's number, the share of the last 1/6 to 1 s in which any kernel ran, is read after an optimizer update
at most once a second, and averaged. It is that of the whole GPU, other processes included. A high value does not mean
efficient kernels; a low one means waiting for data or for the CPU.
Source: https://docs.pytorch.org/docs/stable/generated/torch.cuda.utilization.html.
Cost: a read of the driver a second; no wait for the GPU. Off: on every other device, and without nvidia-ml-py.
"""

import importlib
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial

import torch

logger = logging.getLogger(__name__)

EVERY_SECONDS = 1.0


@contextmanager
def sampled(
    optimizer: torch.optim.Optimizer,
    *,
    read: Callable[[], float],
    read_errors: tuple[type[Exception], ...] = (),
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[list[float]]:
    """Samples how busy a GPU is after updates inside this context, the first of them included.

    Args:
        read: percent of the time, 0 to 100.
        read_errors: what `read` may raise; a sample that fails is left out, and the log says so.
        clock: seconds, from any start.
    """
    samples: list[float] = []
    due = clock()

    def sample(*_: object) -> None:
        nonlocal due
        if clock() < due:
            return
        due = clock() + EVERY_SECONDS
        try:
            samples.append(read())
        except read_errors as error:
            logger.warning("a sample of the GPU utilisation failed: %s", error)

    hook = optimizer.register_step_post_hook(sample)
    try:
        yield samples
    finally:
        hook.remove()


@cache
def gpu_utilisation(device: torch.device) -> Callable[..., AbstractContextManager[list[float]]] | None:
    """Returns a sampler of the GPU utilisation during optimizer updates; None on a CPU or if it can't be read.

    Cached, so that the warning is logged once per process.
    """
    if device.type != "cuda":
        return None
    try:
        nvml = importlib.import_module("pynvml")
    except ModuleNotFoundError:
        logger.warning("GPU utilisation is not recorded: install its package with: pip install 'vision-tuner[gpu]'.")
        return None
    read, errors = partial(torch.cuda.utilization, device), (nvml.NVMLError, RuntimeError)
    try:
        read()
    except errors as error:
        logger.warning("GPU utilisation is not recorded: the driver does not give it (%s).", error)
        return None
    return partial(sampled, read=read, read_errors=errors)
