"""A signal ends a search in good order, whoever started it, and its handlers are given back."""

import signal
import sys
import threading
from contextlib import suppress

import pytest

from tuner.ray.signals import TAKEN, interrupt_again, restored_signal_handlers, signals_as_ctrl_c, signals_ignored
from tuner.search import main as search


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("ctrl_c", [signal.default_int_handler, signal.SIG_IGN])
def test_a_clusters_signal_and_a_closed_terminal_are_ctrl_c_even_in_a_background_job(sent, ctrl_c):
    with restored_signal_handlers():
        signal.signal(signal.SIGINT, ctrl_c)
        signal.signal(sent, signal.SIG_DFL)
        with pytest.raises(KeyboardInterrupt), signals_as_ctrl_c():
            signal.raise_signal(sent)


def test_an_interrupt_that_a_library_swallows_is_raised_again_and_does_not_outlive_its_search():
    with restored_signal_handlers():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with signals_as_ctrl_c():
            interrupt_again()
            with suppress(BaseException):
                signal.raise_signal(signal.SIGTERM)
            with pytest.raises(KeyboardInterrupt):
                interrupt_again()
        with signals_as_ctrl_c():
            interrupt_again()


def test_a_signal_that_the_user_ignores_stays_ignored():
    with restored_signal_handlers():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with signals_as_ctrl_c():
            signal.raise_signal(signal.SIGHUP)


def test_the_former_signal_handlers_are_restored():
    before = [signal.getsignal(number) for number in TAKEN]
    with restored_signal_handlers(), signals_as_ctrl_c():
        assert [signal.getsignal(number) for number in TAKEN] != before
    assert [signal.getsignal(number) for number in TAKEN] == before


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_while_a_search_cleans_up_nothing_interrupts_it(sent):
    before = signal.getsignal(sent)
    with signals_ignored():
        signal.raise_signal(sent)
    assert signal.getsignal(sent) is before


def test_in_a_thread_no_handler_is_touched():
    found = []

    def look():
        with restored_signal_handlers(), signals_as_ctrl_c():
            found.extend(signal.getsignal(number) for number in TAKEN)

    before = [signal.getsignal(number) for number in TAKEN]
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == before


@pytest.mark.parametrize(("on_record", "reported"), [(False, "nothing was written"), (True, "continue with --resume")])
def test_ctrl_c_promises_a_resume_only_when_something_is_on_record(tmp_path, monkeypatch, capsys, on_record, reported):
    def cut_off(options, settings):
        if on_record:
            settings.folder.mkdir(parents=True)
            (settings.folder / "settings.json").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules[search.__module__], "_run", cut_off)
    assert search(["--storage", str(tmp_path)]) == 130
    assert reported in capsys.readouterr().err
