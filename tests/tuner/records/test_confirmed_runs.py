"""confirm.jsonl: each training on disk when it is recorded, a torn line passed over, a damaged one named."""

import json
import math

import pytest

from tuner.records import CONFIRM, ConfirmedRun, append_run, read_runs

FIRST = ConfirmedRun(trial="000-0123abcd", seed=1, objective=0.5, test={"mae": 0.1, "s_measure": 0.5}, validation=0.4)
DIVERGED = ConfirmedRun(trial="011-4567cdef", seed=2**32 - 1, objective=None, test={"mae": None})


def test_without_a_confirmation_there_are_none(tmp_path):
    assert read_runs(tmp_path) == []


def test_what_is_read_is_what_was_recorded_and_each_is_on_disk_at_once(tmp_path):
    for number, run in enumerate([FIRST, DIVERGED, FIRST]):
        append_run(tmp_path, run)
        assert read_runs(tmp_path) == [FIRST, DIVERGED, FIRST][: number + 1]
        assert len((tmp_path / CONFIRM).read_text().splitlines()) == number + 1
    assert [run.number for run in read_runs(tmp_path)] == [0, 11, 0]


def test_each_outlives_a_power_cut(tmp_path, synced):
    append_run(tmp_path, FIRST)
    append_run(tmp_path, DIVERGED)
    whole = (tmp_path / CONFIRM).stat().st_size
    assert [name for name, _ in synced] == [CONFIRM, CONFIRM]
    assert synced[-1] == (CONFIRM, whole)


@pytest.mark.parametrize("num_lost", [1, 9, 60])
def test_a_torn_last_line_is_left_out_and_written_over(tmp_path, num_lost):
    for run in (FIRST, FIRST):
        append_run(tmp_path, run)
    path = tmp_path / CONFIRM
    path.write_bytes(path.read_bytes()[:-num_lost])
    assert read_runs(tmp_path) == [FIRST]
    append_run(tmp_path, DIVERGED)
    assert read_runs(tmp_path) == [FIRST, DIVERGED]


def test_a_number_that_is_not_finite_is_not_recorded(tmp_path):
    append_run(tmp_path, FIRST)
    with pytest.raises(ValueError, match="not JSON compliant"):
        append_run(tmp_path, ConfirmedRun(trial=FIRST.trial, seed=1, objective=math.nan, test={}))
    assert read_runs(tmp_path) == [FIRST]


def line(**changes) -> bytes:
    fields = {"trial": "000-0123abcd", "seed": 1, "objective": 0.5, "test": {}, "validation": None} | changes
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


DAMAGED = {
    "cut": (line()[:-20], "it is not JSON"),
    "empty": (b"", "it is not JSON"),
    "not text": (b'{"trial": "\xff\xfe"}', "it is not JSON"),
    "deep": (b"[" * 100_000, "it is not JSON"),
    "deep inside": (b'{"test": ' + b'{"a":' * 100_000, "it is not JSON"),
    "a list": (b"[]", "input should be an object, not []"),
    "another object": (b'{"a":1}', "is missing"),
    "text for a number": (line(seed="1"), "seed: input should be a valid integer, not '1'"),
    "NaN": (line(objective=math.nan), "objective: input should be a finite number, not nan"),
    "NaN of a metric": (line(test={"mae": math.nan}), "test.mae: input should be a finite number, not nan"),
    "an unknown field": (line(colour="red"), "colour is not known"),
    "a missing field": (line(objective=...), "objective is missing"),
    "a path": (line(trial="../../victim"), "trial: string should match pattern"),
    "a number for a name": (line(trial=3), "trial: input should be a valid string, not 3"),
}


@pytest.mark.parametrize(("raw", "sentence"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_line_is_one_sentence_with_file_and_line(tmp_path, raw, sentence):
    append_run(tmp_path, FIRST)
    path = tmp_path / CONFIRM
    path.write_bytes(path.read_bytes() + raw + b"\n" + line() + b"\n")
    with pytest.raises(
        ValueError, match=r"confirm\.jsonl, line 2 is damaged, restore the file from a copy: "
    ) as caught:
        read_runs(tmp_path)
    said = str(caught.value)
    assert type(caught.value) is ValueError
    assert sentence in said
    assert "\n" not in said
    assert len(said) < len(str(path)) + 300
