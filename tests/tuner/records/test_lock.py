"""One writer at a time: who holds the folder is named, and whoever is gone, however it went, holds nothing."""

import errno
import fcntl
import logging
import os
import platform
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.tuner.conftest import recorded_settings
from tests.tuner.records.conftest import record_curve
from tuner.records import Recorder, lock_folder, read_search

ROOT = Path(__file__).resolve().parents[3]
HOLDER = """
import sys
from pathlib import Path
from tuner.records import lock_folder
with lock_folder(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(folder):
    """Another process that holds the folder until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), "--a", "b"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.stdin.close()
            process.wait(timeout=30)


def test_a_second_process_is_refused_with_who_holds_the_folder(tmp_path):
    with holder(tmp_path) as other:
        sentence = (
            rf"{re.escape(str(tmp_path))} is in use by process {other.pid} on {re.escape(platform.node())} since "
            rf"\d{{4}}-\d\d-\d\d .*{re.escape(str(tmp_path))} --a b\); wait until it ends, or stop it. Reading needs"
        )
        with pytest.raises(ValueError, match=sentence), lock_folder(tmp_path):
            pytest.fail("both hold it")
    with lock_folder(tmp_path):
        pass


def test_reading_works_meanwhile(tmp_path):
    recorder = Recorder.create(tmp_path / "run", recorded_settings())
    record_curve(recorder, 0.5)
    recorder.close()
    with holder(tmp_path / "run"):
        assert read_search(tmp_path / "run").trials[0].objective_at(1) == 0.5


def test_after_a_kill_of_its_owner_the_folder_is_free(tmp_path):
    with holder(tmp_path) as other:
        other.send_signal(signal.SIGKILL)
        other.wait(timeout=30)
        assert (tmp_path / ".lock").read_text() != ""
        with lock_folder(tmp_path):
            assert str(os.getpid()) in (tmp_path / ".lock").read_text()


def test_a_process_that_an_owner_started_does_not_hold_the_folder_after_it(tmp_path):
    """Ray's processes, for example, may outlive a killed search."""
    child = "import subprocess; subprocess.Popen(['sleep', '60']); "
    code = HOLDER.replace('print("held"', f'{child}print("held"')
    owner = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    with owner:
        assert owner.stdout.readline() == b"held\n"
        owner.kill()
        owner.wait(timeout=30)
        try:
            with lock_folder(tmp_path):
                pass
        finally:
            os.killpg(owner.pid, signal.SIGKILL)


def test_the_same_process_cannot_hold_a_folder_twice(tmp_path):
    with lock_folder(tmp_path):
        with pytest.raises(ValueError, match=f"in use by process {os.getpid()} on"), lock_folder(tmp_path):
            pytest.fail("held twice")
        with pytest.raises(ValueError, match="in use by"), lock_folder(tmp_path):
            pytest.fail("the refused one has let go of it")
    with lock_folder(tmp_path):
        pass


def test_of_many_threads_one_holds_the_folder_at_a_time(tmp_path):
    counted, inside, most = [], threading.Semaphore(0), threading.Barrier(8)

    def work():
        most.wait(timeout=30)
        try:
            with lock_folder(tmp_path):
                counted.append("held")
                inside.acquire(timeout=30)
        except ValueError:
            counted.append("refused")
            if counted.count("refused") == 7:
                inside.release()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(counted) == ["held"] + ["refused"] * 7


def test_two_folders_do_not_disturb_each_other(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with lock_folder(tmp_path / "one"), lock_folder(tmp_path / "two"):
        pass


@pytest.mark.parametrize("name", [".lock", "trials.jsonl", "tensorboard", "checkpoints/000-0123abcd", ".report.md"])
def test_a_link_to_elsewhere_is_refused_and_nothing_is_written_through_it(tmp_path, name):
    folder, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    (folder / name).parent.mkdir(parents=True)
    elsewhere.write_bytes(b"precious")
    (folder / name).symlink_to(elsewhere)
    with pytest.raises(ValueError, match=rf"{name} is a link that leads out of"), lock_folder(folder):
        pytest.fail("it is held")
    assert elsewhere.read_bytes() == b"precious"


def test_a_link_within_the_folder_is_none_of_our_business_and_the_folder_may_be_behind_one(tmp_path):
    """Weights & Biases links to its latest run."""
    (tmp_path / "run" / "wandb" / "run-1").mkdir(parents=True)
    (tmp_path / "run" / "wandb" / "latest-run").symlink_to("run-1")
    (tmp_path / "results").symlink_to(tmp_path / "run")
    with lock_folder(tmp_path / "results"):
        pass


def test_an_error_inside_gives_the_folder_back(tmp_path):
    with pytest.raises(KeyboardInterrupt), lock_folder(tmp_path):
        raise KeyboardInterrupt
    with lock_folder(tmp_path):
        pass
    assert (tmp_path / ".lock").read_text() == ""


@pytest.fixture(params=[errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def without_locks(request, monkeypatch):
    """A file system that has none."""

    def refuse(*_):
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_a_file_system_without_locks_is_reported_and_used(tmp_path, without_locks, caplog):
    with caplog.at_level(logging.WARNING), lock_folder(tmp_path):
        pass
    assert f"The file system of {tmp_path} has no locks: do not run a second process on it." in caplog.text


def test_without_locks_the_owners_word_is_taken_while_it_stands(tmp_path, without_locks):
    with lock_folder(tmp_path):
        sentence = rf"is marked as in use by process {os.getpid()} .* if that process has ended, delete .*\.lock"
        with pytest.raises(ValueError, match=sentence), lock_folder(tmp_path):
            pytest.fail("both use it")
        with pytest.raises(ValueError, match=sentence), lock_folder(tmp_path):
            pytest.fail("the word of the first is gone")
    with lock_folder(tmp_path):
        pass


def test_without_locks_a_killed_owners_word_stands_until_it_is_deleted(tmp_path, without_locks):
    with holder(tmp_path) as other:
        other.kill()
        other.wait(timeout=30)
    with pytest.raises(ValueError, match=f"in use by process {other.pid}"), lock_folder(tmp_path):
        pytest.fail("the word of a killed owner is passed over")
    (tmp_path / ".lock").unlink()
    with lock_folder(tmp_path):
        pass


def test_another_error_of_the_file_system_is_an_error(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="Input/output error"), lock_folder(tmp_path):
        pytest.fail("held without a lock")


@pytest.mark.parametrize("word", ["", "[]", "{}", "nonsense", '{"process": 7}', "\x00" * 50])
def test_a_word_that_nobody_understands_is_another_process(tmp_path, word):
    with holder(tmp_path):
        (tmp_path / ".lock").write_text(word)
        with pytest.raises(ValueError, match="is in use by another process;"), lock_folder(tmp_path):
            pytest.fail("both hold it")


def test_a_folder_on_a_disk_that_is_only_read_is_refused_in_a_sentence(tmp_path):
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    if os.getuid() or subprocess.run(["mount", "-t", "tmpfs", "none", mounted], check=False).returncode:
        pytest.skip("needs the right to mount")
    try:
        subprocess.run(["mount", "-o", "remount,ro", mounted], check=True)
        words = r"mounted can't be written to: Read-only file system\. Make it"
        with pytest.raises(ValueError, match=words), lock_folder(mounted):
            pass
    finally:
        subprocess.run(["umount", mounted], check=True)
