from pathlib import Path

import pytest

from tuner import formatting


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.8034, "0.803"), (0.0, "0.000"), (0.00012, "0.00012"), (1234.5, "1234.5"), (None, "-"), (float("nan"), "-")],
)
def test_numbers_are_short_and_never_lose_their_meaning(value, words):
    assert formatting.number(value) == words


@pytest.mark.parametrize(("seconds", "words"), [(0, "0:00"), (71.6, "1:12"), (3672, "1:01:12"), (100_000, "27:46:40")])
def test_durations(seconds, words):
    assert formatting.duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "1 second"),
        (8.4, "8 seconds"),
        (89, "89 seconds"),
        (90, "2 minutes"),
        (370, "6 minutes"),
        (5400, "1.5 hours"),
        (7200, "2 hours"),
    ],
)
def test_a_duration_in_a_sentence_has_its_unit(seconds, words):
    assert formatting.about(seconds) == words


def test_a_gain_is_formatted_as_better_or_worse():
    assert (formatting.gain(0.0314), formatting.gain(-0.2)) == ("0.031 better", "0.200 worse")
    assert formatting.gain(0.0) == "no better"
    assert (formatting.gain(0.00062), formatting.gain(-4.7e-6)) == ("0.00062 better", "4.7e-06 worse")


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.25, "0.25"), (0.000123456, "0.000123"), (0.9996777690419305, "0.999678"), (0.9999, "0.9999"), (0.999, "0.999")],
)
def test_a_parameter_near_one_is_not_shown_as_one(value, words):
    assert formatting.parameter(value) == words
    assert formatting.parameter(-value) == f"-{words}"


def test_a_path_is_written_as_one_would_type_it_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert formatting.path(tmp_path / "results" / "moe") == str(Path("results/moe"))
    assert formatting.path(Path("/elsewhere")) == str(Path("/elsewhere"))


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ({"train": 30, "validation": 1, "test": 1}, "Only 1 validation and 1 test image: too few"),
        ({"train": 1, "validation": 20, "test": 19}, "Only 19 test images: too few"),
        ({"train": 1, "validation": 1, "test": 20}, "Only 1 validation image: too few"),
    ],
)
def test_few_images_are_counted_in_words(images, words):
    assert formatting.warning_of_few(images).startswith(words)
    assert formatting.counts_in_words({"train": 2, "test": 1}, (3, 4)) == "train 2, test 1 image at 4 x 3 px"
