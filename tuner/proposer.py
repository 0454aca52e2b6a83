"""Which configuration next: Optuna as a Ray searcher that says at which epoch a value was measured, and why it ended.

Ray's own bridge tells every stopped trial as complete with its early value, and leaves a trial with a NaN running for
ever. Here a complete trial has its full length, or had stopped improving. One stopped at a rung is pruned, with the
values it had, by epoch. One whose configuration is to blame (diverged, out of memory, experts collapsed) is pruned and
infeasible, which TPE ranks behind all others however good its early values were. The rest has failed and teaches
nothing. Nothing non-finite gets through.
"""

import logging
import math
import pickle
import warnings
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.trial import TrialState
from ray.tune.search import Searcher

from tuner.extension import PastTrial
from tuner.outcomes import EPOCH, Outcome, outcome_of
from tuner.study import new_study
from tuner.study_mirror import StudyMirror

logger = logging.getLogger(__name__)

DUPLICATE_TRIES = 20
"""How often at most Optuna is asked for a configuration that was not proposed before."""


@dataclass(slots=True)
class Proposal:
    """A configuration that is being tried."""

    number: int | None
    trial: optuna.Trial | None
    """None once Optuna knows the end; asking the study would list all its trials at every result."""
    epoch: int = 0
    """The last one whose value Optuna knows."""


class Proposer(Searcher):
    """Asks Optuna for configurations and tells it what came of them.

    Args:
        space: asks a trial for its parameters and returns them as a dict; picklable.
        enqueue: what to try first, in this order: the parameters that the space asks for, by name.
        sampler: `tpe` or `random`.
        max_epochs: the full length of a trial.
        mirror: keeps a copy of the finished trials on disk.
    """

    def __init__(
        self,
        space: Callable[[optuna.Trial], dict],
        *,
        metric: str,
        mode: str,
        max_epochs: int,
        seed: int,
        sampler: str = "tpe",
        enqueue: Iterable[dict] = (),
        mirror: StudyMirror | None = None,
    ) -> None:
        super().__init__(metric=metric, mode=mode)
        self._space = space
        self._max_epochs = max_epochs
        self._mirror = mirror
        self._study = new_study(sampler, mode=mode, seed=seed)
        self._proposals: dict[str, Proposal] = {}
        self._tried: set[int] = set()
        self._taken: set[int | None] = set()
        self._lowest_free = 0
        for params in enqueue:
            check_params(space, params)
            self._study.enqueue_trial(params, skip_if_exists=True)

    def learn(self, past: Iterable[PastTrial]) -> None:
        """Takes in ended trials of earlier runs, or of another search, before it asks for the first of its own."""
        for one in past:
            self._study.add_trial(one.frozen)
            self._proposals[one.trial_id] = Proposal(one.number, None)
            self._taken.add(one.number)
            self._tried.add(_key(one.frozen))

    @property
    def study(self) -> optuna.Study:
        return self._study

    @property
    def has_nothing_left(self) -> bool:
        """Whether no more trials will come, however many were asked for."""
        return False

    @property
    def given_up(self) -> str | None:
        """The last trial that was to end so that its checkpoint makes room."""
        return None

    def give_up_one(self, *, kept: Collection[str]) -> bool:
        """Whether one of the waiting trials, none of `kept`, is to end."""
        return False

    def number_of(self, trial_id: str) -> int | None:
        """0 for the first proposal, the default when that was enqueued first; None for a trial that is unknown here."""
        proposal = self._proposals.get(trial_id)
        return None if proposal is None else proposal.number

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict, **spec) -> bool:
        """Ray hands over what TuneConfig says, which must be what this was made for."""
        return (metric, mode) == (self.metric, self.mode)

    def suggest(self, trial_id: str) -> dict:
        trial, params = self._ask()
        self._tried.add(_key(trial))
        proposal = Proposal(self._free_number(), trial)
        self._proposals[trial_id] = proposal
        trial.set_user_attr("number", proposal.number)
        trial.set_user_attr("trial", trial_id)
        return params

    def on_trial_result(self, trial_id: str, result: dict) -> None:
        """Reports each epoch once, even one that is repeated after a restore."""
        if proposal := self._running(trial_id):
            self._report(proposal, epoch=result[EPOCH], value=result[self.metric])

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        proposal = self._running(trial_id)
        if proposal is None:
            return
        outcome = outcome_of(result, objective=self.metric, max_epochs=self._max_epochs)
        if error or outcome is Outcome.INTERRUPTED:
            self._tell(proposal, Outcome.FAILED if error else outcome, epoch=proposal.epoch)
            return
        epoch, value = result[EPOCH], result[self.metric]
        if not outcome.counts_as_bad:
            self._report(proposal, epoch=epoch, value=value)
        is_complete = _STATES[outcome] is TrialState.COMPLETE
        self._tell(proposal, outcome, epoch=epoch, value=value if is_complete else None)

    def close(self) -> None:
        """Ends what still runs when the search is over: Ray says nothing of trials that a time budget cut off."""
        for trial_id in self._proposals:
            if proposal := self._running(trial_id):
                self._tell(proposal, Outcome.INTERRUPTED, epoch=proposal.epoch)

    def save(self, checkpoint_path: str) -> None:
        self._save(checkpoint_path)

    def restore(self, checkpoint_path: str) -> None:
        self._restore(checkpoint_path)

    def _save(self, checkpoint_path: str, **more: object) -> None:
        state = {"study": self._study, "proposals": self._proposals}
        Path(checkpoint_path).write_bytes(pickle.dumps(state | more))

    def _restore(self, checkpoint_path: str) -> dict[str, object]:
        state = pickle.loads(Path(checkpoint_path).read_bytes())
        self._study, self._proposals = state["study"], state["proposals"]
        self._tried = {_key(trial) for trial in self._study.get_trials(deepcopy=False) if trial.params}
        self._taken, self._lowest_free = {proposal.number for proposal in self._proposals.values()}, 0
        return state

    def _ask(self) -> tuple[optuna.Trial, dict]:
        """Refuses what was proposed before, for as long as there is hope of something new."""
        for tries_left in reversed(range(DUPLICATE_TRIES)):
            trial = self._study.ask()
            params = self._space(trial)
            if _key(trial) not in self._tried:
                break
            if tries_left:
                self._study.tell(trial, state=TrialState.FAIL)
            else:
                logger.warning("nothing new in %d tries: %s is tried again", DUPLICATE_TRIES, trial.params)
        return trial, params

    def _free_number(self) -> int:
        """The lowest: of a search that went on in a new run of Ray's, some were tried and did not end."""
        while self._lowest_free in self._taken:
            self._lowest_free += 1
        self._taken.add(self._lowest_free)
        return self._lowest_free

    def _running(self, trial_id: str) -> Proposal | None:
        """None once Optuna knows the end, and for a trial younger than the snapshot a killed search came back from."""
        proposal = self._proposals.get(trial_id)
        if proposal is None:
            logger.warning("trial %s is missing in the restored study, which learns nothing from it", trial_id)
            return None
        return None if proposal.trial is None else proposal

    def _report(self, proposal: Proposal, *, epoch: int, value: float) -> None:
        if epoch > proposal.epoch and math.isfinite(value):
            proposal.trial.report(value, step=epoch)
            proposal.epoch = epoch

    def _tell(self, proposal: Proposal, outcome: Outcome, *, epoch: int, value: float | None = None) -> None:
        proposal.trial.set_user_attr("outcome", str(outcome))
        proposal.trial.set_user_attr("epoch", epoch)
        if outcome.counts_as_bad:
            proposal.trial.set_constraint("outcome", 1.0)
        self._study.tell(proposal.trial, value, state=_STATES[outcome])
        proposal.trial = None
        if self._mirror is not None:
            self._mirror.update(self._study)


def check_params(space: Callable[[optuna.Trial], dict], params: dict) -> None:
    """Raises ValueError unless these are exactly parameters that the space asks for, each within its range."""
    trial = optuna.trial.FixedTrial(params)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        try:
            space(trial)
        except (UserWarning, ValueError) as error:
            raise ValueError(f"{params} cannot be tried first: {error}") from error
    unknown = sorted(params.keys() - trial.params.keys())
    if unknown:
        asked = ", ".join(sorted(trial.params))
        raise ValueError(f"{params} cannot be tried first: the space does not ask for {unknown[0]!r}, but for {asked}")


_STATES = {
    Outcome.COMPLETED: TrialState.COMPLETE,
    Outcome.STOPPED_AT_RUNG: TrialState.PRUNED,
    Outcome.PLATEAUED: TrialState.COMPLETE,
    Outcome.DIVERGED: TrialState.PRUNED,
    Outcome.OUT_OF_MEMORY: TrialState.PRUNED,
    Outcome.EXPERTS_COLLAPSED: TrialState.PRUNED,
    Outcome.FAILED: TrialState.FAIL,
    Outcome.INTERRUPTED: TrialState.FAIL,
}


def _key(trial: optuna.Trial | optuna.trial.FrozenTrial) -> int:
    """The same for the same configuration; a trial's `params` are a deep copy, too dear to compare one by one.

    A number, because the parameters of ten thousand trials would be kept once more; that two share one is as good as
    impossible, and would cost a proposal.
    """
    return hash(frozenset(trial.params.items()))
