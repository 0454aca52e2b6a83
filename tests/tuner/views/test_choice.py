"""Until the first epoch something is said every few seconds, also where a view would say nothing."""

import io
import threading

from tests.tuner.conftest import recorded_settings
from tuner.records import Recorder, trial_name
from tuner.views.choice import StartingNotice, make_view, starting_notices


def is_heard() -> bool:
    return any(thread.name == "Starting the first trials" for thread in threading.enumerate())


def test_the_start_is_shown_until_the_first_epoch_has_ended(tmp_path, caplog):
    caplog.set_level("INFO")
    recorder, trial = Recorder.create(tmp_path, recorded_settings()), trial_name(0, {})
    recorder.listen([StartingNotice()])
    assert caplog.messages == ["Starting the first trials ..."]
    recorder.start(trial, params={}, answers={})
    assert is_heard()
    recorder.result(trial, epoch=1, objective=0.5, metrics={}, seconds=1.0)
    assert not is_heard()
    recorder.close()


def test_a_search_that_ends_before_an_epoch_says_no_more(tmp_path):
    recorder = Recorder.create(tmp_path, recorded_settings())
    recorder.listen([StartingNotice()])
    recorder.close()
    assert not is_heard()


def test_plain_lines_need_the_notice(tmp_path):
    recorder = Recorder.create(tmp_path, recorded_settings())
    view = make_view(io.StringIO(), recorder.record, results=tmp_path)
    notices = starting_notices(view)
    recorder.close()
    assert len(notices) == 1
    notices[0].close()
