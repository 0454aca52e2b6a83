"""Retrains the exported configuration in this process, without Ray, and compares the curves."""

import math
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from trainable.run import EpochResult, run_epochs
from trainable.run_setup import open_run
from trainable.workloads.exported_config import read_exported_config
from tuner import formatting
from tuner.records import TrialRecord
from tuner.records.settings import RecordedSettings

CPU_TOLERANCE, GPU_TOLERANCE = 0.0, 0.02
"""Largest difference that counts as the same curve, as a share of the objective's median size; several ranks on a CPU
use that of a GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Two curves of one configuration, epoch by epoch."""

    searched: list[float]
    retrained: list[float]

    @property
    def largest_difference(self) -> float:
        """Largest difference of the curves; infinite if the second is shorter, NaN if a value is NaN."""
        if len(self.retrained) < len(self.searched):
            return math.inf
        return float(np.abs(np.subtract(self.searched, self.retrained)).max())

    def is_within(self, tolerance: float) -> bool:
        """Whether the curves agree within `tolerance`, a share of the objective's median size."""
        return self.largest_difference <= tolerance * float(np.median(np.abs(self.searched)))


def report_verification(settings: RecordedSettings, trial: TrialRecord, config: Path) -> bool:
    """Retrains an exported configuration, printing each epoch beside the trial's own; returns whether they agree.

    Raises:
        ValueError: the search had a GPU and this machine has none, or the data has changed.
    """
    resources = settings.resources
    if resources.device == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"{config.parent.parent} was searched on a GPU, and this machine has none; verify it where there is one."
        )
    compared = _retrained(config, resources.device, [trial.results[epoch].objective for epoch in sorted(trial.results)])
    is_exact = resources.device == "cpu" and resources.ranks_per_trial == 1
    is_same, difference = compared.is_within(CPU_TOLERANCE if is_exact else GPU_TOLERANCE), compared.largest_difference
    verdict = "the same to the bit" if difference == 0 else "within tolerance" if is_same else "DIFFERENT"
    epochs = formatting.count(len(compared.searched), "epoch")
    sys.stdout.write(f"{epochs} compared, largest difference {difference:.3g}: {verdict}\n")
    return is_same


def _retrained(config: Path, device: str, searched: list[float]) -> Verification:
    exported = read_exported_config(config)
    torch.set_num_threads(exported.num_threads)

    def print_epoch(result: EpochResult) -> None:
        before = formatting.number(searched[result.epoch - 1], 6) if result.epoch <= len(searched) else "-"
        retrained = formatting.number(result.objective, 6)
        sys.stdout.write(f"epoch {result.epoch:3d}  search {before}  retrained {retrained}\n")
        sys.stdout.flush()

    results = run_epochs(open_run(exported, device), on_epoch=print_epoch)
    return Verification(searched=searched, retrained=[result.objective for result in results][: len(searched)])
