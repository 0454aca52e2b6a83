"""A SIGTERM ends a search in good order, whoever started it."""

import signal

import pytest

from tuner.interruption import sigterm_as_ctrl_c


@pytest.mark.parametrize("ctrl_c", [signal.default_int_handler, signal.SIG_IGN])
def test_sigterm_is_ctrl_c_also_where_a_shell_has_its_background_job_ignore_that(ctrl_c):
    former = signal.signal(signal.SIGINT, ctrl_c)
    try:
        with pytest.raises(KeyboardInterrupt), sigterm_as_ctrl_c():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGINT, former)
