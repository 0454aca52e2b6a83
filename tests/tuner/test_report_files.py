"""Where a report is written, that each of its files is whole, and that one process at a time writes them."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tuner.records import lock_folder
from tuner.report import main, write_report


@pytest.fixture
def copied(finished_folder, tmp_path):
    """The folder of a finished search, to be changed."""
    return Path(shutil.copytree(finished_folder, tmp_path / "results" / "moe" / "copied"))


class Killed(BaseException):
    """An exception that nothing catches."""


@pytest.mark.parametrize("written", ["results.csv", "report.html", "report.md"])
def test_killed_while_it_writes_a_report_leaves_each_file_whole_and_the_next_one_completes(
    copied, tmp_path, monkeypatch, written
):
    def files(folder):
        """Report files without the time at which the page was written."""
        found = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".md", ".html", ".csv")}
        return {name: re.sub(rb'data-written="[\d.]+"', b"", content) for name, content in found.items()}

    write_report(copied)
    former = files(copied)
    trials = copied / "trials.jsonl"
    trials.write_bytes(b"".join(trials.read_bytes().splitlines(keepends=True)[:-40]))
    new = files(write_report(copied, tmp_path / "new").parent)
    replace = Path.replace

    def killed_at(path, target):
        if target.name == written:
            raise Killed
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed_at)
        with pytest.raises(Killed):
            write_report(copied)
    left = files(copied)
    assert left["report.md"] == former["report.md"] != new["report.md"]
    assert all(content in (former[name], new[name]) for name, content in left.items())
    assert former.keys() == left.keys()
    write_report(copied)
    assert files(copied) == new


def test_a_report_elsewhere_needs_no_lock_and_its_page_says_that_the_search_runs(copied, tmp_path, capsys):
    before = {path: path.stat().st_mtime_ns for path in copied.rglob("*")}
    with lock_folder(copied):
        assert main([str(copied), "--output", str(tmp_path / "elsewhere")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'elsewhere' / 'report.md'}\n"
    text = (tmp_path / "elsewhere" / "report.md").read_text()
    assert 'class="badge state-running"' in (tmp_path / "elsewhere" / "report.html").read_text()
    assert len(pd.read_csv(tmp_path / "elsewhere" / "results.csv")) == 40
    assert f"python -m tuner.export {copied}" in text
    assert {path: path.stat().st_mtime_ns for path in copied.rglob("*") if path.name != ".lock"} == before


def test_a_full_disk_is_a_sentence_that_names_the_folder(copied, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tuner.report.measure_importance", lambda _: None)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / ".results.csv").symlink_to("/dev/full")
    assert main([str(copied), "--output", str(tmp_path / "full")]) == 2
    said = f"error: {tmp_path / 'full'}: No space left on device; make room there, and run the command again.\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("output", [[], ["--output", "."]])
def test_a_folder_in_use_is_not_written_to(copied, capsys, monkeypatch, output):
    monkeypatch.chdir(copied)
    before = sorted(path.name for path in copied.iterdir())
    with lock_folder(copied):
        assert main([str(copied), *output]) == 2
    assert "is in use by process" in capsys.readouterr().err
    assert sorted(path.name for path in copied.iterdir() if path.name != ".lock") == before


def test_a_missing_folder_is_a_sentence(tmp_path, capsys):
    assert main([str(tmp_path / "gone")]) == 2
    assert "holds no search" in capsys.readouterr().err
    assert not (tmp_path / "gone").exists()
