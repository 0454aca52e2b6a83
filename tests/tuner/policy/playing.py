"""Plays policies without training, and tells new ones what others were told."""

import math
import random
import sys
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import optuna

from tuner.policy.candidates import SpaceSource
from tuner.policy.halving import HalvingConfig
from tuner.policy.outcomes import Outcome
from tuner.policy.policy import Consequences, NoWork, Policy
from tuner.policy.simulation import SimulatedSearch, SimulatedTrial
from tuner.policy_from_records import policy_of
from tuner.records.settings import SAMPLERS, SCHEDULERS

RUNGS, MAX_EPOCHS = (1, 3), 9
EVOLUTION = f"{__name__}:evolution"
"""A sampler of one's own, which notes generations and parents with its trials."""
PAIRS = [f"{scheduler} {sampler}" for scheduler in SCHEDULERS for sampler in (*SAMPLERS, EVOLUTION)]
DEFAULT = {"rate": 1e-2, "layers": 3, "kind": "plain", "share": 0.2}
PAST = [
    ({"rate": 0.05, "layers": 5, "kind": "plain", "share": 0.1}, {1: 0.3, 2: 0.4, 3: 0.5}, Outcome.STOPPED_AT_RUNG),
    (DEFAULT | {"kind": "mixed", "experts": 8, "top_k": 2}, {n: 0.1 * n for n in range(1, 10)}, Outcome.COMPLETED),
    (DEFAULT | {"rate": 0.09}, {1: 0.3}, Outcome.DIVERGED),
    (DEFAULT | {"rate": 0.03}, {1: 0.3, 2: 0.5, 3: 0.5, 4: 0.5}, Outcome.PLATEAUED),
]
"""Answers, values and outcomes of trials of another search."""


def evolution(seed: int) -> optuna.samplers.BaseSampler:
    return optuna.samplers.NSGAIISampler(population_size=4, seed=seed)


def space(trial: Any) -> dict:
    """Every kind of parameter, and two that are only asked for under a condition."""
    params = {
        "rate": trial.suggest_float("rate", 1e-4, 1e-1, log=True),
        "share": trial.suggest_float("share", 0.0, 0.5, step=0.1),
        "layers": trial.suggest_int("layers", 1, 6),
        "kind": trial.suggest_categorical("kind", ("plain", "mixed")),
    }
    if params["kind"] == "mixed":
        params["experts"] = trial.suggest_int("experts", 2, 32, log=True)
        params["top_k"] = trial.suggest_categorical("top_k", (1, 2, None))
    return params


SOURCE = SpaceSource(space)


def quality(params: dict, epoch: int) -> float:
    """Best at a rate of 0.01, better when mixed, a little noisy; high rates diverge in epoch 2."""
    if params["rate"] > 0.02 and epoch >= 2:
        return math.nan
    noise = zlib.crc32(repr((sorted(params.items(), key=str), epoch)).encode()) / 2**32
    level = 0.9 - 0.1 * math.log10(params["rate"] / 1e-2) ** 2 + 0.05 * (params["kind"] == "mixed")
    return level * (1 - 0.6**epoch) + 0.01 * noise


def make(pair: str, *, asked: Callable[[Any], dict] = space, first: Sequence[dict] = (DEFAULT,), **changed) -> Policy:
    """The policy of a scheduler, such as `asha`, or of a scheduler and a sampler, such as `asha random`."""
    scheduler, _, sampler = pair.partition(" ")
    rungs = () if scheduler == "none" else RUNGS
    options = {"rung_epochs": rungs, "max_epochs": MAX_EPOCHS, "reduction_factor": 3, "mode": "max", "slots": 1}
    config = HalvingConfig(**options | {"seed": 0, "num_trials": 30} | changed)
    candidates = [SpaceSource(asked).of(answers) for answers in first]
    return policy_of(scheduler, sampler or "forecast", asked, config, first=candidates)


def add_past(policy: Policy) -> None:
    for number, (answers, values, outcome) in enumerate(PAST):
        policy.add_past_trial(f"past/{number:03d}-0123abcd", SOURCE.of(answers), values, outcome)


class Noted:
    """A policy that notes what it is told and what it answers."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.calls: list[tuple] = []

    @property
    def paused(self):
        return self.policy.paused

    def next_work(self):
        return self.policy.next_work()

    def promotion_of(self, trial):
        return self.policy.promotion_of(trial)

    def start(self, trial, candidate):
        self._note("start", trial, candidate.answers)
        self.policy.start(trial, candidate)

    def promote(self, promotion):
        answer = self.policy.decision_on(promotion.trial, "promote", to_epoch=promotion.to_epoch)
        self._note("promote", promotion, answer=answer)
        self.policy.promote(promotion)

    def decision_on(self, trial, action, *, to_epoch=None):
        return self.policy.decision_on(trial, action, to_epoch=to_epoch)

    def report(self, trial, *, epoch, value):
        answer = self.policy.report(trial, epoch=epoch, value=value)
        return self._note("report", trial, epoch, value, answer=answer)

    def end(self, trial, outcome):
        self._note("end", trial, outcome)
        self.policy.end(trial, outcome)

    def add_past_trial(self, trial, candidate, values, outcome):
        self._note("add_past_trial", trial, candidate.answers, values, outcome)
        self.policy.add_past_trial(trial, candidate, values, outcome)

    def _note(self, *call, answer=None):
        self.calls.append((*call, answer))
        return answer


def retold(calls: Iterable[tuple], policy: Policy, *, source: SpaceSource = SOURCE) -> Policy:
    """Tells the policy all of that, and asks it nothing; configurations come back from their answers."""
    for name, *given, _ in calls:
        if name == "start":
            policy.start(given[0], source.of(given[1]))
        elif name == "report":
            policy.report(given[0], epoch=given[1], value=given[2])
        elif name == "add_past_trial":
            policy.add_past_trial(given[0], source.of(given[1]), *given[2:])
        else:
            getattr(policy, name)(*given)
    return policy


class Player(SimulatedSearch):
    """Plays a search in an order that is drawn, and with all that can happen to a trial.

    Args:
        mishaps: how often an epoch brings something else than its result.
    """

    def __init__(self, policy: Policy, *, seed: int = 0, mishaps: float = 0.3, value=quality) -> None:
        self._draw, self._mishaps = random.Random(seed), mishaps
        super().__init__(
            Noted(policy),
            slots=sys.maxsize,
            max_epochs=MAX_EPOCHS,
            value=lambda trial: value(trial.candidate.params, trial.epoch),
            seconds=lambda trial, begins: self._draw.random(),
        )

    @property
    def noted(self) -> Noted:
        return self.policy

    def play(self, epochs: float = math.inf) -> "Player":
        """So many, or until nothing is left to do."""
        self.run(self.num_epochs + epochs)
        return self

    def next_work(self) -> SimulatedTrial | None:
        trial = super().next_work()
        assert trial or (self.policy.next_work() is NoWork.FINISHED) == (not self.running)
        return trial

    def take(self, trial: SimulatedTrial, value: float) -> Consequences:
        if not math.isfinite(value) or self._draw.random() >= self._mishaps:
            return super().take(trial, value)
        outcome = self._draw.choice([*Outcome, "lost", "lost"])
        if outcome in (Outcome.PLATEAUED, Outcome.EXPERTS_COLLAPSED):
            self.policy.report(trial.name, epoch=trial.epoch, value=value)
        ended = (Outcome.PLATEAUED, Outcome.EXPERTS_COLLAPSED, Outcome.OUT_OF_MEMORY, Outcome.FAILED)
        # What is over a limit is found out before its first epoch.
        if outcome in ended or (outcome is Outcome.OVER_LIMIT and trial.epoch == 1):
            self.policy.end(trial.name, outcome)
            return Consequences(outcome=outcome)
        # Its checkpoint is damaged, and it begins anew; or the epoch is trained once more.
        trial.epoch = 0 if outcome == "lost" else trial.epoch - 1
        return Consequences(goes_on=True)
