"""Syne Tune's BOHB, MOBSTER and Hyper-Tune: its own settings, its asynchronous successive halving decides.

Sources: Falkner et al., ICML 2018, https://arxiv.org/abs/1807.01774 (BOHB); Klein et al., 2020,
https://arxiv.org/abs/2003.10865 (MOBSTER); Li et al., VLDB 2022, https://arxiv.org/abs/2201.06834 (Hyper-Tune). The
schedulers are of the type `promotion`, as in Syne Tune's own benchmarks of them. Hyper-Tune needs several brackets to
choose from, and gets one for each rung. Syne Tune knows no conditions: every parameter has a value everywhere. Its
BOHB decodes whole numbers from 1 upwards, whatever their range (legacy_kde_searcher.py, `_from_feature`): one below the
range counts as its low end.
"""

from datetime import datetime
from typing import Any

from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import Domain, choice, lograndint, loguniform, randint, uniform
from syne_tune.optimizer.legacy_baselines import BOHB, MOBSTER, HyperTune
from syne_tune.optimizer.scheduler import SchedulerDecision

from benchmarks.replay.peer_process.interface import CONTINUE, PAUSE, STOP, Parameter, PeerSetting

OBJECTIVE, EPOCH = "objective", "epoch"
MOST_BRACKETS = 100
"""Syne Tune lowers it to the number of rungs."""
SCHEDULERS = {"bohb": (BOHB, {}), "mobster": (MOBSTER, {}), "hyper-tune": (HyperTune, {"brackets": MOST_BRACKETS})}
DECISIONS = {SchedulerDecision.CONTINUE: CONTINUE, SchedulerDecision.PAUSE: PAUSE, SchedulerDecision.STOP: STOP}


class SyneTune:
    """Makes the calls of Syne Tune's tuner, in its order."""

    def __init__(self, setting: PeerSetting) -> None:
        scheduler, options = SCHEDULERS[setting.peer]
        self._scheduler = scheduler(
            {one["name"]: _domain(one) for one in setting.space},
            metric=OBJECTIVE,
            mode=setting.mode,
            type="promotion",
            resource_attr=EPOCH,
            grace_period=setting.first_rung,
            max_t=setting.max_epochs,
            reduction_factor=setting.reduction_factor,
            random_seed=setting.seed,
            search_options={"debug_log": False},
            **options,
        )
        self._trials: dict[int, Trial] = {}
        self._lowest = {one["name"]: one["low"] for one in setting.space if one["type"] == "int"}

    def suggest(self, trial: int) -> dict[str, Any] | None:
        suggestion = self._scheduler.suggest(trial)
        if suggestion is None:
            return None
        if not suggestion.spawn_new_trial_id:
            return {"resume": suggestion.checkpoint_trial_id}
        new = Trial(trial, suggestion.config, datetime.now())
        self._trials[trial] = new
        self._scheduler.on_trial_add(new)
        return {"start": {name: self._plain(name, value) for name, value in new.config.items()}}

    def report(self, trial: int, epoch: int, value: float) -> str:
        decision = self._scheduler.on_trial_result(self._trials[trial], {OBJECTIVE: value, EPOCH: epoch})
        if decision != SchedulerDecision.CONTINUE:
            self._scheduler.on_trial_remove(self._trials[trial])
        return DECISIONS[decision]

    def fail(self, trial: int) -> None:
        self._scheduler.on_trial_error(self._trials[trial])

    def _plain(self, name: str, value: Any) -> Any:
        """A place that is text, as choices have it, is a number again."""
        return int(value) if isinstance(value, str) else max(value, self._lowest.get(name, value))


def build(setting: PeerSetting) -> SyneTune:
    return SyneTune(setting)


def _domain(one: Parameter) -> Domain:
    if one["type"] == "choice":
        return choice([str(place) for place in range(int(one["high"]) + 1)])
    if one["type"] == "int":
        return (lograndint if one["log"] else randint)(int(one["low"]), int(one["high"]))
    return (loguniform if one["log"] else uniform)(one["low"], one["high"])
