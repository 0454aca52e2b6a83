"""A view gets a twentieth of the time, and misses nothing in the end."""

import pytest

from tests.tuner.conftest import recorded_settings
from tuner.records import SearchRecord
from tuner.records.events import SessionEnded
from tuner.views.throttled_view import ThrottledView

SEARCH, EVENT = SearchRecord(recorded_settings()), SessionEnded(time=0.0)


class SlowView:
    """Each update takes a second of a clock that nobody else moves."""

    def __init__(self) -> None:
        self.now, self.calls = 100.0, []

    def start(self) -> None:
        self.calls.append("start")

    def update(self, search: SearchRecord) -> None:
        self.now += 1.0
        self.calls.append("update")

    def message(self, text: str) -> None:
        self.calls.append(text)

    def stop(self) -> None:
        self.calls.append("stop")


@pytest.fixture
def slow() -> SlowView:
    return SlowView()


def test_an_update_waits_until_the_one_before_took_a_twentieth_of_the_time(slow):
    view = ThrottledView(slow, clock=lambda: slow.now)
    for _ in range(3):
        view.on_event(SEARCH, EVENT)
    assert slow.calls == ["start", "update"]
    slow.now += 20.0
    view.catch_up()
    view.catch_up()
    assert slow.calls == ["start", "update", "update"]


def test_what_was_put_off_is_shown_before_the_view_stops(slow):
    view = ThrottledView(slow, clock=lambda: slow.now)
    view.on_event(SEARCH, EVENT)
    view.on_event(SEARCH, EVENT)
    view.close()
    view.catch_up()
    assert slow.calls == ["start", "update", "update", "stop"]
