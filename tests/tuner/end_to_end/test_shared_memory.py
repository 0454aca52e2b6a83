"""Shared memory without room, when a search starts its Ray and while it trains: in a /dev/shm of its own."""

import subprocess
from pathlib import Path

import pytest

from tests.tuner.end_to_end.search_process import Search, SearchProcess
from tests.tuner.ray.raylets import needs_mounts
from tuner.records import read_search
from tuner.selection.comparison import confirmed_runs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400), needs_mounts]
FILL = """
mount -o remount,size=$(df --output=used -k /dev/shm | tail -n 1 | tr -d ' ')k /dev/shm &&
! head -c 1M /dev/zero > /dev/shm/more
"""
"""Memory in use stays; there is no more to have."""


def begin(place: Path, data: Path, *, room: str) -> Search:
    """A search with as much shared memory."""
    search = Search(place, place / "results" / "moe" / "run")
    own = f'mount -t tmpfs -o size={room} tmpfs /dev/shm && exec "$@"'
    options = f"--data {data} --storage {place}/results --name run --trials 2 --max-epochs 12 --scheduler none"
    options += " --confirm 1 --confirm-seeds 1 --set effective_batch=8 --set pyramid_channels=16 --set backbone=small"
    search.begin(*options.split(), before=("unshare", "--mount", "sh", "-c", own, "sh"))
    return search


def fill_shared_memory(command: SearchProcess) -> None:
    enter = ["nsenter", f"--target={command.pid}", "--mount", "sh", "-c", FILL]
    subprocess.run(enter, check=True, capture_output=True)


def assert_whole(search: Search) -> None:
    said = search.commands[-1].complained
    record = read_search(search.folder)
    assert record.is_finished, said
    assert len(confirmed_runs(search.folder, record)) == 2, said
    assert not search.events("leg_failed")
    assert "Traceback" not in said


def test_a_search_runs_without_space_in_shared_memory(tmp_path, disc_folder):
    search = begin(tmp_path, disc_folder, room="4K")
    try:
        assert search.finish() == 0, search.commands[-1].complained
    finally:
        search.end()
    assert_whole(search)


def test_a_search_continues_where_shared_memory_becomes_full(tmp_path, disc_folder):
    search = begin(tmp_path, disc_folder, room="1000G")
    command = search.commands[-1]
    try:
        command.until(lambda: search.events("result"))
        in_use = Path(f"/proc/{command.ray_nodes()[0].pid}/maps").read_text()
        assert "/dev/shm/" in in_use
        fill_shared_memory(command)
        assert search.finish() == 0, command.complained
    finally:
        search.end()
    assert_whole(search)
