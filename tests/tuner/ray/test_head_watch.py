"""A cluster whose head goes away in the middle of a search."""

import signal
import socket
import threading
from pathlib import Path

import pytest

from tuner.ray import head_watch
from tuner.ray.head_watch import ATTEMPTS, GRACE_SECONDS, INTERRUPTED, LOOK_SECONDS, head_watched

PAGE = Path(__file__).parents[3] / "docs" / "clusters.md"


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["", "background job"])
def head(monkeypatch, request):
    """A socket that listens; looked at often, in a process where Ctrl-C interrupts, and in one that ignores it, as a
    background job of a script does."""
    before = signal.signal(signal.SIGINT, request.param)
    monkeypatch.setattr(head_watch, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(head_watch, "GRACE_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server
    signal.signal(signal.SIGINT, before)


def address(server: socket.socket) -> str:
    return f"127.0.0.1:{server.getsockname()[1]}"


def test_a_head_that_is_gone_interrupts_the_search_with_what_to_do(head, caplog):
    def search() -> None:
        # On a busy machine the interrupt may take longer than the grace of this test.
        with head_watched(address(head), advice="start a cluster", end=lambda status: None):
            head.close()
            threading.Event().wait(30)

    with pytest.raises(KeyboardInterrupt):
        search()
    assert "is gone. Finished epochs are saved; start a cluster." in caplog.text


def test_a_search_that_can_not_be_interrupted_is_ended(head):
    ended, status = threading.Event(), []

    def end(number: int) -> None:
        status.append(number)
        ended.set()

    with head_watched(address(head), end=end):
        head.close()
        try:
            ended.wait(30)
        except KeyboardInterrupt:
            ended.wait(30)
    assert status == [INTERRUPTED]


def test_a_head_that_answers_is_left_alone(head, caplog):
    with head_watched(address(head), end=lambda status: None):
        for _ in range(3):
            head.accept()[0].close()
    assert not caplog.text


def test_the_page_says_how_long_it_takes():
    # A look that is refused ends at once; one that nothing answers waits as long as the time between two looks.
    refused, silent = ATTEMPTS * LOOK_SECONDS, ATTEMPTS * 2 * LOOK_SECONDS
    page = " ".join(PAGE.read_text().split())
    assert f"within {refused:g} seconds if its machine refuses the connection, within {silent:g} if nothing" in page
    assert f"with status {INTERRUPTED} at most {GRACE_SECONDS:g} seconds later" in page
