"""A trial of several ranks under Ray: an actor for each, inside the trial's own placement group.

The trial itself only sends them from epoch to epoch. Whatever ends one rank ends all of them, because the others would
wait for its sums: a rank that died is then an error of the trial, which Ray restarts from its last checkpoint.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch
from ray.exceptions import RayError, RayTaskError
from ray.util import get_current_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy
from torch.distributed import TCPStore

from trainable.config import TrialConfig
from trainable.ending import Ending
from trainable.opening import open_trial_data
from trainable.techniques.data_parallel import join
from trainable.training_run import EpochResult, TrainingRun

HOST = "127.0.0.1"
"""All ranks of a trial are on one machine."""
LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a run is, told after each call."""

    epoch: int
    ending: Ending | None


class RankActors:
    """The processes of one trial after the other; made anew after one of them failed."""

    def __init__(self, bundles: list[dict[str, float]], **shared: Any) -> None:
        """`bundles` are the resources of each rank, in the order of the placement group; `shared` is for every one."""
        group = get_current_placement_group()
        self._actors = [
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
        port = ray.get(self._actors[0].open_port.remote())
        self.call("join", port)

    def call(self, method: str, *arguments: object) -> Any:
        """What the first rank returns, once all have; the first error of any ends all ranks."""
        pending = [getattr(actor, method).remote(*arguments) for actor in self._actors]
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
    """A TrainingRun of several ranks."""

    def __init__(self, config: TrialConfig, actors: RankActors) -> None:
        self._actors = actors
        self._standing: Standing = actors.call("begin", config)

    @property
    def epoch(self) -> int:
        return self._standing.epoch

    @property
    def ending(self) -> Ending | None:
        return self._standing.ending

    def run_epoch(self) -> EpochResult:
        """As that of a TrainingRun, in all ranks."""
        result, self._standing = self._actors.call("run_epoch")
        return result

    def judged_again(self) -> EpochResult:
        return self._actors.call("judged_again")

    def save(self, path: Path) -> None:
        """Nothing after an error: its processes are gone, and it took no further step."""
        if self._actors.are_alive:
            self._actors.call("save", path)

    def restore(self, path: Path) -> None:
        self._standing = self._actors.call("restore", path)


class _Rank:
    """The process of one rank."""

    def __init__(
        self,
        rank: int,
        size: int,
        *,
        num_threads: int,
        base: TrialConfig,
        fingerprint: dict[str, str],
        cache_dir: str,
        device: torch.device,
    ) -> None:
        torch.set_num_threads(num_threads)
        os.environ.setdefault("GLOO_SOCKET_IFNAME", LOOPBACK)
        self._rank, self._size, self._device = rank, size, device
        self._store: TCPStore | None = None
        self._splits = open_trial_data(base, fingerprint, cache_dir=Path(cache_dir))

    def open_port(self) -> int:
        """The port where the ranks meet, chosen by the system; the first rank's part."""
        self._store = TCPStore(HOST, 0, self._size, is_master=True, wait_for_workers=False)
        return self._store.port

    def join(self, port: int) -> None:
        store = self._store or TCPStore(HOST, port, self._size, is_master=False)
        self._ranks = join(self._device, store=store, rank=self._rank, world_size=self._size)

    def begin(self, config: TrialConfig) -> Standing:
        self._run = None
        torch.cuda.empty_cache()
        self._run = TrainingRun(config, self._splits, device=self._device, ranks=self._ranks)
        return self._standing()

    def run_epoch(self) -> tuple[EpochResult, Standing]:
        return self._run.run_epoch(), self._standing()

    def judged_again(self) -> EpochResult:
        return self._run.judged_again()

    def save(self, path: Path) -> None:
        self._run.save(path)

    def restore(self, path: Path) -> Standing:
        self._run.restore(path)
        return self._standing()

    def _standing(self) -> Standing:
        return Standing(epoch=self._run.epoch, ending=self._run.ending)
