"""The files of a standalone training are read as far as it got, and a damaged one is named."""

import json

import pytest

from trainable.reporting.output_folder import finished_epochs, read_curve, read_tested

EPOCH = {"epoch": 1, "metrics": {"val/loss": 0.5}}
TESTED = {"epoch": 1, "ended": "all planned epochs are trained", "test": {"accuracy": 0.9}}


def test_a_line_that_is_being_written_is_left_out(tmp_path):
    curve = tmp_path / "curve.jsonl"
    curve.write_text(f'{json.dumps(EPOCH)}\n{{"epoch": 2, "met')
    assert finished_epochs(curve) == [EPOCH]


def test_a_curve_without_an_epoch_is_reported(tmp_path):
    (tmp_path / "curve.jsonl").write_text("")
    with pytest.raises(ValueError, match=r"curve\.jsonl holds no epoch"):
        read_curve(tmp_path / "curve.jsonl")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff\xfe",
        b"3",
        b"[" * 9999,
        b'{"epoch": 2}',
        b'{"epoch": "2", "metrics": {}}',
        b'{"epoch": 2, "metrics": []}',
        b'{"epoch": 2, "metrics": {"val/loss": "low"}}',
    ],
)
def test_a_damaged_line_is_named(tmp_path, line):
    curve = tmp_path / "curve.jsonl"
    curve.write_bytes(json.dumps(EPOCH).encode() + b"\n" + line + b"\n")
    with pytest.raises(ValueError, match=r"curve\.jsonl, line 2, is damaged; restore the file from a copy"):
        finished_epochs(curve)


@pytest.mark.parametrize("content", ["", "[]", "{}", json.dumps(TESTED | {"test": {"accuracy": "high"}})])
def test_damaged_metrics_are_named(tmp_path, content):
    (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(ValueError, match=r"metrics\.json is damaged; restore it from a copy"):
        read_tested(tmp_path / "metrics.json")


def test_what_was_tested_is_read(tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps(TESTED))
    assert read_tested(tmp_path / "metrics.json") == TESTED
