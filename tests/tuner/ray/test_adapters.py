"""What a session hears of a leg that failed."""

from types import SimpleNamespace

import pytest

from trainable.leg import Leg
from trainable.ray.trainable import LEG
from tuner.ray.adapters import FirstError, LegScheduler


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "Failure # 1\nyour loop failed:\n  File ...\nKeyError: 'a' (bad.py, line 6)\n\n",
            "KeyError: 'a' (bad.py, line 6)",
        ),
        (None, "the process exited without an error message"),
    ],
)
def test_a_failed_leg_is_told_by_the_last_line_of_its_error(tmp_path, text, told):
    """Ray writes the file before it asks the scheduler, and copies it to the storage later."""
    heard = []
    session = SimpleNamespace(fail=lambda trial, error: heard.append((trial, error)))
    if text is not None:
        (tmp_path / "error.txt").write_text(text)
    leg = Leg(trial="000-0123abcd", params={}, folder=str(tmp_path))
    failed = SimpleNamespace(config={LEG: leg}, error_file=str(tmp_path / "error.txt") if text else None)
    LegScheduler(FirstError(session)).on_trial_error(None, failed)
    assert heard == [("000-0123abcd", told)]
