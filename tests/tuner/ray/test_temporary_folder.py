"""A killed search leaves Ray's folder behind; the next one removes it, and nothing that may be somebody else's."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tuner.ray import temporary_folder
from tuner.ray.temporary_folder import OWNER, remove_abandoned, temporary_ray_folder

if not Path("/proc/self/ns/pid").exists():
    pytest.skip("processes are told apart by /proc, which this system has not", allow_module_level=True)


@pytest.fixture
def parent(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(temporary_folder, "MAX_PARENT_CHARACTERS", 1000)
    return tmp_path


@pytest.fixture
def dead():
    """The id of a process that was there and is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def rewrite(folder, **changes):
    host, namespace, process = (folder / OWNER).read_text().split(" ")
    facts = {"host": host, "namespace": namespace, "process": process} | changes
    (folder / OWNER).write_text(f"{facts['host']} {facts['namespace']} {facts['process']}")


def test_what_a_killed_search_left_is_removed_by_the_next(parent, dead):
    left = temporary_ray_folder()
    (left / "session").mkdir()
    rewrite(left, process=dead)
    following = temporary_ray_folder()
    assert sorted(parent.iterdir()) == [following]


@pytest.mark.parametrize("changes", [{}, {"host": "elsewhere"}, {"namespace": "pid:[1]"}, {"process": "text"}])
def test_a_folder_of_a_living_search_or_of_another_machine_or_container_stays(parent, dead, changes):
    folder = temporary_ray_folder()
    rewrite(folder, **({"process": dead} | changes if changes else {"process": os.getpid()}))
    remove_abandoned(parent)
    assert (folder / OWNER).exists()


def test_a_folder_that_no_search_made_stays(parent):
    (parent / "ray-of-others" / "session").mkdir(parents=True)
    remove_abandoned(parent)
    assert (parent / "ray-of-others" / "session").is_dir()


def test_a_long_temporary_folder_is_left_for_one_whose_sockets_ray_can_open(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("long" * 10)))
    folder = temporary_ray_folder()
    (folder / OWNER).unlink()
    folder.rmdir()
    assert folder.parent == Path("/tmp")
