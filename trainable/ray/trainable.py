"""The trainable that Ray runs: a thin class around a run."""

import logging
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from trainable.console.command_line import DISK_FULL
from trainable.console.process import collector_paused, freeze_imports

with collector_paused():
    import torch
    from ray import tune
    from ray.util.metrics import Gauge

    from trainable.config import TrialConfig, from_params
    from trainable.leg import LIMIT_PREFIX, Leg, LegReport, checkpoint_name
    from trainable.ray.node_labels import elsewhere_than
    from trainable.ray.ranks import RankActors, RankedRun
    from trainable.ray.user_errors import user_errors_named
    from trainable.remote.trial_checkpoints import TrialCheckpoints
    from trainable.run import Ending, EpochResult, EpochRun
    from trainable.run_setup import open_trial_data
    from trainable.techniques.checkpoint import DamagedCheckpointError
    from trainable.techniques.memory import MemoryShortage, MicroBatchCaps, empty_cache
    from trainable.techniques.optim.gradient_update import DivergedError
    from trainable.workloads.limits import first_over
    from trainable.workloads.registry import CarriedConfig, get_workload

logger = logging.getLogger(__name__)

LEG, UNFIT_NODES, REPORT = "leg", "unfit_nodes", "report"
"""Keys of a trial's `config` and results."""


class UnfitNodeError(Exception):
    """The data can't be used on this machine, which joined a moment ago."""


class LegTrainable(tune.Trainable):
    """Trains one leg of a trial, one epoch per step; the process is reused for the next leg of any trial.

    A search derives its own class with the values that its trials share.
    """

    base: CarriedConfig
    """The configuration that the parameters of every leg override."""
    fingerprint: dict[str, str]
    cache_dir: Path | None = None
    """Where decoded images are; None is the cache of each machine."""
    device: str
    search: str
    """Name of the search, for people."""
    cpus_per_rank: float
    gpus_per_rank: float
    ranks: int
    can_move: bool = False
    """A trial whose machine can't use the data continues on another one."""
    limits: Mapping[str, float] = MappingProxyType({})
    """Limits on the network, by quantity; a trial that breaks one is not trained."""

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """With several processes each has its own bundle, and the trial itself needs no resources."""
        one = {"CPU": cls.cpus_per_rank, "GPU": cls.gpus_per_rank}
        unfit = config.get(UNFIT_NODES)
        elsewhere: dict[str, Any] = {"bundle_label_selector": [elsewhere_than(unfit)] * cls.ranks} if unfit else {}
        if cls.ranks == 1:
            return tune.PlacementGroupFactory([one], **elsewhere)
        return tune.PlacementGroupFactory([{}] + [one] * cls.ranks, strategy="STRICT_PACK", **elsewhere)

    def setup(self, config: dict[str, Any]) -> None:
        with collector_paused():
            # The first optimizer of a process imports torch's compiler, which has more modules than torch itself.
            torch.optim.SGD([torch.zeros(1)])
        freeze_imports()
        self._base = self.base.read()
        self._workload, self._torch_device = get_workload(self._base.workload), torch.device(self.device)
        self._rank_actors: RankActors | None = None
        self._caps = MicroBatchCaps()
        self._data: dict[str, Any] = {
            "base": self.base,
            "fingerprint": self.fingerprint,
            "cache_dir": self.cache_dir,
        }
        # Each rank opens its own data; the memory maps are shared.
        is_alone = self.ranks == 1
        self._splits = self._opened_data() if is_alone else None
        self._process = f"{platform.node()}:{os.getpid()}"
        self._gauges = {
            name: Gauge(f"tuner_{name}", description=text, tag_keys=("search", "trial"))
            for name, text in _GAUGES.items()
        }
        self.reset_config(config)

    def _opened_data(self) -> Any:
        try:
            return open_trial_data(self._base, self.fingerprint, cache_dir=self.cache_dir)
        except ValueError as error:
            if not self.can_move:
                raise
            raise UnfitNodeError(str(error)) from error

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Drops the last leg; the next one is built in its first step, which reports running out of memory."""
        self._leg: Leg = new_config[LEG]
        self._checkpoints = TrialCheckpoints(Path(self._leg.folder), self._leg.store, scratch=Path(self.logdir))
        self._run: EpochRun | None = None
        return True

    def step(self) -> dict[str, LegReport]:
        try:
            with user_errors_named():
                return {REPORT: self._report()}
        except DivergedError as error:
            step = {} if error.step is None else {"step": error.step}
            return {REPORT: self._over("diverged", term=error.term, value=str(error.value), **step)}
        except MemoryShortage as error:
            numbers: Mapping[str, float | str] = error.numbers or {"error": error.message}
            report = self._over("out_of_memory", **numbers)
            self._run = None
            return {REPORT: report}
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            return {REPORT: LegReport(disk_full=str(error), process=self._process)}

    def cleanup(self) -> None:
        self._run = None
        if self._rank_actors is not None:
            self._rank_actors.end()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.search})"

    def _report(self) -> LegReport:
        """Trains the next epoch and writes its checkpoint; no epoch if the trial had ended before this leg."""
        measured: dict[str, float] = {}
        if self.limits and self._run is None and not self._leg.from_epoch:
            config = from_params(self._leg.params, self._base)
            measured = self._workload.measure(config, self._splits, self._torch_device, self.limits)
            if (numbers := first_over(self.limits, measured)) is not None:
                return self._over("over_limit", **numbers)
        run = self._run_or_begin()
        if run.ending is not None:
            return LegReport(ending=run.ending, process=self._process)
        result = run.run_epoch()
        if measured:
            quantities = {f"{LIMIT_PREFIX}{name}": value for name, value in measured.items()}
            result = replace(result, metrics={**result.metrics, **quantities})
        self._checkpoints.save(checkpoint_name(result.epoch), run.save)
        self._publish(result)
        return LegReport(result=result, ending=run.ending, process=self._process)

    def _run_or_begin(self) -> EpochRun:
        """A trial with a lost or damaged checkpoint starts over."""
        if self._run is None:
            # Ray shows a process under the name of the search; its log says which trial it trains.
            begins = f"goes on after epoch {self._leg.from_epoch}" if self._leg.from_epoch else "starts"
            sys.stderr.write(f"trial {self._leg.trial} {begins}\n")
            sys.stderr.flush()
            self._run = self._begun()
            if self._leg.from_epoch:
                try:
                    with self._checkpoints.found(checkpoint_name(self._leg.from_epoch)) as path:
                        self._run.restore(path)
                except DamagedCheckpointError as error:
                    logger.warning("trial %s starts over: %s", self._leg.trial, error)
                    self._run = self._begun()
        return self._run

    def _begun(self) -> EpochRun:
        config = from_params(self._leg.params, self._base)
        if self.ranks > 1:
            assert isinstance(config, TrialConfig), "no other workload can use ranks"
            return RankedRun(config, self._living_ranks, caps=self._caps, scratch=Path(self.logdir))
        empty_cache(self._torch_device)
        # Concurrent trials must not compete for threads.
        torch.set_num_threads(max(1, int(self.cpus_per_rank)))
        return self._workload.begin(config, self._splits, device=self._torch_device, caps=self._caps)

    def _living_ranks(self) -> RankActors:
        if self._rank_actors is None or not self._rank_actors.are_alive:
            bundles = self.default_resource_request({}).bundles
            ranks = [bundle for bundle in bundles if bundle]
            self._rank_actors = RankActors(ranks, **self._data, device=self._torch_device)
        return self._rank_actors

    def _over(self, outcome: str, **numbers: float | str) -> LegReport:
        return LegReport(ending=Ending(outcome=outcome, numbers=numbers), process=self._process)

    def _publish(self, result: EpochResult) -> None:
        """Publishes the trial's state on Ray's metrics port; the labels follow the trial."""
        usage = [value for name, value in result.metrics.items() if name.startswith("moe/usage_")]
        values = {"objective": result.objective, "epoch": float(result.epoch)}
        values |= {"lowest_expert_usage": min(usage)} if usage else {}
        for name, value in values.items():
            self._gauges[name].set(value, tags={"search": self.search, "trial": self._leg.trial})


_GAUGES = {
    "objective": "Validation objective of the last epoch",
    "epoch": "Epochs completed",
    "lowest_expert_usage": "Share of token assignments of the least used expert",
}
