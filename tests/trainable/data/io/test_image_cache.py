"""A cache folder is whole or absent: through errors, full disks, damage and two processes at once."""

import errno
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from trainable.data.image_mask.image_mask_set import Sample, open_splits, write_splits
from trainable.data.io import image_cache
from trainable.data.io.image_cache import CacheError, cached_folder, fingerprint, require_space

BUILD_IN_ANOTHER_PROCESS = """
import sys, time
from pathlib import Path
from trainable.data.io.image_cache import cached_folder

cache_dir, name, both_ready = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
def build(folder):
    with (cache_dir / "builders.txt").open("a") as log:
        log.write(name)
    (folder / "content").write_text(name)
(both_ready / name).touch()
while len(list(both_ready.iterdir())) < 2:
    time.sleep(0.001)
print((cached_folder("key", cache_dir, build) / "content").read_text())
"""


def sample(name: str, seed: int) -> Sample:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (8, 6, 3), dtype=np.uint8)
    return Sample(name=name, image=image, mask=rng.integers(0, 2, (8, 6), dtype=np.uint8))


def build_small(folder: Path) -> None:
    train, rest = [sample("a", 0), sample("b", 1)], [sample("c", 2)]
    write_splits(folder, {"train": train, "validation": rest, "test": [sample("d", 3)]}, (8, 6))


def leftovers(cache_dir: Path) -> list[str]:
    return [path.name for path in cache_dir.iterdir() if path.suffix != ".lock"]


def test_what_is_written_is_mapped_back_split_by_split(tmp_path):
    splits = open_splits(cached_folder("key", tmp_path, build_small))
    assert (splits.train.names, splits.validation.names, splits.test.names) == (("a", "b"), ("c",), ("d",))
    assert isinstance(splits.train.images, np.memmap)
    np.testing.assert_array_equal(splits.train.images[1], sample("b", 1).image)
    np.testing.assert_array_equal(splits.test.masks[0], sample("d", 3).mask)


def test_the_maps_cannot_be_written_through(tmp_path):
    splits = open_splits(cached_folder("key", tmp_path, build_small))
    with pytest.raises(ValueError, match="read-only"):
        splits.train.images[0] = 0


def test_a_second_call_does_not_build(tmp_path):
    folder = cached_folder("key", tmp_path, build_small)
    assert cached_folder("key", tmp_path, lambda _: pytest.fail("built again")) == folder


def test_another_key_is_another_folder(tmp_path):
    assert cached_folder("one", tmp_path, build_small) != cached_folder("two", tmp_path, build_small)


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_a_build_that_fails_leaves_nothing_behind(tmp_path, kind):
    def build(folder: Path) -> None:
        (folder / "half").write_bytes(b"x" * 1000)
        raise kind

    with pytest.raises(kind):
        cached_folder("key", tmp_path, build)
    assert leftovers(tmp_path) == []


def test_a_disk_that_fills_up_leaves_nothing_behind_and_says_what_to_do(tmp_path):
    def build(folder: Path) -> None:
        (folder / "half").write_bytes(b"x")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(CacheError, match=r"is full .* nothing half-made was left .* set VISION_TUNER_CACHE"):
        cached_folder("key", tmp_path, build)
    assert leftovers(tmp_path) == []


def test_what_will_not_fit_is_reported_before_it_is_built(tmp_path):
    with pytest.raises(CacheError, match=r"The images need 1000000000000 MB"):
        require_space(tmp_path, 10**18)
    with pytest.raises(CacheError, match=r"is full"):
        cached_folder("key", tmp_path, lambda _: pytest.fail("built"), needed_bytes=10**18)


def test_other_errors_of_a_build_are_not_blamed_on_the_disk(tmp_path):
    def build(folder: Path) -> None:
        (folder / "absent").read_bytes()

    with pytest.raises(FileNotFoundError):
        cached_folder("key", tmp_path, build)


def test_an_unfinished_folder_of_a_killed_process_is_replaced(tmp_path):
    unfinished = tmp_path / f"key-v{image_cache.FORMAT_VERSION}.building"
    unfinished.mkdir()
    (unfinished / "images.u8").write_bytes(b"half")
    assert len(open_splits(cached_folder("key", tmp_path, build_small)).train) == 2


@pytest.mark.parametrize("file", ["images.u8", "index.json", "manifest.json"])
@pytest.mark.parametrize("spoil", ["truncate", "flip", "remove"])
def test_a_damaged_folder_is_built_again_and_reported(tmp_path, caplog, file, spoil):
    path = cached_folder("key", tmp_path, build_small) / file
    content = path.read_bytes()
    path.unlink()
    if spoil == "truncate":
        path.write_bytes(content[:-3])
    elif spoil == "flip":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with caplog.at_level(logging.WARNING):
        splits = open_splits(cached_folder("key", tmp_path, build_small))
    assert "is damaged" in caplog.text
    np.testing.assert_array_equal(splits.train.images[0], sample("a", 0).image)


def test_of_two_processes_one_builds_and_both_get_the_same(tmp_path):
    cache_dir, ready = tmp_path / "cache", tmp_path / "ready"
    cache_dir.mkdir()
    ready.mkdir()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", BUILD_IN_ANOTHER_PROCESS, cache_dir, name, ready], stdout=subprocess.PIPE, text=True
        )
        for name in "ab"
    ]
    answers = {process.communicate()[0].strip() for process in processes}
    builder = (cache_dir / "builders.txt").read_text()
    assert len(builder) == 1
    assert answers == {builder}


def test_a_cache_path_that_is_a_file_is_reported(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CacheError, match=r"cannot be written .* set VISION_TUNER_CACHE to a folder that can"):
        cached_folder("key", tmp_path / "file", build_small)


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv(image_cache.CACHE_VARIABLE, str(tmp_path))
    assert image_cache.default_cache_dir() == tmp_path
    monkeypatch.delenv(image_cache.CACHE_VARIABLE)
    assert image_cache.default_cache_dir() == Path.home() / ".cache" / "vision-tuner"


def test_the_fingerprint_follows_names_and_contents_but_not_order():
    lines = {"train": [("a", "1"), ("b", "2")], "validation": [("c", "3")], "test": [("d", "4")]}
    base = fingerprint(lines)
    assert fingerprint({**lines, "train": [("b", "2"), ("a", "1")]}) == base
    changed = fingerprint({**lines, "test": [("d", "5")]})
    assert {split for split in base if base[split] != changed[split]} == {"test", "all"}
    swapped = fingerprint({**lines, "train": [("a", "1"), ("d", "4")], "test": [("b", "2")]})
    assert swapped["all"] == base["all"]
    assert swapped["train"] != base["train"]
