"""A peer without a library, for the pipe: `python -m benchmarks.replay.peer_process.serve` loads it."""

import random

from benchmarks.replay.peer_process.interface import CONTINUE, PAUSE, STOP


class StandIn:
    """Begins three trials that pause at the first rung, then resumes the best of them, and begins further ones."""

    def __init__(self, setting):
        self.setting, self.generator = setting, random.Random(setting.seed)
        self.waiting, self.resumed = {}, False

    def suggest(self, trial):
        print("a library prints what it likes")
        if self.setting.peer == "broken":
            raise RuntimeError("no idea left")
        if len(self.waiting) == 3 and not self.resumed:
            self.resumed = True
            return {"resume": max(self.waiting, key=self.waiting.get)}
        return {"start": {one["name"]: self.generator.uniform(one["low"], one["high"]) for one in self.setting.space}}

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
