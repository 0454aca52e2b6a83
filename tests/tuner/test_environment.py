"""A command leaves the process it ran in as it was: a notebook may call it."""

import os

from tuner.ray.cluster import environment_given_back
from tuner.search import main


def test_variables_that_were_added_changed_or_removed_are_as_before(monkeypatch):
    monkeypatch.setenv("KEPT", "before")
    monkeypatch.setenv("REMOVED", "before")
    before = dict(os.environ)
    with environment_given_back():
        os.environ.update({"ADDED": "x", "KEPT": "changed"})
        del os.environ["REMOVED"]
    assert dict(os.environ) == before


def test_a_command_leaves_no_variable_set(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    before = dict(os.environ)
    assert main(["--resume", str(tmp_path)]) == 2
    assert dict(os.environ) == before
