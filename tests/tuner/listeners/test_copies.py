"""TensorBoard, the Optuna study and the trackers hold what is on record, whatever an earlier session left of them."""

import shutil

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.tuner import played_session
from tests.tuner.played_session import Player, opened, space
from tests.tuner.test_session import new_search
from tuner.listeners import trackers
from tuner.listeners.dispensable import Dispensable
from tuner.listeners.study_copy import StudyCopy
from tuner.listeners.tensorboard import TensorBoards
from tuner.listeners.trackers import TrialTrackers
from tuner.policy.outcomes import Outcome
from tuner.records import read_search


class FakeTracker:
    """Stores what is logged, by the identity of its run, as a server would."""

    runs: dict[str, dict]

    def __init__(self, run):
        self.run = self.runs.setdefault(run.identity, {"name": run.name, "params": dict(run.params), "curve": []})
        self.run["ended"] = False
        self.last_epoch = max((epoch for epoch, _ in self.run["curve"]), default=0)

    def log(self, epoch, metrics):
        self.run["curve"].append((epoch, metrics["val/s_measure"]))
        self.last_epoch = epoch

    def end(self):
        self.run["ended"] = True


@pytest.fixture
def server(monkeypatch):
    """The calls that the tracker of a search received, by run."""
    tracker = type("Tracker", (FakeTracker,), {"runs": {}})
    monkeypatch.setattr(trackers, "open_tracker", lambda name, run: tracker(run))
    return tracker.runs


def play(folder, *, max_epochs=float("inf"), tracked=False):
    with opened(folder) as session:
        search = session._search
        listeners = [StudyCopy(folder, search, played_session.space), TensorBoards(folder, search)]
        tracking = lambda: TrialTrackers(["fake"], folder, search)  # noqa: E731
        if tracked:
            listeners.append(Dispensable("Tracking by fake", tracking, remedy="resume adds what is missing"))
        session._recorder.listen(listeners)
        Player(session, 2).play(max_epochs)
        session.close()


def curves(folder):
    return {t.name: [(e, r.objective) for e, r in sorted(t.results.items())] for t in read_search(folder).trials}


def boards(folder):
    found = {}
    for place in (folder / "tensorboard").iterdir():
        board = EventAccumulator(str(place)).Reload()
        found[place.name] = [(event.step, event.value) for event in board.Scalars("val/s_measure")]
    return found


def study_of(folder):
    storage = JournalStorage(JournalFileBackend(str(folder / "study.journal")))
    return optuna.load_study(study_name=folder.name, storage=storage)


@pytest.fixture
def folder(tmp_path):
    return new_search(tmp_path / "run", scheduler="asha", slots=2)


def assert_complete(folder):
    assert boards(folder) == {
        trial: [(epoch, pytest.approx(value)) for epoch, value in curve] for trial, curve in curves(folder).items()
    }
    for place in (folder / "tensorboard").iterdir():
        assert "_hparams_/session_start_info" in EventAccumulator(str(place)).Reload().PluginTagToContent("hparams")
    trials, known = study_of(folder).trials, read_search(folder).trials
    assert [(t.number, t.user_attrs["trial"], t.params) for t in trials] == [
        (t.number, t.name, t.answers) for t in known
    ]
    for trial, record in zip(trials, known, strict=True):
        is_complete = record.outcome is Outcome.COMPLETED
        assert trial.state is (TrialState.COMPLETE if is_complete else TrialState.PRUNED)
        assert trial.user_attrs["outcome"] == record.outcome
        assert trial.intermediate_values == dict(curves(folder)[record.name])
        assert trial.value == (record.last.objective if is_complete else None)


def test_they_hold_every_trial_of_a_search(folder):
    play(folder)
    assert_complete(folder)
    assert study_of(folder).best_trial.user_attrs["trial"] == read_search(folder).leader.name


def test_a_resumed_search_has_each_epoch_once(folder):
    for _ in range(4):
        play(folder, max_epochs=3)
    play(folder)
    assert_complete(folder)


@pytest.mark.parametrize("left", ["nothing", "half a file", "an epoch that is not on record"])
def test_what_a_killed_session_left_of_them_is_put_right(folder, left):
    play(folder, max_epochs=7)
    unfinished = read_search(folder).unfinished[0].name
    if left == "nothing":
        shutil.rmtree(folder / "tensorboard")
        (folder / "study.journal").unlink()
    elif left == "half a file":
        for path in [*(folder / "tensorboard" / unfinished).iterdir(), folder / "study.journal"]:
            path.write_bytes(path.read_bytes()[:-20])
    else:
        lines = (folder / "trials.jsonl").read_text().splitlines(keepends=True)
        last = max(number for number, line in enumerate(lines) if '"event": "result"' in line)
        (folder / "trials.jsonl").write_text("".join(lines[:last]))
    play(folder)
    assert_complete(folder)


def test_in_the_middle_of_a_search_what_has_not_ended_is_running_in_the_study(folder):
    play(folder, max_epochs=5)
    running = [trial.user_attrs["trial"] for trial in study_of(folder).trials if trial.state is TrialState.RUNNING]
    assert running == [trial.name for trial in read_search(folder).unfinished]


def test_a_tracker_has_one_run_a_trial_with_its_whole_curve_through_a_resume(folder, server):
    play(folder, max_epochs=5, tracked=True)
    assert all(run["ended"] for run in server.values())
    play(folder, tracked=True)
    assert {run["name"]: run["curve"] for run in server.values()} == curves(folder)
    assert {run["name"]: run["params"] for run in server.values()} == {
        trial.name: trial.params for trial in read_search(folder).trials
    }


def test_a_moved_search_makes_runs_of_its_own_with_the_whole_curve_and_leaves_those_of_the_original(folder, server):
    play(folder, max_epochs=5, tracked=True)
    before = {identity: list(run["curve"]) for identity, run in server.items()}
    moved = folder.rename(folder.with_name("moved"))
    unfinished = {trial.name for trial in read_search(moved).unfinished}
    play(moved, tracked=True)
    assert {identity: server[identity]["curve"] for identity in before} == before
    new = {run["name"]: run["curve"] for identity, run in server.items() if identity not in before}
    assert new.keys() >= unfinished
    assert all(curve == curves(moved)[name] for name, curve in new.items())


def test_the_parameters_of_the_study_have_the_ranges_of_the_space(folder):
    play(folder, max_epochs=2)
    asked = optuna.trial.FixedTrial(read_search(folder).trials[0].answers)
    space(asked)
    assert study_of(folder).trials[0].distributions == asked.distributions


def test_a_tracker_that_cannot_be_reached_costs_its_curves_and_a_resume_adds_them(folder, server, monkeypatch, caplog):
    def refuse(*_):
        raise ConnectionError("nobody listens")

    with monkeypatch.context() as patch:
        patch.setattr(FakeTracker, "log", refuse)
        play(folder, max_epochs=5, tracked=True)
    assert "Tracking by fake stops, the search continues; resume adds what is missing: nobody listens" in caplog.text
    assert not all(len(run["curve"]) == len(curves(folder)[run["name"]]) for run in server.values())
    play(folder, tracked=True)
    assert not read_search(folder).is_unfinished
    assert {run["name"]: run["curve"] for run in server.values()} == curves(folder)
    assert all(run["ended"] for run in server.values())


class Broken:
    def on_event(self, search, event):
        raise OSError(28, "No space left on device")

    def close(self):
        raise AssertionError("it was dropped")


def unmade():
    raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize("made", [Broken, unmade])
def test_a_copy_that_cannot_be_written_is_dropped_with_a_warning_and_the_search_continues(folder, made, caplog):
    with opened(folder) as session:
        session._recorder.listen([Dispensable("The copy", made, remedy="look at it")])
        Player(session, 2).play()
        session.close()
    assert not read_search(folder).is_unfinished
    warned = [record for record in caplog.records if record.levelname == "WARNING"]
    assert [record.message.split(": [Errno")[0] for record in warned] == [
        "The copy stops, the search continues; look at it"
    ]


def test_an_error_of_our_own_in_a_copy_is_not_hidden(folder):
    class Wrong(Broken):
        def on_event(self, search, event):
            raise KeyError("trial")

    copy = Dispensable("The copy", Wrong, remedy="")
    with pytest.raises(KeyError):
        copy.on_event(read_search(folder), None)
