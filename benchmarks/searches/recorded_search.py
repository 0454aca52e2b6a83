"""Records of large searches without any training, for the commands that read them: report, explain, resume.

Simulated trials pass through the session and the recorder, with the parameters of `moe`, the metrics of its validation
and learning curves of their own. They are proposed at random, which is cheap and leaves the same history.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.searches.simulated_search import MAX_EPOCHS, SETTINGS, RunningTrial, report_of
from search_spaces.registry import get_space
from trainable.config import to_dict
from trainable.leg import Leg, LegReport
from trainable.metrics.camouflage import METRIC_NAMES
from trainable.tasks.registry import get_task
from tuner.planning.plan import plan_from_records
from tuner.policy.simulation import SimulatedSlots
from tuner.records import Recorder, TrialResources
from tuner.records.settings import SchedulerName
from tuner.session import Session, open_session

SLOTS = 4


def record_finished(folder: Path, num_trials: int, *, scheduler: SchedulerName = "asha-stopping") -> None:
    """All trials have ended. With `asha` writing takes a time that is quadratic in their number."""
    space = get_space(SETTINGS.space)
    settings = replace(
        SETTINGS,
        objective=space.objective,
        scheduler=scheduler,
        sampler="random",
        num_trials=num_trials,
        # One slot more than the simulation uses: there a resume decides at once.
        resources=TrialResources(concurrent=SLOTS + 1, cpus_per_trial=1.0, gpus_per_trial=0.0),
        base_config=to_dict(get_task(space.workload).default_config()) | {"max_epochs": MAX_EPOCHS},
    )
    Recorder.create(folder, settings).close()
    with _continued(folder) as search:
        search.run()


def record_interrupted(folder: Path, *, num_ended: int, num_waiting: int) -> None:
    """A finished search under `asha` that was extended, and killed when so many of its new trials waited at rungs.

    The records say `forecast`, the sampler that a search has by itself, so that a resume works for that.
    """
    record_finished(folder, num_ended, scheduler="asha")
    with _continued(folder, num_trials=SETTINGS.num_trials) as search:
        while search.num_waiting < num_waiting:
            search.run(search.num_epochs + 1)
    with closing(Recorder.resume(folder)) as recorder:
        recorder.change(sampler="forecast")


@contextmanager
def _continued(folder: Path, **changes: int) -> Iterator["RecordedSearch"]:
    with closing(Recorder.resume(folder)) as recorder:
        recorder.change(**changes)
        session = open_session(recorder, plan_from_records(recorder.record.settings).pinned_space)
        yield RecordedSearch(recorder, session)


class RecordedSearch(SimulatedSlots[RunningTrial]):
    """A few trials at a time, an epoch each in turn."""

    def __init__(self, recorder: Recorder, session: Session) -> None:
        super().__init__(SLOTS)
        self._recorder, self._session = recorder, session
        self._rng = np.random.default_rng(0)
        self._trials: dict[str, RunningTrial] = {}

    @property
    def num_waiting(self) -> int:
        """Unfinished trials that no slot trains."""
        return len(self._recorder.record.unfinished) - len(self.running)

    def next_work(self) -> RunningTrial | None:
        leg = self._session.next_leg()
        if not isinstance(leg, Leg):
            return None
        return self._trials.setdefault(leg.trial, RunningTrial(leg.trial, self._rng.normal(0.8, 0.05)))

    def advance(self, work: RunningTrial) -> bool:
        work.epoch += 1
        return self._session.take(work.name, self._report(work))

    def _report(self, work: RunningTrial) -> LegReport:
        value = float(work.value(self._rng))
        report = report_of(work.epoch, value, is_last=work.epoch == MAX_EPOCHS)
        assert report.result is not None
        metrics = {f"val/{name}": value for name in METRIC_NAMES}
        return replace(report, result=replace(report.result, metrics=metrics))
