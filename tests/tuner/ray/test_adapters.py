"""The error that a session gets of a failed leg."""

from types import SimpleNamespace

import pytest

from trainable.leg import Leg
from trainable.ray.trainable import LEG, LegTrainable
from tuner.ray.adapters import FirstError, LegScheduler, LegSearcher

DIED = "The actor died because its node has died. Node Id: 01"


@pytest.mark.parametrize(
    ("text", "reported", "may_recover"),
    [
        (
            "trainable.loop.loop_error.LoopError: your loop failed:\n  File ...\nKeyError: 'a' (a.py, line 6)\n",
            "KeyError: 'a' (a.py, line 6)",
            False,
        ),
        ("Failure # 1\ntrainable.loop.loop_error.LoopError: f returned.\n", "f returned.", False),
        ("Failure # 1\nRuntimeError: no such device\n\n", "RuntimeError: no such device", True),
        (None, "the process exited without an error message", True),
    ],
)
def test_a_failed_leg_has_the_last_line_of_its_error_and_an_error_of_the_users_loop_may_not_recover(
    tmp_path, text, reported, may_recover
):
    """Ray writes the file before it asks the scheduler, and copies it to the storage later."""
    heard = []
    session = SimpleNamespace(fail=lambda trial, error, may_recover: heard.append((trial, error, may_recover)))
    if text is not None:
        (tmp_path / "error.txt").write_text(text)
    leg = Leg(trial="000-0123abcd", params={}, folder=str(tmp_path))
    failed = SimpleNamespace(config={LEG: leg}, error_file=str(tmp_path / "error.txt") if text else None)
    LegScheduler(FirstError(session)).on_trial_error(None, failed)
    assert heard == [("000-0123abcd", reported, may_recover)]


@pytest.mark.parametrize(
    ("error", "reason", "is_unfit"),
    [
        (DIED, DIED, False),
        (
            "trainable.ray.trainable.UnfitNodeError: The data at /data on b is not what the search started with",
            "The data at /data on b is not what the search started with",
            True,
        ),
    ],
)
def test_a_leg_whose_machine_is_gone_or_unfit_has_not_failed(tmp_path, error, reason, is_unfit):
    heard = []
    session = SimpleNamespace(move=lambda trial, reason, is_unfit: heard.append((trial, reason, is_unfit)))
    (tmp_path / "error.txt").write_text(f"Failure # 1\n{error}\n")
    leg = Leg(trial="000-0123abcd", params={}, folder=str(tmp_path))
    LegScheduler(FirstError(session)).on_trial_error(
        None, SimpleNamespace(config={LEG: leg}, error_file=str(tmp_path / "error.txt"))
    )
    assert heard == [("000-0123abcd", reason, is_unfit)]


def test_a_leg_is_kept_from_the_nodes_that_can_not_train(tmp_path):
    leg = Leg(trial="000-0123abcd", params={}, folder=str(tmp_path))
    session = SimpleNamespace(next_leg=lambda: leg)
    config = LegSearcher(FirstError(session), unfit_nodes=lambda: ["b1", "b2"]).suggest("1")
    shared = {"cpus_per_rank": 1.0, "gpus_per_rank": 0.0}
    for ranks in (1, 2):
        trainable = type("Trial", (LegTrainable,), {**shared, "ranks": ranks})
        assert trainable.default_resource_request(config) != trainable.default_resource_request({LEG: leg})
        assert "!in(b1,b2)" in str(trainable.default_resource_request(config)._bound.arguments)
