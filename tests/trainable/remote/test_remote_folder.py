"""A folder by its URI: what is put there comes back, and nothing half-made is seen."""

import errno
import io
import os
import signal
from collections.abc import Callable
from types import SimpleNamespace

import pyarrow
import pytest

from trainable.remote.remote_folder import RemoteFolder
from trainable.remote.uri import check_uri, child_uri, is_uri


@pytest.fixture(params=["file", "memory"])
def remote(request, tmp_path) -> RemoteFolder:
    """One that pyarrow knows, and one that fsspec knows."""
    return RemoteFolder(f"file://{tmp_path}/there" if request.param == "file" else f"memory://{tmp_path.name}/there")


def test_a_file_comes_back_and_is_listed_with_its_size(remote, tmp_path):
    (tmp_path / "here").write_bytes(b"weights")
    remote.put(tmp_path / "here", "checkpoints/000/epoch_0001.pt")
    assert remote.get("checkpoints/000/epoch_0001.pt", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"weights"
    assert remote.names() == remote.names("checkpoints") == {"checkpoints/000/epoch_0001.pt": 7}


def test_a_file_is_replaced_and_removed(remote, tmp_path):
    for content in (b"one", b"other"):
        (tmp_path / "here").write_bytes(content)
        remote.put(tmp_path / "here", "name")
    assert remote.names() == {"name": 5}
    remote.remove("name")
    remote.remove("name")
    assert remote.names() == {}


def test_a_file_that_two_write_at_once_is_whole(remote, tmp_path):
    class ReadTwice(io.BytesIO):
        """While it is copied for the first time, it is copied again."""

        def read(self, size=-1):
            if not self.tell():
                remote.put(file, "epoch_0001.pt")
            return super().read(size)

    file = tmp_path / "file"
    file.write_bytes(b"weights")
    remote.put(SimpleNamespace(open=lambda mode: ReadTwice(b"weights"), name="file"), "epoch_0001.pt")
    assert remote.names() == {"epoch_0001.pt": 7}


class BrokenOff(io.BytesIO):
    """Ctrl-C comes while it is copied."""

    def read(self, size=-1):
        if not self.tell():
            signal.raise_signal(signal.SIGINT)
        return super().read(size)


@pytest.mark.parametrize("kind", ["file", "one that shows a file when its stream is closed"])
def test_an_upload_that_ctrl_c_breaks_off_leaves_a_whole_file(tmp_path, monkeypatch, kind):
    remote = RemoteFolder(f"file://{tmp_path}/there")
    (tmp_path / "here").write_bytes(b"former")
    remote.put(tmp_path / "here", "settings.json")
    if kind != "file":
        monkeypatch.setattr("trainable.remote.remote_folder._ALL_OR_NOTHING", ("local",))
    with pytest.raises(KeyboardInterrupt):
        remote.put(SimpleNamespace(open=lambda mode: BrokenOff(b"latter"), name="file"), "settings.json")
    assert remote.get("settings.json", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() in (b"former", b"latter")
    assert remote.names().keys() == {"settings.json"}


class BrokenDisk(io.BytesIO):
    """The disk ends in the middle of a file."""

    def read(self, size=-1):
        if self.tell():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().read(4)


def test_an_upload_that_fails_leaves_nothing(tmp_path):
    remote = RemoteFolder(f"file://{tmp_path}/there")
    full = SimpleNamespace(open=lambda mode: BrokenDisk(b"weights"), name="file")
    with pytest.raises(OSError, match="No space left on device"):
        remote.put(full, "epoch_0001.pt")
    assert remote.names() == {}


def test_of_a_file_that_is_not_there_nothing_is_written(remote, tmp_path):
    assert not remote.get("name", tmp_path / "back")
    assert not list(tmp_path.glob("*back*"))
    assert remote.names() == {}


def test_what_arrives_is_reported(remote, tmp_path):
    (tmp_path / "here").write_bytes(b"weights")
    remote.put(tmp_path / "here", "name")
    arrived: list[int] = []
    assert remote.get("name", tmp_path / "back", arrived.append)
    assert sum(arrived) == remote.size("name") == 7
    assert remote.size("another") is None


@pytest.mark.parametrize("name", ["../../evil.sh", "images//a.png", "./a.png", "images/.."])
def test_a_name_that_leads_out_of_a_folder_is_refused(tmp_path, monkeypatch, name):
    """A store takes any text for the name of an object."""
    there = SimpleNamespace(path=f"{tmp_path}/there/{name}", size=1, is_file=True)
    remote = RemoteFolder(f"file://{tmp_path}/there")
    monkeypatch.setattr(remote, "_files", SimpleNamespace(get_file_info=lambda selector: [there]))
    with pytest.raises(OSError, match=f"'{name}' in file://.* is no name of a file; rename or remove it there"):
        remote.names()


def test_an_address_that_no_library_knows_is_reported():
    with pytest.raises(ValueError, match="No library here opens nowhere:// addresses"):
        RemoteFolder("nowhere://bucket/results")


class Refusing:
    """A filesystem whose library has errors of its own."""

    type_name = "s3"

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Callable[..., None]:
        def call(*arguments: object, **options: object) -> None:
            raise self._error

        return call


@pytest.mark.parametrize(
    "error", [pyarrow.ArrowException("no credentials"), NotImplementedError("read only"), KeyError("their own")]
)
def test_an_error_of_the_library_of_a_store_is_an_os_error(error, tmp_path, monkeypatch):
    remote = RemoteFolder(f"file://{tmp_path}/there")
    monkeypatch.setattr(remote, "_files", Refusing(error))
    (tmp_path / "here").write_bytes(b"weights")
    calls = (
        remote.names,
        lambda: remote.put(tmp_path / "here", "name"),
        lambda: remote.get("name", tmp_path / "back"),
        lambda: remote.remove("name"),
    )
    for call in calls:
        with pytest.raises(OSError, match=f"^{type(error).__name__}: ") as caught:
            call()
        assert caught.value.__cause__ is error


def test_the_store_of_google_is_not_retried_in_silence_for_a_quarter_of_an_hour(monkeypatch):
    seen: list[str] = []
    opener = SimpleNamespace(from_uri=lambda uri: (seen.append(uri), "bucket/a"))
    monkeypatch.setattr("trainable.remote.remote_folder.fs", SimpleNamespace(FileSystem=opener))
    for uri in ("gs://bucket/a", "gs://bucket/a?retry_limit_seconds=5", "s3://bucket/a"):
        RemoteFolder(uri)
    assert seen == ["gs://bucket/a?retry_limit_seconds=30", "gs://bucket/a?retry_limit_seconds=5", "s3://bucket/a"]


def test_the_query_of_an_address_stays_at_its_end():
    uri = "s3://bucket/results/?endpoint_override=127.0.0.1:9000"
    assert child_uri(uri, "moe", "spring") == "s3://bucket/results/moe/spring?endpoint_override=127.0.0.1:9000"
    assert is_uri(uri)
    assert not is_uri("results")


@pytest.mark.parametrize(
    "uri", ["s3://KEY:SECRET@bucket/a", "s3://KEY@bucket/a", "s3://bucket/a?secret_key=x", "sftp://me:word@host/a"]
)
def test_an_address_with_credentials_is_refused(uri):
    with pytest.raises(ValueError, match="--storage holds credentials") as caught:
        check_uri(uri, "--storage")
    assert "SECRET" not in str(caught.value).replace("AWS_SECRET_ACCESS_KEY", "")
