"""A trial of several ranks under Ray: one actor per rank, in the trial's placement group.

The trial itself only starts each epoch. When one rank ends, all end, because the others would wait for its sums. A
dead rank is an error of the trial, which the search restarts from its last checkpoint. When a rank runs out of memory,
the trial starts new ranks, which repeat the epoch with the same smaller micro-batches.
"""

import os
import shutil
import socket
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple

import ray
import torch
from ray.exceptions import RayError, RayTaskError
from ray.util import get_current_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy
from torch.distributed import TCPStore

from trainable.config import TrialConfig
from trainable.ray.user_errors import user_errors_named
from trainable.run import Ending, EpochResult
from trainable.run_setup import open_trial_data
from trainable.techniques.checkpoint import CheckpointError
from trainable.techniques.memory import MemoryShortage, MicroBatchCaps, MicroBatches, empty_cache
from trainable.techniques.parallel.data_parallel import join
from trainable.training_run import TrainingRun
from trainable.workloads.registry import CarriedConfig

HOST = "127.0.0.1"
"""All ranks of a trial are on one machine."""
LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"


class RunStatus(NamedTuple):
    """Where a run stands; ranks report it with each result."""

    epoch: int
    ending: Ending | None


class RankActors:
    """The processes that train one trial after the other; recreated after one of them failed."""

    def __init__(self, bundles: list[dict[str, float]], **shared: Any) -> None:
        """`bundles` are the resources of each rank, in placement-group order; `shared` is passed to every rank."""
        group = get_current_placement_group()
        assert group is not None, "a trial of several ranks has one"
        self._actors: list[Any] = [
            ray.remote(_Rank)
            .options(
                num_cpus=bundle.get("CPU", 0.0),
                num_gpus=bundle.get("GPU", 0.0),
                scheduling_strategy=PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=index),
            )
            .remote(index, len(bundles), num_threads=max(1, int(bundle.get("CPU", 1.0))), **shared)
            for index, bundle in enumerate(bundles)
        ]
        self.are_alive = True
        port = self._answer(self._actors[:1], "open_port")
        self.call("join", port)

    def call(self, method: str, *arguments: object) -> Any:
        """The result of the first rank, once all have returned; the first error ends all ranks."""
        return self._answer(self._actors, method, *arguments)

    def _answer(self, actors: list[Any], method: str, *arguments: object) -> Any:
        pending = [getattr(actor, method).remote(*arguments) for actor in actors]
        answers = list(pending)
        try:
            while pending:
                ready, pending = ray.wait(pending, num_returns=1)
                ray.get(ready)
            return ray.get(answers[0])
        except RayTaskError as error:
            self.end()
            raise error.cause from error
        except RayError:
            self.end()
            raise

    def end(self) -> None:
        self.are_alive = False
        for actor in self._actors:
            ray.kill(actor)


class RankedRun:
    """A TrainingRun of several ranks.

    Saves its state after each epoch beside the trial: the source of checkpoints, and the state to restore ranks from.

    Args:
        config: the complete configuration.
        living_ranks: returns the ranks, or new ones after they have ended.
        caps: micro-batches known to fit from earlier runs.
        scratch: for that state; what a killed process leaves goes with it.
    """

    def __init__(
        self, config: TrialConfig, living_ranks: Callable[[], RankActors], *, caps: MicroBatchCaps, scratch: Path
    ) -> None:
        self.config = config
        self.micro_batches = MicroBatches(config, caps)
        self._living_ranks = living_ranks
        folder = mkdtemp(prefix="ranks-", dir=scratch)
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._saved = Path(folder) / "state.pt"
        self.epoch: int
        self.ending: Ending | None
        self._begin()

    def run_epoch(self) -> EpochResult:
        """Like `TrainingRun`'s, on all ranks."""
        while True:
            try:
                result, (self.epoch, self.ending) = self._actors.call("run_epoch")
                break
            except MemoryShortage:
                if not self.micro_batches.halve(epoch=self.epoch + 1):
                    raise
            self._begin()
        self._actors.call("save", self._saved)
        return result

    def save(self, path: Path) -> None:
        """Saves the last complete epoch, also when the ranks have ended since; nothing before the first."""
        if self._saved.exists():
            shutil.copyfile(self._saved, path)

    def restore(self, path: Path) -> None:
        """Like `TrainingRun`'s; after an error the ranks have ended."""
        try:
            shutil.copyfile(path, self._saved)
        except FileNotFoundError as error:
            raise CheckpointError(f"{path} is not a file; give the checkpoint that a training run wrote.") from error
        self.epoch, self.ending = self._actors.call("restore", self._saved)

    def _begin(self) -> None:
        """Restores ranks to the end of the last complete epoch, all with the same micro-batches."""
        self._actors = self._living_ranks()
        self.epoch, self.ending = self._actors.call("begin", self.micro_batches.config)
        if self._saved.exists():
            self.epoch, self.ending = self._actors.call("restore", self._saved)


class _Rank:
    """The process of one rank."""

    def __init__(
        self,
        rank: int,
        size: int,
        *,
        num_threads: int,
        base: CarriedConfig,
        fingerprint: dict[str, str],
        cache_dir: Path | None,
        device: torch.device,
    ) -> None:
        torch.set_num_threads(num_threads)
        os.environ.setdefault("GLOO_SOCKET_IFNAME", LOOPBACK)
        self._rank, self._size, self._device = rank, size, device
        self._store: TCPStore | None = None
        self._splits = open_trial_data(base.read(), fingerprint, cache_dir=cache_dir)

    def open_port(self) -> int:
        """A free port for the process group, from the first rank."""
        # A socket that the store opened itself would listen on all addresses; the store closes the one that it gets.
        listening = socket.create_server((HOST, 0))
        port = listening.getsockname()[1]
        self._store = TCPStore(
            HOST, port, self._size, is_master=True, wait_for_workers=False, master_listen_fd=listening.detach()
        )
        return port

    def join(self, port: int) -> None:
        store = self._store or TCPStore(HOST, port, self._size, is_master=False)
        self._ranks = join(self._device, store=store, rank=self._rank, world_size=self._size)

    def begin(self, config: TrialConfig) -> RunStatus:
        self._run: TrainingRun | None = None
        empty_cache(self._device)
        with user_errors_named():
            self._run = TrainingRun(config, self._splits, device=self._device, ranks=self._ranks)
        return self._run_status()

    def run_epoch(self) -> tuple[EpochResult, RunStatus]:
        with user_errors_named():
            return self._begun.run_epoch(), self._run_status()

    def save(self, path: Path) -> None:
        self._begun.save(path)

    def restore(self, path: Path) -> RunStatus:
        self._begun.restore(path)
        return self._run_status()

    @property
    def _begun(self) -> TrainingRun:
        assert self._run is not None, "begin() comes first"
        return self._run

    def _run_status(self) -> RunStatus:
        return RunStatus(epoch=self._begun.epoch, ending=self._begun.ending)
