"""`make gpu` without a GPU: its pieces run on a CPU, at a size that shows nothing but that, and it can be continued."""

import importlib.util
import json
import os
import select
import threading
from dataclasses import replace
from multiprocessing.pool import ThreadPool
from types import SimpleNamespace

import pytest
import torch

from benchmarks import record
from benchmarks.gpu import __main__ as command
from benchmarks.gpu import result, side_by_side
from benchmarks.gpu.__main__ import DONE, FAILED, LEFT, NO_DEVICE, PIECE_SECONDS, main, run_whole
from benchmarks.gpu.piece import outcome
from benchmarks.gpu.pieces import PIECES, WAYS, marked_files
from benchmarks.gpu.result import Number, Result
from benchmarks.gpu.work import OURS, Work
from benchmarks.harness import Size
from tests.gpu.techniques import WAYS as TESTED_WAYS

TINY = Size(rounds=1, is_tiny=True)
QUICK = ("kernels small",)
SLOW = ("steps small", "trainings side by side", "tests bf16", "tests of memory, resume and data")


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_a_piece_gives_numbers(name):
    found = outcome(name, "cpu", TINY)
    assert (found.status, found.note) == ("measured", "")
    assert found.numbers
    assert all(value >= 0 for number in found.numbers for value in number.values)


@pytest.mark.parametrize(
    ("name", "package", "note"),
    [
        ("steps resnet50", "torchvision", "torchvision is not installed"),
        ("steps timm", "timm", "timm is not installed"),
        ("search at half a GPU a trial", "ray", "a search needs ray"),
    ],
)
def test_a_piece_whose_package_is_missing_is_skipped_and_says_so(name, package, note, monkeypatch):
    found_spec = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == package else found_spec(name))
    found = outcome(name, "cpu", TINY)
    assert (found.status, found.note) == ("skipped", note)


def test_a_piece_that_fails_says_why_and_the_others_are_kept(monkeypatch):
    def fail(device, size):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    broken = PIECES["kernels small"].__class__(measure=fail, seconds=1.0)
    monkeypatch.setitem(PIECES, "kernels small", broken)
    found = outcome("kernels small", "cpu", TINY)
    assert (found.status, found.note) == ("failed", "CUDA error: an illegal memory access was encountered")


def measured(**changes) -> Result:
    numbers = (Number("resnet50: bf16", "ms a step", (12.5, 13.0, 12.0)),)
    own = {"status": "measured", "seconds": 3.0, "commit": record.commit(), "machine": record.machine()}
    return Result(**own | {"numbers": numbers} | changes)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "gpu.json"
    result.write(path, dict.fromkeys(PIECES, measured()))
    return path


def run(file, *options) -> int:
    return main(["--device", "cpu", "--tiny", "--file", str(file), *options])


def test_what_is_measured_at_this_commit_is_shown_and_not_measured_again(file, capsys):
    before = file.read_bytes()
    assert run(file) == DONE
    assert "resnet50: bf16" in capsys.readouterr().out
    assert file.read_bytes() == before


def test_pieces_that_do_not_fit_into_the_stated_time_are_left_for_the_next_run(file, capsys):
    result.write(file, {name: measured(commit="another") for name in PIECES})
    assert run(file, "--seconds", "1") == LEFT
    assert "Left for another run of this command: tests fp32, " in capsys.readouterr().out


def test_a_piece_that_was_skipped_is_tried_again_once_its_package_may_be_there(file, capsys):
    result.write(file, dict.fromkeys(PIECES, measured()) | {"tests bf16": measured(status="skipped", numbers=())})
    assert run(file, "--seconds", "1") == LEFT
    assert "Left for another run of this command: tests bf16\n" in capsys.readouterr().out


@pytest.mark.parametrize("options", [("--device", "cpu"), ("--tiny",), ("--device", "cpu", "--tiny")])
def test_a_try_leaves_what_a_gpu_has_measured_as_it_is(options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "a GPU")
    monkeypatch.setattr(command, "_measured", lambda name, options: measured())
    assert main(["steps small"]) == DONE
    before = command.FILE.read_bytes()
    assert main(["steps resnet50", *options]) == DONE
    assert command.FILE.read_bytes() == before
    assert list(result.read(command.FILE_OF_A_TRY)) == ["steps resnet50"]


def test_nothing_that_a_piece_started_outlives_it(tmp_path):
    os.mkfifo(tmp_path / "held")
    reader = os.open(tmp_path / "held", os.O_RDONLY | os.O_NONBLOCK)
    piece = f"exec 3>{tmp_path}/held; sleep 300 2>/dev/null & echo failed >&2; exit 4"
    assert run_whole(["sh", "-c", piece], 60) == (4, "failed\n")
    ended = select.poll()
    ended.register(reader, select.POLLHUP)
    # The pipe ends with the last process that holds it.
    assert ended.poll(10_000)
    os.close(reader)


def test_a_piece_is_over_when_it_ends_whatever_it_left_running_with_its_standard_error():
    assert run_whole(["sh", "-c", "sleep 60 & echo failed >&2; exit 4"], 5) == (4, "failed\n")


def test_the_error_of_one_training_ends_those_beside_it(monkeypatch):
    """Threads stand for the processes."""
    begun = iter(range(3))

    def start():
        if next(begun) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return lambda: None

    monkeypatch.setattr(side_by_side, "variants", lambda work: {OURS: start})
    threads = SimpleNamespace(Barrier=threading.Barrier, Pool=ThreadPool)
    monkeypatch.setattr("multiprocessing.get_context", lambda method: threads)
    with pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"):
        side_by_side.images_per_second(Work.of("small", "cpu", TINY), 3, rounds=1)


def test_a_failed_piece_is_in_the_table_and_in_the_exit_status(file, capsys):
    failed = measured(status="failed", numbers=(), note="took over 530 s")
    result.write(file, dict.fromkeys(PIECES, measured()) | {"tests fp16": failed})
    assert run(file, "tests bf16") == FAILED
    assert "tests fp16 (failed, 3 s, CPU): took over 530 s" in capsys.readouterr().out


def test_the_file_holds_each_piece_with_its_numbers_machine_and_commit(file):
    written = json.loads(file.read_text())["steps small"]
    assert written["numbers"] == [{"what": "resnet50: bf16", "unit": "ms a step", "values": [12.5, 13.0, 12.0]}]
    assert {"processor", "gpu", "torch"} <= written["machine"].keys()
    # Its load is that of the moment.
    assert replace(result.read(file)["steps small"], machine={}) == replace(measured(), machine={})


def test_all_pieces_fit_into_twenty_minutes_and_each_into_nine():
    assert sum(piece.seconds for piece in PIECES.values()) <= 1200
    assert max(piece.seconds for piece in PIECES.values()) < PIECE_SECONDS < 540


def test_every_way_of_computing_is_a_piece_and_every_marked_file_is_in_one():
    assert tuple(TESTED_WAYS) == WAYS
    assert "tests/trainable/test_trainer.py" in marked_files()


def test_without_a_device_the_command_says_so(capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main([]) == NO_DEVICE
    assert "no CUDA device" in capsys.readouterr().err


@pytest.mark.slow
def test_an_interrupted_run_continues_with_the_next_piece(tmp_path):
    file = tmp_path / "gpu.json"
    assert run(file, "kernels small") == DONE
    assert list(result.read(file)) == ["kernels small"]
    assert run(file, "kernels small", "steps small") == DONE
    assert set(result.read(file)) == {"kernels small", "steps small"}
