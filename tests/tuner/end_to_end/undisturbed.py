"""A search with one slot that nobody disturbs, on the curves that a disturbed one has recorded."""

from dataclasses import astuple
from pathlib import Path

from tests.tuner.end_to_end.search_process import Search
from tests.tuner.played_session import Player, opened
from trainable.leg import Leg, LegReport
from trainable.run import EpochResult
from tuner.planning.plan import plan_from_records
from tuner.records import Recorder, SearchRecord, read_search


def assert_decided_as_undisturbed(search: Search, place: Path) -> None:
    """The same trials in the same order, each as far and ended as it, and at each rung the same decided."""
    record = read_search(search.folder)
    folder = place / "undisturbed"
    Recorder.create(folder, record.settings).close()
    with opened(folder, asking=plan_from_records(record.settings).pinned_space) as session:
        Player(session, report=_Recorded(record)).play()
        session.close()
    alone = read_search(folder)
    for one in (record, alone):
        assert not one.is_unfinished
    assert [(t.name, list(t.results), t.outcome) for t in record.trials] == [
        (t.name, list(t.results), t.outcome) for t in alone.trials
    ]
    assert _decided(record) == _decided(alone)


class _Recorded:
    """Reports what the search on record measured."""

    def __init__(self, record: SearchRecord) -> None:
        self._record = record

    def __call__(self, leg: Leg, epoch: int) -> LegReport:
        known = self._record.by_name[leg.trial].results[epoch]
        Path(leg.folder, f"epoch_{epoch:04d}.pt").touch()
        result = EpochResult(
            epoch=epoch, objective=known.objective, metrics=known.metrics, seconds=known.seconds, precision="fp32"
        )
        return LegReport(result=result, process="here:1")


def _decided(record: SearchRecord) -> list[tuple]:
    return [(decided.trial, *astuple(decided.decision)) for decided in record.decisions]
