"""A disk that fails while trials train or are confirmed, and that nobody can write to then: a sentence, and a resume.

The disk is a file with a file system of its own, which only root can mount.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tuner.end_to_end.search_process import Search, assert_no_epoch_is_repeated
from tuner.records import read_runs, read_search
from tuner.search import USER_ERROR
from tuner.selection.comparison import confirmed_runs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
NUM_MB = 200


class Disk:
    """An ext4 file system at `place`, whose errors make it read-only."""

    def __init__(self, image: Path, place: Path) -> None:
        self._image, self.place = image, place
        with image.open("wb") as file:
            file.truncate(NUM_MB * 2**20)
        place.mkdir()

    def mount(self) -> None:
        if subprocess.run(["mkfs.ext4", "-q", self._image], capture_output=True, check=False).returncode:
            pytest.skip("no ext4 can be made here")
        self.repair()

    def repair(self) -> None:
        """Mounts it anew, as after a check of the disk."""
        subprocess.run(["umount", self.place], capture_output=True, check=False)
        command = ["mount", "-o", "loop,errors=remount-ro", self._image, self.place]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("no file system can be mounted here")

    def fail(self) -> None:
        """Flushes earlier writes, as the kernel does after half a minute, and lets all later ones fail."""
        subprocess.run(["sync", "--file-system", self.place], check=True)
        found = subprocess.run(["findmnt", "-no", "SOURCE", self.place], capture_output=True, text=True, check=True)
        Path("/sys/fs/ext4", Path(found.stdout.strip()).name, "trigger_fs_error").write_text("a test")


@pytest.fixture
def disk(tmp_path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "image", tmp_path / "disk")
    disk.mount()
    yield disk
    subprocess.run(["umount", "--lazy", disk.place], check=True)


def has_results(search: Search) -> bool:
    return len(search.events("result")) >= 2


def has_confirmed(search: Search) -> bool:
    return bool(read_runs(search.folder))


@pytest.mark.parametrize(("is_reached", "file"), [(has_results, "trials.jsonl"), (has_confirmed, "confirm.jsonl")])
def test_a_disk_that_fails_ends_the_search_with_a_sentence_and_it_continues_later(
    disk, tmp_path, disc_folder, is_reached, file
):
    search = Search(tmp_path, disk.place / "moe" / "run")
    options = f"--data {disc_folder} --storage {disk.place} --name run --trials 2 --max-epochs 12 --scheduler none"
    options += " --confirm 1 --confirm-seeds 2 --concurrent 1"
    options += " --set effective_batch=8 --set pyramid_channels=16 --set backbone=small"
    command = search.begin(*options.split())
    try:
        command.until(lambda: is_reached(search))
        disk.fail()
        assert search.finish() == USER_ERROR
        said = f"{search.folder}/{file}: Read-only file system. Finished epochs are saved; fix the problem and "
        assert f"error: {said}continue with --resume." in command.complained
        assert "Traceback" not in command.complained
        trained = read_runs(search.folder)
        disk.repair()
        command = search.begin("--resume", str(search.folder))
        assert search.finish() == 0, command.complained
    finally:
        search.end()
    record = read_search(search.folder)
    assert record.is_finished
    assert_no_epoch_is_repeated(search)
    runs = confirmed_runs(search.folder, record)
    assert len(runs) == 4
    assert [run for run in runs if run in trained] == trained
