"""A command is never silent for long: it says what it waits for, and that it still does."""

import logging
import threading
from itertools import islice, repeat
from types import SimpleNamespace

import pytest

from trainable.reporting.waiting import Waiting, pauses_of


class Lines(logging.Handler):
    """Keeps the messages, and knows when there are so many."""

    def __init__(self, enough: int) -> None:
        super().__init__()
        self.messages: list[str] = []
        self.are_enough = threading.Event()
        self._enough = enough

    def emit(self, record):
        self.messages.append(record.getMessage())
        if len(self.messages) >= self._enough:
            self.are_enough.set()


@pytest.fixture
def lines(caplog):
    """Three, so that the first is repeated."""
    caplog.set_level(logging.INFO)
    handler = Lines(enough=3)
    logging.getLogger("trainable").addHandler(handler)
    yield handler
    logging.getLogger("trainable").removeHandler(handler)


def test_a_step_is_announced_at_once_and_again_until_it_ends(lines):
    with Waiting("Starting Ray", pauses_seconds=repeat(0.001)):
        assert lines.messages[0] == "Starting Ray ..."
        assert lines.are_enough.wait(timeout=60)
    said = list(lines.messages)
    assert said[1:] == ["Starting Ray ... 0 s"] * (len(said) - 1)
    assert not [thread for thread in threading.enumerate() if thread.name == "Starting Ray"]


def test_a_counted_step_shows_its_progress(lines):
    is_counted = threading.Event()

    def pauses():
        is_counted.wait(timeout=60)
        yield from repeat(0.001)

    with Waiting("Opening the data", pauses_seconds=pauses()) as waiting:
        waiting.count(200, 1000)
        is_counted.set()
        assert lines.are_enough.wait(timeout=60)
    assert "Opening the data ... 200 of 1000, 0 s, about 0:00 left" in lines.messages


@pytest.mark.parametrize(
    ("done", "total", "said"),
    [
        (0, 0, "90 s"),
        (0, 900, "0 of 900 MB, 90 s"),
        (300, 900, "300 of 900 MB, 90 s, about 3:00 left"),
        (900, 900, "900 of 900 MB, 90 s"),
    ],
)
def test_what_is_left_takes_as_long_as_what_is_done(done, total, said):
    with Waiting("Fetching", unit=" MB") as waiting:
        waiting.count(done, total)
        assert waiting.how_far(90.0) == said


def test_a_step_that_fails_ends_too(lines):
    with pytest.raises(ValueError, match="no data"), Waiting("Opening the data"):
        raise ValueError("no data")
    assert not [thread for thread in threading.enumerate() if thread.name == "Opening the data"]


def test_ending_a_step_twice_is_allowed(lines):
    waiting = Waiting("Starting Ray")
    waiting.end()
    waiting.end()
    assert lines.messages == ["Starting Ray ..."]


@pytest.mark.parametrize(("is_terminal", "pauses"), [(True, [4, 4, 4, 4, 4, 4]), (False, [5, 10, 20, 30, 30, 30])])
def test_in_a_file_or_a_pipe_the_lines_come_more_and_more_seldom(is_terminal, pauses):
    assert list(islice(pauses_of(SimpleNamespace(isatty=lambda: is_terminal)), 6)) == pauses
