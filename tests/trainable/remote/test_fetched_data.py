"""Data at a URI: fetched once into the cache of the machine, as a folder or out of an archive."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from trainable.remote.local_source import absolute_source, local_source
from trainable.remote.remote_folder import RemoteFolder
from trainable.run_setup import open_data
from trainable.workloads.registry import get_workload


@pytest.fixture
def there(tmp_path):
    """The folder of the data."""
    for name in ("images/a.png", "masks/a.png"):
        file = tmp_path / "store/set" / name
        file.parent.mkdir(parents=True)
        file.write_text(name)
    return tmp_path / "store"


def contents(folder: str) -> dict[str, str]:
    root = Path(folder)
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_a_path_is_what_it_was(tmp_path):
    assert local_source(str(tmp_path)) == absolute_source(str(tmp_path)) == str(tmp_path)
    assert absolute_source("s3://bucket/set") == "s3://bucket/set"


def test_a_folder_is_fetched_once(there, tmp_path):
    first = local_source(f"file://{there}/set", tmp_path / "cache")
    assert contents(first) == {"images/a.png": "images/a.png", "masks/a.png": "masks/a.png"}
    (there / "set/images/a.png").write_text("as long as ever"[:12])
    assert contents(local_source(f"file://{there}/set", tmp_path / "cache")) == contents(first)


def test_what_has_changed_there_is_fetched_again(there, tmp_path):
    first = local_source(f"file://{there}/set", tmp_path / "cache")
    (there / "set/images/b.png").write_text("b")
    second = local_source(f"file://{there}/set", tmp_path / "cache")
    assert second != first
    assert contents(second)["images/b.png"] == "b"


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar"])
def test_an_archive_is_unpacked(there, tmp_path, kind):
    archive = shutil.make_archive(str(there / "packed"), kind, there, "set")
    folder = local_source(f"file://{archive}", tmp_path / "cache")
    assert contents(folder) == contents(str(there / "set"))


def test_an_archive_is_found_without_a_list_of_its_folder(there, tmp_path, monkeypatch):
    archive = shutil.make_archive(str(there / "packed"), "zip", there, "set")
    monkeypatch.delattr(RemoteFolder, "names")
    assert contents(local_source(f"file://{archive}", tmp_path / "cache")) == contents(str(there / "set"))


def test_a_file_that_does_not_arrive_is_reported_and_leaves_nothing(there, tmp_path, monkeypatch):
    listed = RemoteFolder(f"file://{there}/set").names()
    monkeypatch.setattr(RemoteFolder, "names", lambda remote: listed | {"images/b.png": 3})
    with pytest.raises(ValueError, match=r"can't be fetched: images/b.png was removed while it was fetched\."):
        local_source(f"file://{there}/set", tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache/fetched").iterdir() if path.is_dir()]


def test_a_damaged_archive_is_reported_and_leaves_nothing(there, tmp_path):
    (there / "set.zip").write_text("no archive")
    with pytest.raises(ValueError, match=r"--data file://.*/set.zip can't be unpacked: .*\. Make the archive again\."):
        local_source(f"file://{there}/set.zip", tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache/fetched").iterdir() if path.is_dir()]


def test_an_address_without_data_is_reported(tmp_path):
    with pytest.raises(ValueError, match=r"--data is file://.*, where there is no file"):
        local_source(f"file://{tmp_path}/set", tmp_path / "cache")


def test_the_fetched_data_is_the_data(disc_folder, tmp_path):
    """A search on the URI and one on the folder see the same pictures."""
    opened = []
    for source in (str(disc_folder), f"file://{disc_folder}"):
        config = get_workload("moe").default_config(source)
        opened.append(open_data(replace(config, max_epochs=1), {}))
    assert opened[0].fingerprint == opened[1].fingerprint
