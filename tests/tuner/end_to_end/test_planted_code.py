"""A results folder from a stranger: whatever lies in it, no command runs it."""

import contextlib
import io
import os
import pickle
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from trainable.configuration.reference import find
from tuner import load
from tuner.__main__ import main
from tuner.confirm import check_confirmable
from tuner.records import Recorder
from tuner.records.settings import SETTINGS, read_settings, write_settings

COMMANDS = [
    ["report"],
    ["explain"],
    ["explain", "1"],
    ["export"],
    ["ensemble"],
    ["open"],
]


class Planted:
    """Makes a file where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.fixture
def mark(tmp_path) -> Path:
    """Is there once planted code has run."""
    return tmp_path / "it_ran"


@pytest.fixture
def folder(trained_folder, tmp_path) -> Path:
    return Path(shutil.copytree(trained_folder, tmp_path / "moe" / "run"))


def resume_records(folder: Path) -> None:
    Recorder.resume(folder).close()


def run_all(folder: Path) -> None:
    for command, *rest in COMMANDS:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            main([command, str(folder), *rest])
    # What a resume and a confirmation read before Ray starts.
    for read in (load, resume_records, partial(check_confirmable, top=1)):
        with contextlib.suppress(ValueError):
            read(folder)


def test_the_planted_pickle_runs_where_it_is_unpickled(mark):
    pickle.loads(pickle.dumps(Planted(mark)))
    assert mark.exists()


@pytest.mark.parametrize("protocol", [0, 4])
@pytest.mark.parametrize("planted", [SETTINGS, "trials.jsonl", "trivial.json", "others"])
def test_no_command_runs_a_pickle_that_takes_the_place_of_a_file(folder, mark, planted, protocol, monkeypatch):
    monkeypatch.chdir(folder.parents[1])
    records = (SETTINGS, "trials.jsonl", "trivial.json")
    (folder / "trivial.json").touch()
    paths = [path for path in folder.rglob("*") if path.is_file()]
    others = [path for path in paths if path.name not in records]
    for path in others if planted == "others" else [folder / planted]:
        path.write_bytes(pickle.dumps(Planted(mark), protocol))
    run_all(folder)
    assert not mark.exists()


@pytest.mark.parametrize("protocol", [0, 2])
@pytest.mark.parametrize("planted", ["config.json", "weights.pt", "metrics.json"])
def test_predicting_and_training_with_an_export_runs_no_pickle_in_it(folder, disc_folder, mark, planted, protocol):
    assert main(["export", str(folder)]) == 0
    best, pictures = folder / "best", min((disc_folder / "Imgs").iterdir())
    exported = (best / "config.json").read_text()
    (best / "config.json").write_text(exported.replace('"trained_size_px": null', '"trained_size_px": [48, 48]'))
    (best / planted).write_bytes(pickle.dumps(Planted(mark), protocol))
    config = ["--config", str(best / "config.json"), "--device", "cpu"]
    commands = [["predict", *config, "--image", str(pictures), "--output", str(folder / "predicted")]]
    if planted == "config.json":
        commands.append(["train", *config, "--output", str(folder / "again")])
    for command in commands:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            status = main(command)
        assert status == (0 if planted == "metrics.json" else 2)
    assert not mark.exists()


def test_no_command_imports_what_lies_in_the_folder(folder, mark, monkeypatch):
    monkeypatch.chdir(folder.parents[1])
    code = f"from pathlib import Path\nPath({str(mark)!r}).touch()\n"
    places = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for place in places:
        for name in ("conftest.py", "sitecustomize.py", "usercustomize.py", "json.py", "torch.py", "tuner.py", "a.pth"):
            (place / name).write_text(code if name.endswith(".py") else code.replace("\n", ";").strip(";"))
    run_all(folder)
    assert not mark.exists()


def test_code_in_the_folder_that_the_settings_name_is_refused(folder, mark, capsys):
    (folder / "planted_space.py").write_text(f"from pathlib import Path\nPath({str(mark)!r}).touch()\nSPACE = 1\n")
    before = os.sys.path[:]
    reference = find(f"{folder / 'planted_space.py'}:SPACE")
    os.sys.path[:] = before
    settings = read_settings(folder)
    for planted in (reference, replace(reference, file=__file__)):
        write_settings(folder, replace(settings, space_reference=planted.text, references=(planted,)))
        run_all(folder)
        assert main(["export", str(folder)]) == 2
        assert "names code inside the results folder" in capsys.readouterr().err
    assert not mark.exists()
