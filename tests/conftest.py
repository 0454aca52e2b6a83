"""One thread: the tensors of the tests are small, and two test runs on one machine would wait for each other."""

import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

# As in a search, and read when numpy is loaded: threads without a free core hold up a product of small matrices.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
import numpy as np
import pytest
import torch
from PIL import Image

from tests.starts_ray import STARTS_RAY
from trainable.config import TrialConfig
from trainable.data.io.image_cache import CACHE_VARIABLE, default_cache_dir
from trainable.leg import Leg
from trainable.tasks.registry import get_task

torch.set_num_threads(1)
# A shell ignores these for what runs in the background or under nohup, and every command of a test would inherit it.
for ignored, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(ignored) is signal.SIG_IGN:
        signal.signal(ignored, handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A machine that trains alone has no xdist."""
    from tests.one_ray_at_a_time import OneRayAtATime

    return OneRayAtATime(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs tests that start Ray first: at the end they would keep one worker busy while the others are done."""
    items.sort(key=lambda item: not item.nodeid.startswith(STARTS_RAY))


@pytest.fixture(scope="session", autouse=True)
def _disk_not_waited_for() -> Iterator[None]:
    """A test of what is kept for good replaces this; the others would wait for the disk a thousand times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture
def synced(monkeypatch) -> list[tuple[str, int]]:
    """Name and size of each file or folder at each time that it was written to the disk itself."""
    found: list[tuple[str, int]] = []

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").resolve()
        found.append((path.name, 0 if path.is_dir() else path.stat().st_size))

    monkeypatch.setattr(os, "fsync", fsync)
    return found


@pytest.fixture(scope="session")
def disc_folder(tmp_path_factory) -> Path:
    """Twenty-four images of a bright disc on noise, with their masks; the cache of the session lies beside them."""
    folder = tmp_path_factory.mktemp("discs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        write_discs(folder, num_pairs=24)
        yield folder


@pytest.fixture(scope="session")
def disc_config(disc_folder) -> TrialConfig:
    """The workload's default on the discs, with a network so narrow that an epoch takes a tenth of a second."""
    default = get_task("moe").default_config(str(disc_folder))
    return replace(default, max_epochs=3, model=replace(default.model, pyramid_channels=8))


@pytest.fixture(scope="session")
def loggers_of_a_new_process() -> Callable[[], AbstractContextManager[None]]:
    """A context in which the root logger is as a command finds it, without pytest's handlers."""

    @contextmanager
    def without_handlers() -> Iterator[None]:
        root = logging.getLogger()
        handlers, level = root.handlers, root.level
        root.handlers = []
        try:
            yield
        finally:
            root.handlers = handlers
            root.setLevel(level)

    return without_handlers


@pytest.fixture
def begin(disc_config, tmp_path) -> Iterator[Callable]:
    """A function that makes a process of a search on the discs as Ray does, without Ray, with its first leg."""

    from trainable.ray.trainable import LegTrainable
    from trainable.workloads.registry import CarriedConfig

    begun = []

    def begin_process(params, *, fingerprint=None, ranks=1, **changes) -> LegTrainable:
        shared = {
            "base": CarriedConfig(disc_config, ()),
            "fingerprint": fingerprint or {},
            "cache_dir": default_cache_dir(),
            "device": "cpu",
            "search": "moe/spring",
            "cpus_per_rank": 1.0,
            "gpus_per_rank": 0.0,
            "ranks": ranks,
        }
        begun.append(type("MoeTrial", (LegTrainable,), shared)(config={"leg": leg(params, tmp_path, **changes)}))
        return begun[-1]

    yield begin_process
    for trial in begun:
        trial.stop()
    torch.set_num_threads(1)


def leg(params, folder: Path, *, trial: str = "000-0123abcd", from_epoch: int = 0) -> Leg:
    """A leg whose checkpoints are in a folder with the trial's name."""
    (folder / trial).mkdir(exist_ok=True)
    return Leg(trial=trial, params=params, folder=str(folder / trial), from_epoch=from_epoch)


def write_discs(folder: Path, *, num_pairs: int, side: int = 48, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    for name in ("Imgs", "GT"):
        (folder / name).mkdir(parents=True)
    for number in range(num_pairs):
        row, column, radius = rng.uniform(14, 34), rng.uniform(14, 34), rng.uniform(8, 14)
        mask = (rows - row) ** 2 + (columns - column) ** 2 < radius**2
        image = rng.integers(60, 120, (side, side, 3)) + 60 * mask[..., None]
        Image.fromarray(image.astype(np.uint8)).save(folder / "Imgs" / f"disc_{number:02d}.png")
        Image.fromarray((255 * mask).astype(np.uint8)).save(folder / "GT" / f"disc_{number:02d}.png")
