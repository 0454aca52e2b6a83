"""The copy of a results folder at a URI: whole at every moment, never in the way of the search."""

import json
import logging
import math
import shutil
from contextlib import closing
from pathlib import Path
from threading import Event
from uuid import uuid4

import pyarrow
import pytest

from tests.tuner.conftest import recorded_settings
from trainable.leg import checkpoint_name
from trainable.remote.remote_folder import RemoteFolder, arriving_file
from tuner.records import ConfirmedRun, Recorder, append_run, read_runs, read_search
from tuner.records.checkpoints import remove_others, trial_folder
from tuner.storage import lease as leases
from tuner.storage import mirror as mirrors
from tuner.storage.fetched_search import check_store, fetch_search
from tuner.storage.lease import Lease, LeaseLostError
from tuner.storage.mirror import Mirror, mirror_folder

TRIAL = "000-00000000"


@pytest.fixture
def recorder(tmp_path):
    with closing(Recorder.create(tmp_path / "results/moe/spring", recorded_settings(name="spring"))) as recorder:
        recorder.open_session()
        recorder.start(TRIAL, params={"max_lr": 0.1}, answers={"max_lr": 0.1})
        yield recorder


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(leases, "SETTLING_SECONDS", 0.0)


@pytest.fixture
def store(tmp_path) -> str:
    return f"file://{tmp_path}/store/moe/spring"


def train(recorder: Recorder, epoch: int) -> None:
    place = trial_folder(recorder.folder, TRIAL)
    place.mkdir(parents=True, exist_ok=True)
    (place / checkpoint_name(epoch)).write_bytes(b"weights" * epoch)
    recorder.result(TRIAL, epoch=epoch, objective=0.5 + epoch / 100, metrics={}, seconds=1.0)
    remove_others(recorder.folder, TRIAL, epoch)


def confirmed(seed: int) -> ConfirmedRun:
    return ConfirmedRun(trial=TRIAL, seed=seed, objective=0.6, validation=0.6, test={})


def unreachable(uri: str):
    raise OSError("Network is unreachable")


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def test_the_copy_follows_the_folder(recorder, store, tmp_path):
    mirror = Mirror(recorder.folder, store)
    for epoch in (1, 2, 3):
        train(recorder, epoch)
        (recorder.folder / "report.md").write_text(f"after {epoch}")
        mirror.copy()
        assert mirror.try_copy()
    assert files(tmp_path / "store/moe/spring") == files(recorder.folder)
    (recorder.folder / "report.md").unlink()
    mirror.copy()
    assert files(tmp_path / "store/moe/spring") == files(recorder.folder)


def test_a_checkpoint_stays_in_the_store_until_the_records_of_a_later_one_are_there(recorder, store, tmp_path):
    mirror, place = Mirror(recorder.folder, store), tmp_path / "store/moe/spring/checkpoints" / TRIAL
    train(recorder, 1)
    mirror.copy()
    (place / checkpoint_name(2)).write_bytes(b"of another machine, not reported yet")
    mirror.copy()
    assert sorted(path.name for path in place.iterdir()) == [checkpoint_name(1), checkpoint_name(2)]


def test_remains_of_killed_uploads_are_removed_and_uploads_in_progress_stay(recorder, store, tmp_path):
    mirror, place = Mirror(recorder.folder, store), tmp_path / "store/moe/spring/checkpoints" / TRIAL
    train(recorder, 2)
    mirror.copy()
    for epoch in (1, 3):
        (place / f".{checkpoint_name(epoch)}.{uuid4().hex}.part").write_bytes(b"weig")
    mirror.copy()
    assert {arriving_file(path.name) for path in place.iterdir()} == {checkpoint_name(2), checkpoint_name(3)}


def test_a_partial_file_of_a_killed_upload_is_not_fetched(recorder, store, tmp_path):
    Mirror(recorder.folder, store).copy()
    best = tmp_path / "store/moe/spring/best"
    best.mkdir()
    (best / f".weights.pt.{uuid4().hex}.part").write_bytes(b"weig")
    assert not (fetch_search(store, tmp_path / "other") / "best").exists()


def test_a_file_removed_during_a_pass_does_not_count_as_an_unreachable_store(recorder, store, monkeypatch, caplog):
    train(recorder, 1)
    real = Path.stat

    def removed_meanwhile(path, **options):
        found = real(path, **options)
        if path.suffix == ".pt":
            path.unlink(missing_ok=True)
        return found

    # Asked for twice, a file is gone the second time.
    monkeypatch.setattr(Path, "stat", removed_meanwhile)
    assert Mirror(recorder.folder, store).try_copy()
    assert caplog.text == ""


def test_an_unreachable_store_costs_a_warning_and_is_tried_again(recorder, store, tmp_path, caplog):
    (tmp_path / "store").write_text("a file, where no folder can be made")
    mirror = Mirror(recorder.folder, store)
    train(recorder, 1)
    assert [mirror.try_copy(), mirror.try_copy()] == [False, False]
    assert caplog.text.count("The search continues in") == 1
    (tmp_path / "store").unlink()
    assert mirror.try_copy()
    assert files(tmp_path / "store/moe/spring") == files(recorder.folder)


def test_at_the_end_the_copy_has_everything(recorder, store, tmp_path):
    with mirror_folder(recorder.folder, store):
        train(recorder, 1)
    assert files(tmp_path / "store/moe/spring") == files(recorder.folder)
    with mirror_folder(recorder.folder, None) as nothing:
        assert nothing is None


def test_each_wait_for_the_store_is_announced(recorder, store, caplog):
    caplog.set_level(logging.INFO)
    with mirror_folder(recorder.folder, store):
        assert caplog.messages[0] == f"Checking that no other machine continues {store} ..."
    assert caplog.messages[-1] == f"Copying the last changes to {store} ..."


def test_a_store_that_another_machine_has_taken_over_is_not_written_to(recorder, store, tmp_path):
    lease, other = Lease(store), Lease(store)
    lease.take()
    mirror = Mirror(recorder.folder, store, lease)
    mirror.copy()
    (tmp_path / "store/moe/spring/.lease").unlink()
    other.take()
    before = files(tmp_path / "store/moe/spring")
    train(recorder, 1)
    assert mirror.try_copy()
    said = f"^{store} is continued by process .*, so this search ends; what it has finished is in {recorder.folder}.$"
    with pytest.raises(LeaseLostError, match=said):
        mirror.check_held()
    assert files(tmp_path / "store/moe/spring") == before
    # A later command finds it on record, until the search is continued here again.
    assert read_search(recorder.folder).taken_over == mirror.taken_over
    (tmp_path / "store/moe/spring/.lease").unlink()
    with mirror_folder(recorder.folder, store):
        assert read_search(recorder.folder).taken_over is None


def test_a_takeover_while_the_last_changes_are_copied_is_reported(recorder, store, tmp_path, caplog):
    with mirror_folder(recorder.folder, store) as mirror:
        mirror.copy()
        (tmp_path / "store/moe/spring/.lease").unlink()
        Lease(store).take()
        train(recorder, 1)
    assert f"{store} is continued by process " in caplog.text
    assert f"; the last changes are in {recorder.folder} alone." in caplog.text


def test_the_right_to_write_is_kept_while_one_file_takes_long(recorder, store, tmp_path, monkeypatch):
    """The file is through when the lease was renewed twice meanwhile, which only happens beside the copy."""
    for module in (leases, mirrors):
        monkeypatch.setattr(module, "RENEWED_SECONDS", 0.01)
    monkeypatch.setattr(mirrors, "PAUSE_SECONDS", 0.01)
    renewed, put = Event(), RemoteFolder.put

    def slow_put(remote, path, name):
        if name == leases.LEASE and json.loads(path.read_text())["written"] >= first["written"] + 2:
            renewed.set()
        if name.startswith("checkpoints"):
            first["written"] = json.loads((tmp_path / "store/moe/spring" / leases.LEASE).read_text())["written"]
            assert renewed.wait(20), "the lease was not renewed while a file was copied"
        put(remote, path, name)

    first = {"written": math.inf}
    monkeypatch.setattr(RemoteFolder, "put", slow_put)
    train(recorder, 1)
    with mirror_folder(recorder.folder, store):
        assert renewed.wait(20)
    assert (tmp_path / "store/moe/spring/checkpoints" / TRIAL / checkpoint_name(1)).exists()


def test_a_pass_ends_when_another_machine_continues_the_search(recorder, store, monkeypatch):
    train(recorder, 1)
    lease, put = Lease(store), RemoteFolder.put
    lease.take()
    mirror = Mirror(recorder.folder, store, lease)

    def lost_after_the_checkpoint(remote, path, name):
        put(remote, path, name)
        if name.startswith("checkpoints"):
            monkeypatch.setattr(Lease, "_is_gone", lambda self, found: True)
            Lease(store).take()
            mirror.keep_lease()

    monkeypatch.setattr(RemoteFolder, "put", lost_after_the_checkpoint)
    assert mirror.try_copy()
    assert mirror.taken_over.startswith(f"{store} is continued by")
    assert set(RemoteFolder(store).names()) == {leases.LEASE, f"checkpoints/{TRIAL}/{checkpoint_name(1)}"}


def test_two_machines_do_not_continue_one_search_at_a_time(recorder, store, tmp_path, monkeypatch):
    monkeypatch.setattr(mirrors, "RENEWED_SECONDS", 0.01)
    monkeypatch.setattr(leases, "RENEWED_SECONDS", 0.01)
    monkeypatch.setattr(leases, "LOOK_SECONDS", 0.02)
    Mirror(recorder.folder, store).copy()
    with mirror_folder(recorder.folder, store), pytest.raises(ValueError, match=f"{store} is in use by process"):
        fetch_search(store, tmp_path / "other", lease=Lease(store))
    lease = Lease(store)
    folder = fetch_search(store, tmp_path / "other", lease=lease)
    with mirror_folder(folder, store, lease):
        assert (tmp_path / "store/moe/spring/.lease").exists()
    assert not (tmp_path / "store/moe/spring/.lease").exists()
    assert not (folder / ".lease").exists()


def test_a_folder_does_not_overwrite_a_copy_that_has_continued_elsewhere(recorder, store, tmp_path):
    shutil.copytree(recorder.folder, tmp_path / "behind/moe/spring")
    train(recorder, 1)
    Mirror(recorder.folder, store).copy()
    said = f"^{store} has changed since .* was copied from it; continue there with --resume"
    with pytest.raises(ValueError, match=said), mirror_folder(tmp_path / "behind/moe/spring", store):
        pass
    assert files(tmp_path / "store/moe/spring") == files(recorder.folder)


def test_a_confirmation_that_has_continued_elsewhere_is_fetched_and_not_overwritten(recorder, store, tmp_path):
    append_run(recorder.folder, confirmed(1000))
    with mirror_folder(recorder.folder, store):
        pass
    elsewhere = fetch_search(store, tmp_path / "other")
    with mirror_folder(elsewhere, store):
        append_run(elsewhere, confirmed(1001))
    with pytest.raises(ValueError, match=f"^{store} has changed since"), mirror_folder(recorder.folder, store):
        pass
    assert fetch_search(store, tmp_path / "results") == recorder.folder
    assert [run.seed for run in read_runs(recorder.folder)] == [1000, 1001]
    append_run(recorder.folder, confirmed(1002))
    append_run(elsewhere, confirmed(1003))
    with mirror_folder(recorder.folder, store):
        pass
    with pytest.raises(ValueError, match="have both changed since they were equal"):
        fetch_search(store, tmp_path / "other")


def test_a_file_that_is_listed_and_does_not_arrive_leaves_no_half_of_a_search(recorder, store, tmp_path, monkeypatch):
    Mirror(recorder.folder, store).copy()
    real = RemoteFolder.names
    monkeypatch.setattr(RemoteFolder, "names", lambda remote: real(remote) | {"report.html": 3})
    said = rf"--resume {store} can't be used: report\.html was removed while it was fetched\."
    with pytest.raises(ValueError, match=said):
        fetch_search(store, tmp_path / "other")
    assert not (tmp_path / "other/moe/spring/settings.json").exists()


def test_a_store_that_was_unreachable_at_the_start_is_not_overwritten_later(recorder, store, tmp_path, monkeypatch):
    with mirror_folder(recorder.folder, store):
        pass
    elsewhere = fetch_search(store, tmp_path / "other")
    with mirror_folder(elsewhere, store), closing(Recorder.resume(elsewhere)) as other:
        train(other, 1)
    there = files(tmp_path / "store/moe/spring")
    with monkeypatch.context() as away:
        away.setattr("trainable.remote.remote_folder._filesystem", unreachable)
        mirror = Mirror(recorder.folder, store, Lease(store))
        mirror.keep_lease()
        assert not mirror.try_copy()
    mirror.keep_lease()
    assert mirror.try_copy()
    assert mirror.taken_over == f"{store} has changed since {recorder.folder} was copied from it"
    assert files(tmp_path / "store/moe/spring") == there


def test_a_search_is_fetched_on_a_machine_that_has_nothing_of_it(recorder, store, tmp_path, monkeypatch):
    train(recorder, 1)
    Mirror(recorder.folder, store).copy()
    (tmp_path / "other machine").mkdir()
    monkeypatch.chdir(tmp_path / "other machine")
    folder = fetch_search(store)
    assert folder == Path("results/moe/spring")
    assert read_search(folder).by_name[TRIAL].last == recorder.record.by_name[TRIAL].last
    assert not (folder / "checkpoints").exists()
    Mirror(folder, store).fetch_checkpoints(read_search(folder).trials)
    assert files(folder) == files(recorder.folder)


def test_a_fetched_search_that_has_continued_here_is_not_overwritten(recorder, store, tmp_path):
    Mirror(recorder.folder, store).copy()
    train(recorder, 1)
    before = files(recorder.folder)
    assert fetch_search(store, tmp_path / "results") == recorder.folder
    assert files(recorder.folder) == before


def test_a_folder_and_a_copy_that_have_both_continued_are_reported(recorder, store, tmp_path):
    shutil.copytree(recorder.folder, tmp_path / "elsewhere/moe/spring")
    train(recorder, 1)
    Mirror(recorder.folder, store).copy()
    with closing(Recorder.resume(tmp_path / "elsewhere/moe/spring")) as other:
        train(other, 2)
    with pytest.raises(ValueError, match="have both changed since they were equal; move one of them away"):
        fetch_search(store, tmp_path / "elsewhere")


def test_a_store_without_a_search_and_one_that_is_taken_are_reported(recorder, store):
    with pytest.raises(ValueError, match=r"holds no search: there is no settings\.json"):
        fetch_search(store)
    check_store(store)
    Mirror(recorder.folder, store).copy()
    with pytest.raises(ValueError, match="already holds a search; continue with --resume file://"):
        check_store(store)


def test_a_place_that_can_not_be_written_is_reported_before_the_search(tmp_path):
    (tmp_path / "store").write_text("a file, where no folder can be made")
    with pytest.raises(ValueError, match=r"--storage file://.* can't be used: .* Check the address"):
        check_store(f"file://{tmp_path}/store/moe/spring")


def test_what_is_waited_for_is_reported(recorder, store, tmp_path, caplog):
    caplog.set_level("INFO")
    check_store(store)
    Mirror(recorder.folder, store).copy()
    fetch_search(store, tmp_path / "elsewhere")
    assert f"Checking whether {store} can be written to ..." in caplog.text
    assert f"Looking for the search in {store} ..." in caplog.text


def test_a_search_continues_after_an_error_of_a_store_library(recorder, store, monkeypatch, caplog):
    def refuse(uri):
        raise pyarrow.ArrowException("no credentials")

    monkeypatch.setattr("tuner.storage.mirror.LAST_ATTEMPTS", 1)
    monkeypatch.setattr("trainable.remote.remote_folder._filesystem", refuse)
    with mirror_folder(recorder.folder, store):
        pass
    assert "can't be reached: ArrowException: no credentials. The search goes on in" in caplog.text
