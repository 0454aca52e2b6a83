"""Optuna's TPE as a sampler of configurations, the same after a resume and as quick after ten thousand trials.

What: every proposal has a sampler of its own, seeded by the proposal's number, on a study of the ended and the running
trials; so it follows from what was told, and from nothing else. A complete trial has its full length, or had stopped
improving. One stopped at a rung is pruned, with the values it had. One whose configuration is to blame (diverged, out
of memory, experts collapsed) is pruned and infeasible, which TPE ranks behind all others however good its early values
were. The rest has failed and teaches nothing.
TPE divides the ended trials into the best (a tenth, at most 25) and the rest, and its time grows with the rest: a long
study is replaced now and then by one of its best trials, its latest, and those that run.
Source: Bergstra, Bardenet, Bengio, Kegl, "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011,
https://papers.nips.cc/paper/4443-algorithms-for-hyper-parameter-optimization.
Cost: 5 to 10 ms a proposal. Off: `--policy random`.
"""

import random
import warnings
from collections.abc import Callable, Iterable

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState

from tuner.policy.candidates import Candidate
from tuner.policy.outcomes import Outcome
from tuner.policy.proposals import TRIES

NUM_BEST = 50
"""TPE takes no more than 25 of them for the best."""
NUM_LATEST = 250
NUM_BETWEEN = 100
"""Trials that end before a study is replaced."""
STATES = {
    Outcome.COMPLETED: TrialState.COMPLETE,
    Outcome.PLATEAUED: TrialState.COMPLETE,
    Outcome.STOPPED_AT_RUNG: TrialState.PRUNED,
    Outcome.DIVERGED: TrialState.PRUNED,
    Outcome.OUT_OF_MEMORY: TrialState.PRUNED,
    Outcome.EXPERTS_COLLAPSED: TrialState.PRUNED,
    Outcome.FAILED: TrialState.FAIL,
}


class TpeSampler:
    """Asks Optuna for configurations and tells it what came of them.

    Args:
        space: asks a trial for its parameters and returns those of a training.
        mode: `max` or `min`.
    """

    def __init__(self, space: Callable[[optuna.Trial], dict], *, mode: str) -> None:
        self._space = space
        self._direction = {"max": "maximize", "min": "minimize"}[mode]
        self._sign = {"max": -1.0, "min": 1.0}[mode]
        self._study = self._new_study()
        self._open: dict[str, optuna.Trial] = {}
        self._last_values: dict[str, float] = {}
        self._ended: list[FrozenTrial] = []

    def draw(self, generator: random.Random) -> Iterable[Candidate]:
        for _ in range(TRIES):
            self._study.sampler = _sampler(generator.getrandbits(32))
            trial = self._study.ask()
            params = self._space(trial)
            # What is drawn may be refused, and is no trial before it begins.
            self._study.tell(trial, state=TrialState.FAIL)
            yield Candidate(trial.params, params)

    def begin(self, trial: str, candidate: Candidate) -> None:
        self._study.enqueue_trial(candidate.answers)
        self._open[trial] = self._study.ask()
        self._space(self._open[trial])

    def record(self, trial: str, *, epoch: int, value: float) -> None:
        """An epoch that is repeated counts once."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            self._open[trial].report(value, epoch)
        self._last_values[trial] = value

    def end(self, trial: str, outcome: Outcome) -> None:
        ended, state = self._open.pop(trial), STATES[outcome]
        if outcome.counts_as_bad:
            ended.set_constraint("outcome", 1.0)
        value = self._last_values.pop(trial, None)
        self._ended.append(self._study.tell(ended, value if state is TrialState.COMPLETE else None, state=state))
        if len(self._ended) > NUM_BEST + NUM_LATEST + NUM_BETWEEN:
            self._shorten()

    def _shorten(self) -> None:
        """A new study of the trials that matter, in the order in which they began."""
        shown = [trial for trial in self._ended if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
        best = sorted(shown, key=self._badness)[:NUM_BEST]
        kept = {trial.number for trial in (*best, *shown[-NUM_LATEST:])}
        open_trials = {trial.number: name for name, trial in self._open.items()}
        former, self._study = self._study, self._new_study()
        self._ended = [trial for trial in self._ended if trial.number in kept]
        renumbered = {}
        for trial in former.get_trials(deepcopy=False):
            if trial.number in kept:
                renumbered[trial.number] = len(self._study.get_trials(deepcopy=False))
                self._study.add_trial(trial)
            elif trial.number in open_trials:
                self._reopen(open_trials[trial.number], trial)
        added = self._study.get_trials(deepcopy=False)
        self._ended = [added[renumbered[trial.number]] for trial in self._ended]

    def _reopen(self, name: str, trial: FrozenTrial) -> None:
        self.begin(name, Candidate(trial.params, {}))
        for epoch, value in trial.intermediate_values.items():
            self._open[name].report(value, epoch)

    def _badness(self, trial: FrozenTrial) -> tuple[int, float, float]:
        """TPE's own order: complete trials by value, pruned ones by how far they came, infeasible ones last."""
        if any(value > 0 for value in trial.constraints.values()):
            return 2, 0.0, 0.0
        if trial.state is TrialState.COMPLETE:
            return 0, self._sign * trial.value, 0.0
        step, value = max(trial.intermediate_values.items(), default=(-1, 0.0))
        return 1, -step, self._sign * value

    def _new_study(self) -> optuna.Study:
        return optuna.create_study(direction=self._direction)


def _sampler(seed: int) -> optuna.samplers.BaseSampler:
    """Joint over each group of parameters that occur together, which is what a conditional space needs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True)
