"""A peer's process as a policy of our simulator.

A peer that asks for a configuration again at more epochs, as DEHB and SMAC do, continues its trial from the checkpoint:
only the further epochs are charged.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from benchmarks.replay.peer_process.interface import CONTINUE, PAUSE, STOP, PeerSetting
from benchmarks.replay.peer_process.process import MODULES, PeerProcess
from benchmarks.replay.peer_process.space import DescribedSpace
from benchmarks.replay.policies import Setting
from tuner.policy import decision
from tuner.policy.candidates import Candidate
from tuner.policy.decision import Decision
from tuner.policy.outcomes import Outcome
from tuner.policy.policy import NoWork, Policy, Promote, Start, Work


class PeerPolicy(Policy):
    """Asks the peer for work for each free slot, and reports each result to it."""

    def __init__(self, process: PeerProcess, space: DescribedSpace, *, slots: int) -> None:
        super().__init__(slots)
        self.paused: dict[str, int] = {}
        self._process, self._space = process, space
        self._running: dict[str, int] = {}
        """The peer's number of each trial that has a slot."""
        self._waiting: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._epochs: dict[str, int] = {}
        self._num_asked = 0

    def start(self, trial: str, candidate: Candidate) -> None:
        number = self._num_asked - 1
        self._names[number], self._running[trial] = trial, number
        self._work = None

    def promote(self, promotion: Promote) -> None:
        self._running[promotion.trial] = self._waiting.pop(promotion.trial)
        del self.paused[promotion.trial]
        self._work = None

    def report(self, trial: str, *, epoch: int, value: float) -> Decision | None:
        self._forget_wait()
        self._epochs[trial] = epoch
        answer = self._process.call("report", trial=self._running[trial], epoch=epoch, value=value)
        if answer not in (CONTINUE, PAUSE, STOP):
            raise self._process.error(f"answered report with {answer!r}")
        if answer == CONTINUE:
            return None
        if answer == PAUSE:
            self._waiting[trial] = self._running.pop(trial)
            self.paused[trial] = epoch
        return self._decision(trial, decision.PAUSE if answer == PAUSE else decision.STOP, value=value)

    def decision_on(self, trial: str, action: str, *, to_epoch: int | None = None) -> Decision:
        return self._decision(trial, action)

    def end(self, trial: str, outcome: Outcome) -> None:
        self._forget_wait()
        number = self._running.pop(trial, None)
        # A peer may pause a trial at its last epoch; it has ended all the same.
        self._waiting.pop(trial, None)
        self.paused.pop(trial, None)
        if outcome is Outcome.DIVERGED:
            self._process.call("fail", trial=number)

    def add_past_trial(self, trial: str, candidate: Candidate, values: Mapping[int, float], outcome: Outcome) -> None:
        raise NotImplementedError("a replay begins without past trials")

    def _decide(self) -> Work:
        """The peer can't withdraw a proposal: it stays until it begins."""
        if len(self._running) >= self._slots:
            return NoWork.WAIT
        answer = self._process.call("suggest", trial=self._num_asked)
        match answer:
            case None if self._names:
                return NoWork.WAIT
            case {"resume": int(number)} if self._names.get(number) in self._waiting:
                return Promote(self._names[number])
            case {"start": dict(values)}:
                try:
                    candidate = self._space.candidate(values)
                except (ValueError, LookupError, TypeError) as error:
                    raise self._process.error(f"proposed {values} ({error})") from None
                self._num_asked += 1
                return Start(candidate)
        raise self._process.error(f"answered suggest with {answer!r}")

    def _forget_wait(self) -> None:
        self._work = None if self._work is NoWork.WAIT else self._work

    def _decision(self, trial: str, action: str, *, value: float | None = None) -> Decision:
        return Decision(epoch=self._epochs[trial], rung=None, value=value, cutoff=None, rank=None, of=0, action=action)


@contextmanager
def peer_policy(peer: str, setting: Setting, *, trainings: int) -> Iterator[PeerPolicy]:
    """The peer of this name, whose process runs meanwhile."""
    problem, space = setting.problem, DescribedSpace(setting.problem.space)
    peer_setting = PeerSetting(
        peer=peer,
        space=space.parameters,
        mode=problem.mode,
        first_rung=setting.grace_epochs,
        max_epochs=problem.max_epochs,
        reduction_factor=setting.reduction_factor,
        trainings=trainings,
        seed=setting.seed,
    )
    with PeerProcess(peer_setting, module=MODULES[peer]) as process:
        yield PeerPolicy(process, space, slots=setting.slots)
