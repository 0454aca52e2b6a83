"""Checkpoints of a trial on machines that see the results folder, and on machines that don't."""

import errno
from pathlib import Path

import pytest

from trainable.remote.remote_folder import RemoteFolder
from trainable.remote.trial_checkpoints import PATIENCE_SECONDS, TrialCheckpoints

NAME = "epoch_0001.pt"


def write(path: Path) -> None:
    path.write_bytes(b"weights")


def read_back(checkpoints: TrialCheckpoints) -> bytes | None:
    with checkpoints.found(NAME) as path:
        return path.read_bytes() if path.is_file() else None


def test_another_machine_finds_what_this_one_has_saved(tmp_path):
    store = f"file://{tmp_path}/store"
    (tmp_path / "results").mkdir()
    here, elsewhere = TrialCheckpoints(tmp_path / "results", store), TrialCheckpoints(tmp_path / "not here", store)
    assert read_back(elsewhere) is None
    here.save(NAME, write)
    assert (tmp_path / "results" / NAME).is_file()
    assert read_back(elsewhere) == b"weights"


def test_a_machine_without_the_results_folder_leaves_its_checkpoint_in_the_store_alone(tmp_path):
    store = f"file://{tmp_path}/store"
    elsewhere = TrialCheckpoints(tmp_path / "not here", store)
    elsewhere.save(NAME, write)
    assert not (tmp_path / "not here").exists()
    (tmp_path / "results").mkdir()
    assert read_back(TrialCheckpoints(tmp_path / "results", store)) == b"weights"
    assert (tmp_path / "results" / NAME).is_file()


def test_a_copy_in_passing_lies_in_the_scratch_folder_of_the_process(tmp_path):
    """A process that is killed meanwhile leaves it there, and no second one elsewhere."""
    (tmp_path / "scratch").mkdir()
    elsewhere = TrialCheckpoints(tmp_path / "not here", f"file://{tmp_path}/store", scratch=tmp_path / "scratch")
    places: list[Path] = []

    def write_and_note(path: Path) -> None:
        write(path)
        places.append(path)

    elsewhere.save(NAME, write_and_note)
    with elsewhere.found(NAME) as path:
        places.append(path)
    assert all(path.is_relative_to(tmp_path / "scratch") for path in places)
    assert not list((tmp_path / "scratch").iterdir())


def test_without_a_store_they_are_in_the_results_folder(tmp_path):
    checkpoints = TrialCheckpoints(tmp_path, None)
    assert read_back(checkpoints) is None
    checkpoints.save(NAME, write)
    assert read_back(checkpoints) == b"weights"


def test_a_store_that_is_away_costs_a_machine_with_the_results_folder_nothing(tmp_path, caplog):
    (tmp_path / "store").write_text("a file, where no folder can be made")
    (tmp_path / "results").mkdir()
    checkpoints = TrialCheckpoints(tmp_path / "results", f"file://{tmp_path}/store")
    checkpoints.save(NAME, write)
    assert "has not been copied" in caplog.text
    assert read_back(checkpoints) == b"weights"


def test_a_store_that_was_away_is_asked_again_after_thirty_seconds_and_not_at_each_epoch(tmp_path):
    blocked, now = tmp_path / "store", iter([0.0, 5.0, 34.9, 35.1])
    blocked.write_text("a file, where no folder can be made")
    (tmp_path / "results").mkdir()
    checkpoints = TrialCheckpoints(tmp_path / "results", f"file://{blocked}", clock=lambda: next(now))
    checkpoints.save("epoch_0001.pt", write)
    blocked.unlink()
    for epoch, names in ((2, set()), (3, {"epoch_0003.pt"})):
        checkpoints.save(f"epoch_000{epoch}.pt", write)
        assert (RemoteFolder(f"file://{blocked}").names().keys() if blocked.exists() else set()) == names


def test_a_machine_without_the_results_folder_waits_for_a_store_that_is_away(tmp_path):
    blocked, waited = tmp_path / "store", []
    blocked.write_text("a file, where no folder can be made")

    def pause(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            blocked.unlink()

    TrialCheckpoints(tmp_path / "not here", f"file://{blocked}", pause=pause).save(NAME, write)
    assert waited == [1.0, 2.0, 4.0]
    assert RemoteFolder(f"file://{blocked}").names() == {NAME: 7}


@pytest.mark.parametrize("folder", ["results", "not here"])
def test_a_trial_that_goes_on_waits_for_a_store_that_is_away(tmp_path, monkeypatch, folder):
    (tmp_path / "results").mkdir()
    TrialCheckpoints(tmp_path / "not here", f"file://{tmp_path}/store").save(NAME, write)
    real, waited = RemoteFolder.get, []

    def away_twice(remote, name, file):
        if len(waited) < 2:
            raise OSError("Network is unreachable")
        return real(remote, name, file)

    monkeypatch.setattr(RemoteFolder, "get", away_twice)
    checkpoints = TrialCheckpoints(tmp_path / folder, f"file://{tmp_path}/store", pause=waited.append)
    assert read_back(checkpoints) == b"weights"
    assert waited == [1.0, 2.0]


def test_a_full_disk_of_this_machine_is_not_waited_for(tmp_path, monkeypatch):
    def full(remote, name, file):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(RemoteFolder, "get", full)
    waited: list[float] = []
    checkpoints = TrialCheckpoints(tmp_path / "not here", f"file://{tmp_path}/store", pause=waited.append)
    with pytest.raises(OSError, match="No space left"):
        read_back(checkpoints)
    assert waited == []


def test_it_does_not_wait_for_ever(tmp_path):
    (tmp_path / "store").write_text("a file, where no folder can be made")
    waited: list[float] = []
    checkpoints = TrialCheckpoints(tmp_path / "not here", f"file://{tmp_path}/store", pause=waited.append)
    with pytest.raises(OSError):
        checkpoints.save(NAME, write)
    assert PATIENCE_SECONDS <= sum(waited) < PATIENCE_SECONDS + 31
