"""What a search with one slot does when nobody disturbs it, on the curves that a disturbed one has recorded."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from tests.tuner.search_process import Search
from tuner.cluster import slots_of
from tuner.extension import settings_of
from tuner.pairs import pair_of
from tuner.plan import plan_search
from tuner.recorder import Recorder
from tuner.records import SearchRecord, TrialRecord, read_search
from tuner.replay_loop import ReplayedSearch, ReplayedTrial
from tuner.replay_problems import Curve


def assert_decided_as_undisturbed(search: Search, place: Path) -> None:
    """The same configurations in the same order, each as far, and at each rung the same said of it."""
    record = read_search(search.folder)
    undisturbed = _Undisturbed(record, place)
    undisturbed.run(100_000, on_epoch=lambda: None)
    undisturbed.recorder.close()
    alone = undisturbed.recorder.record
    assert [trial.params for trial in _lasting(record)] == [trial.params for trial in alone.trials]
    assert [trial.last.epoch for trial in _lasting(record)] == [trial.epoch for trial in undisturbed.get_trials()]
    assert _told(record) == _told(alone)


class _Undisturbed(ReplayedSearch):
    """With the proposer and the scheduler that the search's settings give."""

    def __init__(self, searched: SearchRecord, place: Path) -> None:
        settings, self._searched = settings_of(searched), searched
        self.recorder = Recorder.create(place / "undisturbed", searched.settings)
        self._num_trials, slots = settings.num_trials, slots_of(searched.settings)
        pair = pair_of(settings, plan_search(settings), slots, self.recorder, num_new=self._num_trials)
        problem = SimpleNamespace(max_epochs=searched.settings["max_epochs"], curve=self._recorded)
        super().__init__(problem, *pair[:2], slots=1, stops_non_finite=False)
        self._scheduler.set_search_properties(self._searcher.metric, self._searcher.mode)

    def _recorded(self, params: dict) -> Curve:
        (trial,) = [trial for trial in _lasting(self._searched) if trial.params == params]
        values = [trial.results[epoch].objective for epoch in sorted(trial.results)]
        return Curve(np.array(values), np.arange(1.0, len(values) + 1))

    def _begin(self) -> ReplayedTrial | None:
        trial = super()._begin() if len(self.trials) < self._num_trials else None
        if trial is not None:
            number = self._searcher.number_of(trial.trial_id)
            self.recorder.start(trial.trial_id, number=number, params=trial.config)
        return trial


def _lasting(record: SearchRecord) -> list[TrialRecord]:
    """By number, without those that a kill took before Ray had saved that they had begun."""
    return list({trial.number: trial for trial in record.trials}.values())


def _told(record: SearchRecord) -> list[tuple]:
    said = ("epoch", "rung", "value", "cutoff", "rank", "of", "action", "expected")
    lasting = {trial.trial: trial.number for trial in _lasting(record)}
    decisions = [decision for decision in record.decisions if decision.trial in lasting]
    return [(lasting[d.trial], *(getattr(d, name) for name in said)) for d in decisions]
