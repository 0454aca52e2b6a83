from pathlib import Path

import pytest

from tuner import formatting


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.8034, "0.803"), (0.0, "0.000"), (0.00012, "0.00012"), (1234.5, "1.23e+03"), (None, "-"), (float("nan"), "-")],
)
def test_numbers_are_short_and_never_lose_their_meaning(value, words):
    assert formatting.number(value) == words


@pytest.mark.parametrize(("seconds", "words"), [(0, "0:00"), (71.6, "1:12"), (3672, "1:01:12"), (100_000, "27:46:40")])
def test_durations(seconds, words):
    assert formatting.duration(seconds) == words


def test_a_gain_is_said_in_words():
    assert (formatting.gain(0.0314), formatting.gain(-0.2)) == ("0.031 better", "0.200 worse")
    assert formatting.gain(0.0) == "no better"


def test_a_path_is_written_as_one_would_type_it_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert formatting.path(tmp_path / "results" / "moe") == str(Path("results/moe"))
    assert formatting.path(Path("/elsewhere")) == str(Path("/elsewhere"))
