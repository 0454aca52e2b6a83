"""DEHB: differential evolution in place of Hyperband's random configurations; its own settings.

Source: Awad, Mallik, Hutter, "DEHB: Evolutionary Hyperband for Scalable, Robust and Efficient Hyperparameter
Optimization", IJCAI 2021, https://arxiv.org/abs/2105.09821. Its rungs are those of SMAC (smac_peer.py).
"""

import tempfile
from typing import Any

from dehb import DEHB

from benchmarks.replay.peer_process.budgeted import BudgetedPeer
from benchmarks.replay.peer_process.config_space import configuration_space, plain
from benchmarks.replay.peer_process.interface import PeerSetting


class Dehb(BudgetedPeer):
    def __init__(self, setting: PeerSetting) -> None:
        super().__init__(setting)
        self._folder = tempfile.TemporaryDirectory(prefix="replay-dehb-")
        self._dehb = DEHB(
            cs=configuration_space(setting),
            min_fidelity=setting.first_rung,
            max_fidelity=setting.max_epochs,
            eta=setting.reduction_factor,
            seed=setting.seed,
            # Number of its own processes: with ask and tell it starts none, for any number of workers of the caller.
            n_workers=1,
            save_freq="end",
            output_path=self._folder.name,
            log_level="ERROR",
        )

    def ask(self) -> tuple[dict, dict[str, Any], float]:
        job = self._dehb.ask()
        return job, plain(job["config"]), float(job["fidelity"])

    def tell(self, job: dict, cost: float, *, failed: bool) -> None:
        self._dehb.tell(job, {"fitness": cost, "cost": float(job["fidelity"])})


def build(setting: PeerSetting) -> Dehb:
    return Dehb(setting)
