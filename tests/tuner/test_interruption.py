"""A SIGTERM ends a search in good order, whoever started it."""

import signal

import pytest

from tuner.interruption import sigterm_as_ctrl_c
from tuner.search import main as search


@pytest.mark.parametrize("ctrl_c", [signal.default_int_handler, signal.SIG_IGN])
def test_sigterm_is_ctrl_c_also_where_a_shell_has_its_background_job_ignore_that(ctrl_c):
    former = signal.signal(signal.SIGINT, ctrl_c)
    try:
        with pytest.raises(KeyboardInterrupt), sigterm_as_ctrl_c():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGINT, former)


@pytest.mark.parametrize(("on_record", "told"), [(False, "nothing was written"), (True, "--resume goes on with it")])
def test_ctrl_c_promises_a_resume_only_when_something_is_on_record(tmp_path, monkeypatch, capsys, on_record, told):
    def cut_off(options, settings):
        if on_record:
            settings.folder.mkdir(parents=True)
            (settings.folder / "settings.json").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("tuner.search._run", cut_off)
    assert search(["--storage", str(tmp_path)]) == 130
    assert told in capsys.readouterr().err
