"""The one name of a trial: the same for the same configuration, and never a way out of its folder."""

import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tuner.records.trial_name import number_of, trial_name

PARAMS = {"max_lr": 3e-3, "top_k": 2, "widths": [3, 4], "averaging": False, "pooling": None, "note": "größer"}


def test_the_order_of_the_parameters_does_not_matter():
    names = set()
    for seed in range(20):
        items = list(PARAMS.items())
        random.Random(seed).shuffle(items)
        names.add(trial_name(29, dict(items)))
    assert len(names) == 1


def test_another_process_gives_the_same_name():
    code = f"from tuner.records.trial_name import trial_name; print(trial_name(29, {PARAMS!r}))"
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == trial_name(29, PARAMS)


def test_read_back_from_json_the_parameters_have_the_same_name():
    params = PARAMS | {"widths": (3, 4), "rate": 1e-300}
    assert trial_name(0, json.loads(json.dumps(params))) == trial_name(0, params)


@pytest.mark.parametrize(
    "changed", [{"max_lr": 3.0000000001e-3}, {"top_k": 2.5}, {"averaging": None}, {"widths": [4, 3]}]
)
def test_other_parameters_have_another_name(changed):
    assert trial_name(29, PARAMS | changed) != trial_name(29, PARAMS)


@pytest.mark.parametrize(("number", "begin"), [(0, "000-"), (7, "007-"), (999, "999-"), (1000, "1000-")])
def test_a_name_begins_with_at_least_three_digits(number, begin):
    assert trial_name(number, PARAMS).startswith(begin)
    assert re.fullmatch(r"[0-9]{3,}-[0-9a-f]{8}", trial_name(number, PARAMS))


@pytest.mark.parametrize("number", [0, 1, 29, 999, 1000, 123_456_789])
def test_the_number_comes_back_out_of_the_name(number):
    assert number_of(trial_name(number, PARAMS)) == number


HOSTILE = [
    "../../victim",
    "..",
    ".",
    "",
    "/",
    "000-0123abcd/..",
    "../000-0123abcd",
    "000-0123abcd\n",
    "000-0123abcd\x00",
]
HOSTILE += ["29", "029", "029-7682ec2", "029-7682ec2b0", "029-7682EC2B", "29-7682ec2b", "-29-7682ec2b", "٠٢٩-7682ec2b"]


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_trials_name_is_refused(name):
    with pytest.raises(ValueError, match="is not a trial's name, such as 029-7682ec2b"):
        number_of(name)
