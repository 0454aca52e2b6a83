"""A killed search leaves Ray's folder behind; the next one removes it, and nothing that may be somebody else's."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from tuner.ray import temporary_folder
from tuner.ray.temporary_folder import (
    OWNER,
    full_disk_named,
    remove_abandoned,
    remove_ray_folder,
    temporary_ray_folder,
)

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
    space, process, birth = (folder / OWNER).read_text().splitlines()
    facts = {"space": space, "process": process, "birth": birth} | changes
    (folder / OWNER).write_text("\n".join(map(str, facts.values())))


def test_what_a_killed_search_left_is_removed_by_the_next(parent, dead):
    left = temporary_ray_folder()
    (left / "session").mkdir()
    rewrite(left, process=dead)
    following = temporary_ray_folder()
    assert sorted(parent.iterdir()) == [following]


@pytest.mark.parametrize("changes", [{}, {"space": "elsewhere pid:[1]"}])
def test_a_folder_of_a_living_search_or_of_another_machine_or_container_stays(parent, dead, changes):
    folder = temporary_ray_folder()
    rewrite(folder, **({"process": dead} | changes if changes else {"process": os.getpid()}))
    remove_abandoned(parent)
    assert (folder / OWNER).exists()


def test_a_folder_whose_process_is_gone_is_removed_though_another_process_has_its_number(parent):
    folder = temporary_ray_folder()
    rewrite(folder, process=os.getpid(), birth="an-earlier-boot 1234")
    remove_abandoned(parent)
    assert not folder.exists()


def test_a_folder_stays_until_the_ray_of_its_killed_search_is_gone_too(parent, dead):
    folder = temporary_ray_folder()
    rewrite(folder, process=dead)
    with subprocess.Popen([sys.executable, "-c", "input()", f"--temp-dir={folder}/r"], stdin=subprocess.PIPE) as node:
        remove_abandoned(parent)
        assert folder.exists()
        node.communicate(b"\n")
    remove_abandoned(parent)
    assert not folder.exists()


def test_a_mark_cut_short_by_a_kill_keeps_its_folder(parent):
    folder = temporary_ray_folder()
    lines = (folder / OWNER).read_text().splitlines()
    for complete in range(3):
        (folder / OWNER).write_text("\n".join(lines[:complete]))
        remove_abandoned(parent)
        assert folder.exists()


def test_nothing_is_left_where_something_is_written_while_it_is_removed(parent, monkeypatch):
    folder = temporary_ray_folder()
    (folder / "session").mkdir()
    remove_one = os.rmdir

    def write_first(path, **options):
        # As Ray's dashboard does: into the folder whose files have just been removed, by its path.
        with suppress(FileNotFoundError):
            (folder / "session" / "metrics.json").write_text("{}")
        remove_one(path, **options)

    monkeypatch.setattr(os, "rmdir", write_first)
    remove_ray_folder(folder)
    assert list(parent.iterdir()) == []


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


def test_a_folder_that_can_not_be_written_to_is_reported_before_ray_starts(parent, monkeypatch):
    (parent / "file").write_text("where no folder can be made")
    monkeypatch.setattr(tempfile, "tempdir", str(parent / "file"))
    with pytest.raises(ValueError, match=r"^Ray can't write to .*/file: Not a directory\. Make it writable, or "):
        temporary_ray_folder()


@pytest.fixture
def disk(monkeypatch):
    """The free megabytes of every disk."""
    free = {"mb": 1000}
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free["mb"] * 1e6))
    return free


def test_a_folder_without_room_is_reported_before_ray_starts(parent, disk):
    disk["mb"] = 3
    with pytest.raises(ValueError, match=f"^{parent} has 3 MB left, and Ray needs 50 MB there. Make room, or "):
        temporary_ray_folder()
    assert not list(parent.iterdir())


def test_an_error_of_ray_on_a_full_disk_names_the_folder_unless_it_names_a_file(parent, disk):
    errors = (
        OSError(errno.ENOSPC, "Error writing bytes to file"),
        OSError(errno.ENOSPC, "No space left", "settings.json"),
    )

    def raised(error):
        with pytest.raises(OSError, match="Errno") as caught, full_disk_named(parent):
            raise error
        return str(caught.value)

    assert [raised(error) for error in errors] == [str(error) for error in errors]
    disk["mb"] = 0
    assert f"The disk of {parent}, where Ray keeps its files, is full" in raised(errors[0])
    assert raised(errors[1]) == str(errors[1])
