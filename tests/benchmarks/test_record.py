"""Measurements are kept and shown, and goals that are missed are named."""

import json
from io import StringIO

import pytest
import torch

from benchmarks import __main__ as command
from benchmarks import record
from benchmarks.claims import Claim, Side
from benchmarks.progress import Progress
from benchmarks.report import markdown
from benchmarks.searches.growth import growth_picture
from benchmarks.showing import BEGIN, END, show


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder of results and two benchmarks that note their turn, the second of which is interrupted."""
    (tmp_path / "README.md").write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    monkeypatch.setattr(command, "RESULTS", tmp_path)
    monkeypatch.setattr(command, "AS_IN_A_SEARCH", {})
    monkeypatch.setattr(record, "commit", lambda: "abc1234")
    return tmp_path


def interrupted(size) -> list[Claim]:
    raise KeyboardInterrupt


def test_an_interrupted_run_keeps_what_was_measured_and_continues_with_the_rest(results, monkeypatch, capsys):
    monkeypatch.setattr(command, "SECONDS", {"first": 1.0, "second": 1.0})
    monkeypatch.setattr(command, "BENCHMARKS", {"first": lambda size: [claim("a")], "second": interrupted})
    assert command.main([]) == command.INTERRUPTED
    assert list(record.read(results / record.FILE)) == ["first"]
    monkeypatch.setattr(command, "BENCHMARKS", {"first": interrupted, "second": lambda size: [claim("b")]})
    assert command.main(["--resume"]) == 0
    assert {name: row.claims[0].work for name, row in record.read(results / record.FILE).items()} == {
        "first": "a",
        "second": "b",
    }
    text = (results / "README.md").read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| 8 | b | found | 3 | **missed** |" in text
    assert "min left] second, 1 of 1" in capsys.readouterr().err


def test_a_claim_comes_back_from_the_file_as_it_went_in(tmp_path):
    kept = claim("w")
    record.write(tmp_path / record.FILE, {"one": record.measured_now([kept], seconds=1.0)})
    assert record.read(tmp_path / record.FILE)["one"].claims == (kept,)
    side = json.loads((tmp_path / record.FILE).read_text())["one"]["claims"][0]["sides"][1]
    assert side["spread"] == {"median": 4.0, "low": 3.5, "high": 4.5}
    assert side["ratio"]["median"] == 2.0


def test_the_table_names_the_machine_with_its_vector_width_and_date_and_commit_of_each(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "commit", lambda: "abc1234")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_tile": True})
    text = markdown({"one": record.measured_now([claim("w")], seconds=1.0)})
    assert "at abc1234" in text
    assert "cores of" in text
    assert " with AVX2 and AMX: one " in text


def test_growth_is_drawn_for_the_claims_that_are_about_it():
    growing = Side(name="ours", values=(1.0,), curve=((10, 1.0), (20, 1.5)))
    assert growth_picture([claim("w")]) is None
    [axes] = growth_picture([claim("w"), claim("g", growing)]).axes
    assert axes.lines[0].get_xydata().tolist() == [[10, 1.0], [20, 1.5]]


def test_the_time_left_is_that_of_the_rest_on_a_machine_as_fast_as_the_benchmarks_before_show():
    now = [0.0]
    progress = Progress({"a": 60.0, "b": 120.0}, stream := StringIO(), clock=lambda: now[0])
    progress.begin("a")
    now[0] = 40.0
    assert progress.seconds_left() == 140.0
    now[0] = 90.0
    progress.begin("b")
    assert progress.seconds_left() == 180.0
    assert stream.getvalue().splitlines()[1] == "[  90 s, about 3.0 min left] b, 2 of 2"
    now[0] = 150.0
    assert progress.seconds_left() == 120.0


def test_without_results_nothing_is_shown(tmp_path):
    assert list(show(tmp_path)) == []


def claim(work: str, *sides: Side) -> Claim:
    sides = sides or (Side(name="ours", values=(1.5, 2.0, 2.5)), Side(name="peer", values=(3.0, 4.0, 5.0)))
    return Claim(
        number=8, work=work, unit="s", sides=sides, reference="ours", target="3", finding="found", reached=False
    )
