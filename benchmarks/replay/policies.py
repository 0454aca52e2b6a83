"""The policies that a replay compares: ours, and pairs of a searcher and a scheduler of Ray, as Ray wires them.

`ours` is the promoting policy, the class that `--scheduler asha` runs; on a table it chooses among the rows.
`ours-told` and `stock-told` propose freely on a table and are told the row that they got (told.py); elsewhere they are
`ours` and `stock`. The others get the row nearest to their proposal and are not told. `asha-stopping` and `random` are
`--scheduler asha-stopping` with `tpe` and `--scheduler none` with `random`. `stock` is Ray's OptunaSearch with Ray's
ASHAScheduler. Policies with Ray's scheduler get what it lacks: a trial ends at its first value that is not finite.
"""

from collections.abc import Callable
from dataclasses import dataclass

import optuna
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from benchmarks.replay.peers import EPOCH, OBJECTIVE, HighestRungSearcher, RayPolicy
from benchmarks.replay.problems import Problem, TableProblem
from benchmarks.replay.told import ToldOptunaSearcher, ToldPolicy
from tuner.policy.candidates import SpaceSource
from tuner.policy.halving import HalvingConfig, rung_epochs
from tuner.policy.policy import Policy
from tuner.policy.samplers.sampler import RandomSampler
from tuner.policy.samplers.tpe import TpeSampler
from tuner.policy.schedulers.promoting import PromotingPolicy
from tuner.policy.schedulers.stopping import StoppingPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The inputs that all policies of a comparison share."""

    problem: Problem
    slots: int
    seed: int
    grace_epochs: int
    reduction_factor: int = 3

    @property
    def rungs(self) -> tuple[int, ...]:
        return rung_epochs(
            grace_epochs=self.grace_epochs,
            max_epochs=self.problem.max_epochs,
            reduction_factor=self.reduction_factor,
        )

    def config(self, *, rungs: tuple[int, ...]) -> HalvingConfig:
        return HalvingConfig(
            rung_epochs=rungs,
            max_epochs=self.problem.max_epochs,
            reduction_factor=self.reduction_factor,
            mode=self.problem.mode,
            slots=self.slots,
            seed=self.seed,
        )


def ours(setting: Setting) -> Policy:
    return PromotingPolicy(setting.problem.source, setting.config(rungs=setting.rungs))


def ours_told(setting: Setting) -> Policy:
    if not isinstance(setting.problem, TableProblem):
        return ours(setting)
    return ToldPolicy(setting.problem, setting.config(rungs=setting.rungs))


def asha_stopping(setting: Setting) -> Policy:
    sampler = TpeSampler(setting.problem.space, mode=setting.problem.mode)
    return StoppingPolicy(sampler, setting.config(rungs=setting.rungs))


def stock(setting: Setting) -> Policy:
    return _with_ray_asha(setting, _optuna_search(setting, seed=setting.seed))


def stock_told(setting: Setting) -> Policy:
    if not isinstance(setting.problem, TableProblem):
        return stock(setting)
    return _with_ray_asha(setting, ToldOptunaSearcher(setting.problem, seed=setting.seed))


def random_asha(setting: Setting) -> Policy:
    return _with_ray_asha(setting, _optuna_search(setting, sampler=optuna.samplers.RandomSampler(setting.seed)))


def random_only(setting: Setting) -> Policy:
    return StoppingPolicy(RandomSampler(SpaceSource(setting.problem.space)), setting.config(rungs=()))


def bohb_like(setting: Setting) -> Policy:
    searcher = HighestRungSearcher(setting.problem, rung_epochs=setting.rungs, seed=setting.seed)
    return _with_ray_asha(setting, searcher)


POLICIES: dict[str, Callable[[Setting], Policy]] = {
    "ours": ours,
    "ours-told": ours_told,
    "asha-stopping": asha_stopping,
    "stock": stock,
    "stock-told": stock_told,
    "random+asha": random_asha,
    "random": random_only,
    "bohb-like": bohb_like,
}


def _optuna_search(setting: Setting, **options) -> OptunaSearch:
    return OptunaSearch(setting.problem.space, metric=OBJECTIVE, mode=setting.problem.mode, **options)


def _with_ray_asha(setting: Setting, searcher: Searcher) -> RayPolicy:
    scheduler = ASHAScheduler(
        time_attr=EPOCH,
        metric=OBJECTIVE,
        mode=setting.problem.mode,
        max_t=setting.problem.max_epochs,
        grace_period=setting.grace_epochs,
        reduction_factor=setting.reduction_factor,
    )
    return RayPolicy(searcher, scheduler, slots=setting.slots, max_epochs=setting.problem.max_epochs)
