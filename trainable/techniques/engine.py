"""Switches of torch's engine: how cuDNN chooses kernels, TF32, deterministic algorithms.

What: the switches belong to the process, not to a network. A training sets them while it trains, validates or tests,
and leaves them as it found them, since a process of a search trains one configuration after the other.
Source: https://docs.pytorch.org/docs/stable/notes/randomness.html and
https://docs.pytorch.org/docs/stable/notes/cuda.html#tensorfloat-32-tf32-on-ampere-and-later-devices.
Cost: that of each field below. On a CPU only `deterministic_algorithms` has an effect. Off: None, the process's own.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Literal

import torch

CUBLAS_VARIABLE, CUBLAS_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
"""cuBLAS is deterministic only with this workspace; torch raises an error without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """Backend switches that are set while a configuration trains; None leaves a switch unchanged."""

    cudnn_benchmark: bool | None = None
    """cuDNN times its kernels for each shape of input and takes the fastest: quicker where shapes repeat, slower where
    they change, and another run may take other kernels, which add in another order."""
    cudnn_deterministic: bool | None = None
    """cuDNN takes only kernels that add in the same order each time; often slower."""
    tf32: bool | None = None
    """fp32 products and convolutions in TF32 on GPUs that have it: faster, with 10 bits of mantissa in place of 23.
    torch's own default is convolutions in TF32 and products not."""
    deterministic_algorithms: Literal["warn", "error"] | None = None
    """Only algorithms that give the same result each time, slower and with new memory filled; where an operation has
    none: a warning, or an error that ends the training."""


@contextmanager
def engine_switched(config: EngineConfig | None) -> Iterator[None]:
    """Sets the switches inside this context, and then sets them back.

    Raises:
        ValueError: deterministic_algorithms is error, and an operation has none.
    """
    with ExitStack() as stack:
        if config is not None:
            _switch_kernels(config, stack)
        if config is None or config.deterministic_algorithms is None:
            yield
            return
        _switch_algorithms(config.deterministic_algorithms, stack)
        try:
            yield
        except RuntimeError as error:
            if "deterministic" not in str(error):
                raise
            raise ValueError(
                f"deterministic_algorithms is {config.deterministic_algorithms}, but: {str(error).splitlines()[0]} "
                "Set deterministic_algorithms=warn, or leave it out."
            ) from error


def _switch_kernels(config: EngineConfig, stack: ExitStack) -> None:
    cudnn = torch.backends.cudnn
    wanted = {
        "benchmark": config.cudnn_benchmark,
        "deterministic": config.cudnn_deterministic,
        "allow_tf32": config.tf32,
    }
    for name, value in wanted.items():
        if value is not None:
            stack.callback(setattr, cudnn, name, getattr(cudnn, name))
            setattr(cudnn, name, value)
    if config.tf32 is not None:
        stack.callback(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision())
        torch.set_float32_matmul_precision("high" if config.tf32 else "highest")


def _switch_algorithms(on_missing: str, stack: ExitStack) -> None:
    was_on, warned = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    stack.callback(torch.use_deterministic_algorithms, was_on, warn_only=warned)
    torch.use_deterministic_algorithms(True, warn_only=on_missing == "warn")
    if CUBLAS_VARIABLE not in os.environ:
        os.environ[CUBLAS_VARIABLE] = CUBLAS_WORKSPACE
        stack.callback(os.environ.pop, CUBLAS_VARIABLE)
