"""A disk that becomes full while trials train, that of the results or that of Ray: a sentence, nothing lost, a resume.

The disk is a small tmpfs, which only root can mount.
"""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.tuner.end_to_end.search_process import Search, assert_no_epoch_is_repeated
from tuner.records import read_search
from tuner.search import INTERRUPTED, USER_ERROR

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

NUM_MB = 120


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A small disk at a short path, as Ray's temporary folder needs."""
    place = Path(tempfile.mkdtemp(prefix="d-", dir="/tmp"))
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={NUM_MB}m", "tmpfs", str(place)], capture_output=True, check=False
        )
        if mounted.returncode:
            pytest.skip("no file system can be mounted here")
        yield place
        # Processes that are just ending may still hold files there.
        subprocess.run(["umount", "--lazy", str(place)], check=True)
    finally:
        place.rmdir()


def fill(place: Path) -> Path:
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(2**20))
    return filler


@pytest.mark.parametrize("of_ray", [False, True])
def test_a_disk_that_becomes_full_ends_the_search_with_a_sentence_and_loses_nothing(
    small_disk, tmp_path, disc_folder, monkeypatch, of_ray
):
    storage = tmp_path / "results" if of_ray else small_disk
    if of_ray:
        monkeypatch.setenv("TMPDIR", str(small_disk))
    search = Search(tmp_path, storage / "moe" / "run")
    options = f"--data {disc_folder} --storage {storage} --name run --trials 3 --max-epochs 12 --confirm 0"
    options += " --scheduler none --concurrent 1 --set effective_batch=8 --set pyramid_channels=16 --set backbone=small"
    command = search.begin(*options.split())
    try:
        command.until(lambda: len(search.events("result")) >= 2)
        filler = fill(small_disk)
        # Without room its own report can't be written either.
        assert search.finish() == (INTERRUPTED if of_ray else USER_ERROR)
        assert ("where Ray keeps its files, is full" if of_ray else "No space left on device") in command.complained
        assert "continue with --resume" in command.complained
        assert "Traceback" not in command.complained
        before = search.events("result")
        filler.unlink()
        command = search.begin("--resume", str(search.folder))
        assert search.finish() == 0, command.complained
    finally:
        search.end()
    assert len(before) < len(search.events("result"))
    assert search.events("result")[: len(before)] == before
    assert_no_epoch_is_repeated(search)
    assert read_search(search.folder).is_finished
