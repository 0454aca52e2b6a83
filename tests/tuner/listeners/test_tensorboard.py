"""The boards of a session, beside what a played search leaves: many at once, started over, ended in the same moment."""

import threading

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from tests.tuner.conftest import recorded_settings
from tests.tuner.records.conftest import record_curve
from tuner.listeners import tensorboard
from tuner.listeners.tensorboard import TensorBoards, write_columns
from tuner.policy.outcomes import Outcome
from tuner.records import Recorder, read_search, trial_name


@pytest.fixture
def folder(tmp_path):
    Recorder.create(tmp_path / "run", recorded_settings(max_epochs=6)).close()
    return tmp_path / "run"


@pytest.fixture
def session(folder):
    """A function that opens the records with boards, as a session does."""
    opened = []

    def open_session() -> Recorder:
        recorder = Recorder.resume(folder, clock=lambda: 7.0)
        recorder.listen([TensorBoards(folder, recorder.record)])
        opened.append(recorder)
        return recorder

    yield open_session
    for recorder in opened:
        recorder.close()


def board(folder, trial, name="val/loss"):
    read = EventAccumulator(str(folder / "tensorboard" / trial)).Reload()
    return [(event.step, event.value) for event in read.Scalars(name)]


def plugin(place):
    """Data of one run that the HParams page reads, by name."""
    contents = EventAccumulator(str(place)).Reload().PluginTagToContent("hparams")
    return {
        tag.removeprefix("_hparams_/"): getattr(HParamsPluginData.FromString(content), tag.removeprefix("_hparams_/"))
        for tag, content in contents.items()
    }


def expected(folder, trial):
    results = read_search(folder).by_name[trial].results
    return [(epoch, pytest.approx(results[epoch].metrics["val/loss"])) for epoch in sorted(results)]


def again(recorder, trial, *values):
    """Epochs from the first on."""
    for epoch, value in enumerate(values, start=1):
        recorder.result(trial, epoch=epoch, objective=value, metrics={"val/loss": 1 - value}, seconds=0.5)


def test_an_epoch_can_be_seen_as_soon_as_it_is_recorded(session, folder):
    trial = record_curve(session(), 0.1, 0.2)
    assert board(folder, trial) == expected(folder, trial) != []


def test_a_trial_that_starts_over_has_each_epoch_once_as_it_was_the_last_time(session, folder):
    recorder = session()
    trial = record_curve(recorder, 0.1, 0.2, 0.3)
    again(recorder, trial, 0.15, 0.25)
    assert board(folder, trial) == expected(folder, trial)
    again(recorder, trial, 0.15, 0.25, 0.35, 0.4)
    recorder.end(trial, Outcome.COMPLETED, numbers={}, epoch=4)
    assert board(folder, trial) == expected(folder, trial)


def test_an_epoch_that_is_repeated_after_a_resume_is_there_once(session, folder):
    trial = record_curve(session(), 0.1, 0.2)
    recorder = session()
    again(recorder, trial, 0.1, 0.2, 0.3)
    assert board(folder, trial) == expected(folder, trial)


def test_of_more_trials_than_files_may_be_open_each_has_its_whole_curve(session, folder, monkeypatch):
    monkeypatch.setattr(tensorboard, "MAX_OPEN", 2)
    recorder, before = session(), threading.active_count()
    trials = [record_curve(recorder) for _ in range(6)]
    for epoch in (1, 2, 3):
        for number, trial in enumerate(trials):
            metrics = {"val/loss": number + epoch / 10}
            recorder.result(trial, epoch=epoch, objective=0.1, metrics=metrics, seconds=0.5)
    assert threading.active_count() <= before + 2
    for trial in trials:
        recorder.end(trial, Outcome.STOPPED_AT_RUNG, numbers={}, epoch=3)
    for trial in trials:
        assert board(folder, trial) == expected(folder, trial)
        assert board(folder, trial, "objective/at_epoch_3") == [(0, pytest.approx(0.1))]


def test_trials_that_ended_in_the_same_moment_are_all_put_right(session, folder):
    """A kill came after the last line of the records and before the boards heard of it."""
    recorder = session()
    trials = [record_curve(recorder, 0.1, 0.2) for _ in range(3)]
    recorder.close()
    silent = Recorder.resume(folder, clock=lambda: 7.0)
    for trial in trials:
        silent.end(trial, Outcome.STOPPED_AT_RUNG, numbers={}, epoch=2)
    silent.close()
    session().close()
    for trial in trials:
        assert board(folder, trial) == expected(folder, trial)
        assert set(plugin(folder / "tensorboard" / trial)) == {"session_start_info", "session_end_info"}


def test_a_trial_without_a_result_has_no_curve_and_no_error(session, folder):
    trial = record_curve(session(), outcome=Outcome.OUT_OF_MEMORY)
    session()
    assert (folder / "tensorboard" / trial).is_dir()


def record_params(recorder, number, params, *values, outcome):
    trial = trial_name(number, params)
    recorder.start(trial, params=params, answers={})
    again(recorder, trial, *values)
    recorder.end(trial, outcome, numbers={}, epoch=len(values))
    return trial


def test_without_a_measured_importance_no_parameter_has_a_number(session, folder):
    recorder = session()
    record_params(recorder, 0, {"max_lr": 0.1, "layers": 2}, 0.1, outcome=Outcome.COMPLETED)
    write_columns(folder, recorder.record, ())
    columns = plugin(folder / "tensorboard")["experiment"].hparam_infos
    assert [one.display_name for one in columns] == ["max_lr", "layers"]
    assert all(one.differs for one in columns)


def test_the_hparams_page_has_objectives_of_one_epoch_parameters_by_importance_and_words_for_booleans(session, folder):
    recorder = session()
    plain = {"max_lr": 0.1, "averaging": False, "pooling": None}
    default = record_params(recorder, 0, plain, *(0.1, 0.2, 0.3, 0.4, 0.5, 0.6), outcome=Outcome.COMPLETED)
    rich = {"max_lr": 0.2, "averaging": True, "pooling": 3, "layers": 2}
    stopped = record_params(recorder, 1, rich, 0.1, 0.2, 0.7, outcome=Outcome.STOPPED_AT_RUNG)
    for _ in range(2):
        write_columns(folder, recorder.record, ["averaging", "layers"])
    columns = plugin(folder / "tensorboard")["experiment"]
    names = ["averaging", "layers", "max_lr", "pooling"]
    assert [(one.name, one.display_name) for one in columns.hparam_infos] == [
        (name, f"{rank}. {name}") for rank, name in enumerate(names, start=1)
    ]
    choices = {one.name: [value.string_value for value in one.domain_discrete.values] for one in columns.hparam_infos}
    assert choices == {"averaging": ["False", "True"], "layers": [], "max_lr": [], "pooling": []}
    assert [one.name.tag for one in columns.metric_infos] == ["objective/at_epoch_6", "objective/at_epoch_3"]
    session_info = plugin(folder / "tensorboard" / stopped)["session_start_info"].hparams
    assert (session_info["averaging"].string_value, session_info["layers"].number_value) == ("True", 2.0)
    assert board(folder, default, "objective/at_epoch_3") == [(0, pytest.approx(0.3))]
    assert board(folder, default, "objective/at_epoch_6") == [(0, pytest.approx(0.6))]
    assert board(folder, stopped, "objective/at_epoch_3") == [(0, pytest.approx(0.7))]
    events = EventAccumulator(str(folder / "tensorboard" / stopped)).Reload()
    assert "objective/at_epoch_6" not in events.Tags()["scalars"]
