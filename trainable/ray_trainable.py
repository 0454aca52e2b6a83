"""The trial that Ray runs: a thin class around a TrainingRun. Beside ray_ranks.py the only file that imports ray."""

import logging
import math
from collections.abc import Mapping
from pathlib import Path

from trainable.importing import imported_for_good

with imported_for_good():
    import torch
    from ray import tune
    from ray.train._internal.session import _TrainingResult as TrainingResult
    from ray.util.metrics import Gauge

    from trainable.config import TrialConfig, from_params
    from trainable.memory_shortage import MemoryShortage, shortages_named
    from trainable.opening import open_trial_data
    from trainable.ray_ranks import RankActors, RankedRun
    from trainable.tasks.registry import get_task
    from trainable.techniques.divergence import DivergedError
    from trainable.training_run import EpochResult, TrainingRun

logger = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pt"
OBJECTIVE = "objective"


class Trial(tune.Trainable):
    """Trains one proposed configuration, an epoch a step; the process is reused for the next one.

    Each result holds `objective`, always finite, and flat metrics; a last one also `outcome` with its numbers.
    """

    def setup(
        self,
        config: dict,
        *,
        base: TrialConfig,
        fingerprint: dict[str, str],
        cache_dir: str,
        device: str,
        search: str,
        ranks: int = 1,
    ) -> None:
        with imported_for_good():
            # The first optimizer of a process brings in torch's compiler, more modules than torch itself.
            torch.optim.SGD([torch.zeros(1)])
        # Ray logs every checkpoint at INFO, twice an epoch.
        logging.getLogger("ray.train._internal.storage").setLevel(logging.WARNING)
        self._base, self._device, self._search = base, torch.device(device), search
        self._task = get_task(base.workload)
        self._num_ranks, self._ranks = ranks, None
        self._data = {"base": base, "fingerprint": fingerprint, "cache_dir": cache_dir}
        # Each rank opens its own; the maps are shared.
        self._splits = open_trial_data(base, fingerprint, cache_dir=Path(cache_dir)) if ranks == 1 else None
        self._gauges = {name: _gauge(name, text) for name, text in _GAUGES.items()}
        self._begin(config)

    def reset_config(self, new_config: dict) -> bool:
        self._begin(new_config)
        return True

    def step(self) -> dict[str, object]:
        try:
            with shortages_named():
                run = self._run_or_begin()
                result = run.judged_again() if self._is_unheard or run.ending is not None else run.run_epoch()
        except DivergedError as error:
            return self._ended("diverged", term=error.term, value=str(error.value), step=error.step)
        except MemoryShortage as error:
            last_result = self._ended("out_of_memory", **(error.numbers or {"error": error.message}))
            self._run = None
            return last_result
        self._is_unheard = False
        self._publish(result)
        timing = {"epoch": result.epoch, "epoch_seconds": result.seconds}
        measured = {OBJECTIVE: result.objective, **timing, "precision": result.precision, **result.metrics}
        return measured | ({} if run.ending is None else _last(run.ending.outcome, run.ending.numbers))

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        if self._run is not None:
            self._run.save(Path(checkpoint_dir) / CHECKPOINT)

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        path = Path(checkpoint_dir) / CHECKPOINT
        if path.exists():
            self._run_or_begin().restore(path)

    def restore(self, checkpoint_path: TrainingResult) -> None:
        """Goes on from what is there of the trial.

        Ray removes a checkpoint as soon as there is a newer one, and notes later that there is. After a kill in between
        it asks for the one that is gone, whose place the newer one then takes. The epoch that this one holds is told
        once more: Ray may not have heard of it, and it may be one after which the trial is to wait or to stop.
        """
        asked = Path(checkpoint_path.checkpoint.path)
        there = first_from(asked)
        if there is None:
            logger.warning("trial %s begins anew: none of its checkpoints is left", self.trial_id)
            return
        there.rename(asked)
        super().restore(checkpoint_path)
        self._is_unheard = self._run_or_begin().epoch > checkpoint_path.metrics.get("epoch", math.inf)

    def cleanup(self) -> None:
        self._run = None
        if self._ranks is not None:
            self._ranks.end()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._search})"

    def _begin(self, config: dict) -> None:
        """Forgets the last trial; the next is built with its first step, where running out of memory has a name."""
        self._params = config
        self._run: TrainingRun | RankedRun | None = None
        self._is_unheard = False

    def _run_or_begin(self) -> TrainingRun | RankedRun:
        if self._run is None:
            config = from_params(self._params, self._base)
            self._run = self._begun(config) if self._num_ranks == 1 else RankedRun(config, self._living_ranks)
        return self._run

    def _begun(self, config: TrialConfig) -> TrainingRun:
        torch.cuda.empty_cache()
        torch.set_num_threads(self._num_threads())
        return TrainingRun(config, self._splits, device=self._device)

    def _living_ranks(self) -> RankActors:
        if self._ranks is None or not self._ranks.are_alive:
            bundles = self.trial_resources.bundles
            self._ranks = RankActors(bundles, **self._data, device=self._device)
        return self._ranks

    def _num_threads(self) -> int:
        """One thread for each CPU of the trial: trials side by side must not crowd each other out."""
        return max(1, int(self.trial_resources.required_resources.get("CPU", 1)))

    def _ended(self, outcome: str, **numbers: object) -> dict[str, object]:
        """The last result of a trial that can't go on: the worst objective, which no search mistakes for a good one."""
        epoch = 1 if self._run is None else self._run.epoch + 1
        result = {OBJECTIVE: self._task.worst_objective, "epoch": epoch, "epoch_seconds": 0.0}
        return result | _last(outcome, numbers)

    def _publish(self, result: EpochResult) -> None:
        """Shows the trial's state on Ray's metrics port; the labels move on with the trial."""
        usage = [value for name, value in result.metrics.items() if name.startswith("moe/usage_")]
        values = {"objective": result.objective, "epoch": float(result.epoch)}
        values |= {"lowest_expert_usage": min(usage)} if usage else {}
        for name, value in values.items():
            self._gauges[name].set(value, tags={"search": self._search, "trial": self.trial_id})


def _last(outcome: str, numbers: Mapping[str, object]) -> dict[str, object]:
    """What only a trial's last result holds."""
    return {"done": True, "outcome": outcome} | {f"outcome_{name}": value for name, value in numbers.items()}


def first_from(path: Path) -> Path | None:
    """This checkpoint, or the first one after it that is still there: a later one may be half written."""
    return min((one for one in path.parent.glob("checkpoint_*") if one.name >= path.name), default=None)


_GAUGES = {
    "objective": "Validation objective of the last epoch",
    "epoch": "Epochs completed",
    "lowest_expert_usage": "Share of assignments of the least used expert",
}


def _gauge(name: str, text: str) -> Gauge:
    return Gauge(f"tuner_{name}", description=text, tag_keys=("search", "trial"))
