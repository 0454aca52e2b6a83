"""A function in a thread runs from pause to pause, ends when asked to, and its thread ends silently."""

import sys

import pytest

from trainable.loop.stepped_function import Returned, SteppedFunction


@pytest.fixture
def switches_often():
    """Threads take turns after a few instructions."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def test_one_that_is_closed_while_it_comes_to_its_end_ends_without_an_error(switches_often):
    for _ in range(500):
        stepped = SteppedFunction(lambda pause: 3)
        assert stepped.advance() == Returned(3)
        stepped.close()
        assert not stepped._thread.is_alive()


def test_one_at_a_pause_unwinds_through_its_own_handlers():
    seen = []

    def function(pause):
        try:
            pause("begun")
        except Exception:  # noqa: BLE001 - as a user may write it
            seen.append("caught")
        finally:
            seen.append("unwound")

    stepped = SteppedFunction(function)
    assert stepped.advance() == "begun"
    stepped.close()
    assert seen == ["unwound"]
