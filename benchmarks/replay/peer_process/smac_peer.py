"""SMAC3's multi-fidelity facade: a random forest proposes, Hyperband decides; its own settings.

Source: Lindauer et al., "SMAC3: A Versatile Bayesian Optimization Package for Hyperparameter Optimization", JMLR 2022,
https://jmlr.org/papers/v23/21-0888.html. Its first rung is the full length divided by 3 until the next division would
fall below the first rung given: 52, 17 and 6 epochs where that is 3.
"""

import math
import tempfile
from pathlib import Path
from typing import Any

from smac import MultiFidelityFacade, Scenario
from smac.runhistory import StatusType, TrialInfo, TrialValue

from benchmarks.replay.peer_process.budgeted import BudgetedPeer
from benchmarks.replay.peer_process.config_space import configuration_space, plain
from benchmarks.replay.peer_process.interface import PeerSetting


class Smac(BudgetedPeer):
    def __init__(self, setting: PeerSetting) -> None:
        super().__init__(setting)
        self._folder = tempfile.TemporaryDirectory(prefix="replay-smac-")
        scenario = Scenario(
            configuration_space(setting),
            name="replay",
            output_directory=Path(self._folder.name),
            deterministic=True,
            min_budget=setting.first_rung,
            max_budget=setting.max_epochs,
            n_trials=_num_trials(setting),
            seed=setting.seed,
        )
        self._smac = MultiFidelityFacade(scenario, _never, overwrite=True, logging_level=False)

    def ask(self) -> tuple[TrialInfo, dict[str, Any], float]:
        info = self._smac.ask()
        return info, plain(info.config), info.budget

    def tell(self, job: TrialInfo, cost: float, *, failed: bool) -> None:
        status = StatusType.CRASHED if failed else StatusType.SUCCESS
        self._smac.tell(job, TrialValue(cost=cost, status=status), save=False)


def build(setting: PeerSetting) -> Smac:
    return Smac(setting)


def _num_trials(setting: PeerSetting) -> int:
    """About as many evaluations as the budget pays for: Hyperband gets one at each rung for the epochs of a training.
    SMAC draws a quarter of them at random first, its default."""
    rungs = 1 + int(math.log(setting.max_epochs / setting.first_rung, setting.reduction_factor))
    return setting.trainings * rungs


def _never(config: Any, seed: int, budget: float) -> float:
    """Placeholder: the facade requires a function, but does not call it with ask and tell."""
    raise AssertionError("the replay tells the values")
