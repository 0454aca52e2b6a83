"""Tests for a CUDA device: each runs there, and as a test of its own logic on a CPU with `make test-slow`.

On a machine without Ray and Optuna nothing here needs them.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.gpu.small_data import SMALL_DATA
from trainable.config import TrialConfig, from_params
from trainable.tasks.registry import get_task


@pytest.fixture(
    params=[
        pytest.param(
            "cuda",
            marks=[
                pytest.mark.gpu,
                pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
            ],
        ),
        pytest.param("cpu", marks=pytest.mark.slow),
    ]
)
def device(request) -> torch.device:
    return torch.device(request.param)


@pytest.fixture(scope="session")
def opened(tmp_path_factory) -> Callable[..., tuple[TrialConfig, Any]]:
    """The configuration of a workload on little embedded data, with some parameters changed, and the data."""
    cache = tmp_path_factory.mktemp("cache")

    def open_workload(
        workload: str, *, data: Mapping[str, Any] | None = None, **params: Any
    ) -> tuple[TrialConfig, Any]:
        if workload == "agroforestry":
            pytest.importorskip("pycocotools")
        task = get_task(workload)
        default = task.default_config()
        content = replace(default.data, **(data or SMALL_DATA[workload]))
        small = replace(default, max_epochs=4, batch_size=8, data=content)
        if hasattr(small.model, "pyramid_channels"):
            small = replace(small, model=replace(small.model, pyramid_channels=8))
        config = from_params(params, small)
        splits = task.open_data(config, cache_dir=cache)
        return task.adapt_to_data(config, splits), splits

    return open_workload
