"""A peer without a library, for the pipe: `python -m benchmarks.replay.peer_process.serve` loads it."""

import os
import random
import signal

from benchmarks.replay.peer_process.interface import CONTINUE, PAUSE, STOP

ANSWERS = 3
"""The pipe, by its number in a process that has no other."""
CURE = "STAND_IN_IS_WELL"
"""A variable of the environment with which none of them fails."""
FAILS_AT = 5


def _raise(suggestion):
    raise RuntimeError("no idea left")


def _die(suggestion):
    print("memory is short", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def _print_rubbish(suggestion):
    os.write(ANSWERS, b"Welcome \xff\n")
    return suggestion


def _hang_up(suggestion):
    os.close(ANSWERS)
    signal.pause()


def _think(suggestion):
    signal.pause()


FAILURES = {
    "raises": _raise,
    "is-killed": _die,
    "prints-rubbish": _print_rubbish,
    "hangs-up": _hang_up,
    "thinks-for-ever": _think,
    "leaves-the-range": lambda suggestion: {"start": dict.fromkeys(suggestion["start"], -1)},
    "resumes-nothing": lambda suggestion: {"resume": 1000},
}
"""How the peer with this name fails at its proposal `FAILS_AT`."""


class StandIn:
    """Begins three trials that pause at the first rung, then resumes the best of them, and begins further ones."""

    def __init__(self, setting):
        self.setting, self.generator = setting, random.Random(setting.seed)
        self.waiting, self.resumed = {}, False

    def suggest(self, trial):
        print("a library prints what it likes")
        if len(self.waiting) == 3 and not self.resumed:
            self.resumed = True
            return {"resume": max(self.waiting, key=self.waiting.get)}
        suggestion = {"start": {one["name"]: self._any(one) for one in self.setting.space}}
        if trial == FAILS_AT and CURE not in os.environ:
            return FAILURES.get(self.setting.peer, lambda unharmed: unharmed)(suggestion)
        return suggestion

    def _any(self, parameter):
        value = self.generator.uniform(parameter["low"], parameter["high"])
        return value if parameter["type"] == "float" else round(value)

    def report(self, trial, epoch, value):
        if epoch != self.setting.first_rung:
            return CONTINUE
        if len(self.waiting) == 3:
            return STOP
        self.waiting[trial] = value
        return PAUSE

    def fail(self, trial):
        """Nothing to learn."""


def build(setting):
    return StandIn(setting)
