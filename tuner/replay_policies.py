"""The policies that a replay compares: pairs of a searcher and a scheduler, those of Ray as Ray wires them.

`ours` is the promoting policy, the very objects that `--policy promote` runs; on a table it chooses among the rows.
`ours-nearest` draws from the space there too, and gets the row nearest to what it proposed, as all others do; elsewhere
it is the same. `asha` is `--policy asha`. `stock` is Ray's OptunaSearch with Ray's ASHAScheduler. Whatever uses Ray's
scheduler is granted what it lacks: a trial ends at its first value that is not finite.
"""

from collections.abc import Callable
from dataclasses import dataclass

import optuna
from optuna.trial import TrialState
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from tuner.policy.candidates import CandidateSource, SpaceSource
from tuner.policy.outcomes import EPOCH
from tuner.policy import Terms
from tuner.promoting import PromotingProposer, PromotingScheduler
from tuner.proposer import Proposer
from tuner.replay_problems import Problem
from tuner.policy.rungs import rung_epochs
from tuner.scheduler import StoppingScheduler

OBJECTIVE = "objective"
ENOUGH_RESULTS = 10
"""Results at a rung from which on a model is fitted to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What all policies of a comparison are given."""

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


Pair = tuple[Searcher, TrialScheduler]


class Forgetful:
    """A ledger for searches that nobody will ask why."""

    decisions = ()

    def decision(self, trial: str, **fields) -> None:
        """Decisions of the stopping scheduler live in its rungs."""


def ours(setting: Setting) -> Pair:
    return _promoting(setting, setting.problem.source)


def ours_nearest(setting: Setting) -> Pair:
    return _promoting(setting, SpaceSource(setting.problem.space))


def asha(setting: Setting) -> Pair:
    scheduler = StoppingScheduler(Forgetful(), rung_epochs=setting.rungs, reduction_factor=setting.reduction_factor)
    scheduler.set_search_properties(OBJECTIVE, setting.problem.mode)
    return _proposer(setting, "tpe"), scheduler


def stock(setting: Setting) -> Pair:
    searcher = OptunaSearch(setting.problem.space, metric=OBJECTIVE, mode=setting.problem.mode, seed=setting.seed)
    return searcher, _ray_asha(setting)


def random_asha(setting: Setting) -> Pair:
    return _proposer(setting, "random"), _ray_asha(setting)


def random_only(setting: Setting) -> Pair:
    return _proposer(setting, "random"), FIFOScheduler()


def bohb_like(setting: Setting) -> Pair:
    return HighestRungSearcher(setting), _ray_asha(setting)


POLICIES: dict[str, Callable[[Setting], Pair]] = {
    "ours": ours,
    "ours-nearest": ours_nearest,
    "asha": asha,
    "stock": stock,
    "random+asha": random_asha,
    "random": random_only,
    "bohb-like": bohb_like,
}


class HighestRungSearcher(Searcher):
    """TPE fitted to the results of the highest rung that has enough of them, as BOHB chooses its model's budget.

    Source: Falkner, Klein, Hutter, "BOHB: Robust and Efficient Hyperparameter Optimization at Scale", ICML 2018,
    https://arxiv.org/abs/1807.01774.
    """

    def __init__(self, setting: Setting) -> None:
        super().__init__(metric=OBJECTIVE, mode=setting.problem.mode)
        self._problem, self._seed = setting.problem, setting.seed
        self._results: dict[int, dict[str, float]] = {
            epoch: {} for epoch in (*setting.rungs, setting.problem.max_epochs)
        }
        self._asked: dict[str, optuna.Trial] = {}

    def suggest(self, trial_id: str) -> dict:
        study = self._study()
        trial = study.ask()
        params = self._problem.space(trial)
        self._asked[trial_id] = trial
        return params

    def on_trial_result(self, trial_id: str, result: dict) -> None:
        if result[EPOCH] in self._results:
            self._results[result[EPOCH]][trial_id] = result[self.metric]

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        if result and not error:
            self.on_trial_result(trial_id, result)

    def save(self, checkpoint_path: str) -> None:
        raise NotImplementedError

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError

    def _study(self) -> optuna.Study:
        sampler = optuna.samplers.TPESampler(seed=self._seed * 100_003 + len(self._asked))
        direction = {"max": "maximize", "min": "minimize"}[self.mode]
        study = optuna.create_study(sampler=sampler, direction=direction)
        enough = [epoch for epoch, results in self._results.items() if len(results) >= ENOUGH_RESULTS]
        for trial_id, value in self._results[max(enough)].items() if enough else ():
            asked = self._asked[trial_id]
            study.add_trial(
                optuna.trial.create_trial(
                    params=asked.params, distributions=asked.distributions, value=value, state=TrialState.COMPLETE
                )
            )
        return study


def _promoting(setting: Setting, source: CandidateSource) -> Pair:
    problem = setting.problem
    terms = Terms(
        rung_epochs=tuple(setting.rungs),
        max_epochs=problem.max_epochs,
        reduction_factor=setting.reduction_factor,
        mode=problem.mode,
        slots=setting.slots,
        seed=setting.seed,
    )
    proposer = PromotingProposer(problem.space, terms, metric=OBJECTIVE, source=source)
    return proposer, PromotingScheduler(proposer, Forgetful())


def _proposer(setting: Setting, sampler: str) -> Proposer:
    problem = setting.problem
    return Proposer(
        problem.space,
        metric=OBJECTIVE,
        mode=problem.mode,
        max_epochs=problem.max_epochs,
        seed=setting.seed,
        sampler=sampler,
    )


def _ray_asha(setting: Setting) -> ASHAScheduler:
    return ASHAScheduler(
        time_attr=EPOCH,
        metric=OBJECTIVE,
        mode=setting.problem.mode,
        max_t=setting.problem.max_epochs,
        grace_period=setting.grace_epochs,
        reduction_factor=setting.reduction_factor,
    )
