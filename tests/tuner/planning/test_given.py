"""The meaning of `--set` and of a file of ranges: one value, a range, choices, and all that could be mistaken."""

import pytest

from search_spaces.ranges import OneOf, Range
from tuner.planning.given import parse_given, read_given


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3..1e-2", Range(low=1e-3, high=1e-2)),
        ("8..64", Range(low=8, high=64)),
        ("-1..1.5", Range(low=-1, high=1.5)),
        ("4,6,8", OneOf(values=(4, 6, 8))),
        ("small,mobilenet_v3_small", OneOf(values=("small", "mobilenet_v3_small"))),
        ("None,0.5, 1", OneOf(values=(None, 0.5, 1))),
        ("true,false", OneOf(values=(True, False))),
        ("[1,2],[3,4]", OneOf(values=((1, 2), (3, 4)))),
        ("null,[1,2]", OneOf(values=(None, (1, 2)))),
        ('"a,b",c', OneOf(values=("a,b", "c"))),
        ("my_nets:Wide(1,2)", "my_nets:Wide(1,2)"),
        ("[0.8,0.1,0.1]", [0.8, 0.1, 0.1]),
        ('"a,b"', "a,b"),
        ('"1..2"', "1..2"),
        ("../weights", "../weights"),
        ("a..b", "a..b"),
        ("1...2", "1...2"),
        ("1..", "1.."),
        ("3e-4", 3e-4),
        ("resnet50", "resnet50"),
    ],
)
def test_a_text_is_one_value_a_range_or_choices(text, value):
    parsed = parse_given("name", text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize("name", ["weights", "init_weights", "group_pattern"])
@pytest.mark.parametrize("text", ["runs/a,b..c.pt", r"(\d{1,3})_.*", "1..2", "a,b"])
def test_paths_and_patterns_are_one_text_whatever_they_hold(name, text):
    assert parse_given(name, text) == text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("2..1", r"--set max_lr=2..1 is not a range; give two finite numbers, the smaller first"),
        ("1..1", r"--set max_lr=1..1 is not a range"),
        ("1..1e999", r"--set max_lr=1..inf is not a range"),
        ("4,,6", r"--set max_lr=4,,6 has a choice without a value; give each, or the text in quotes"),
        ("4,", r"--set max_lr=4, has a choice without a value"),
        ("4,6,4", r"--set max_lr=4,6,4 has 4 twice; give each value once"),
    ],
)
def test_what_is_neither_is_refused(text, sentence):
    with pytest.raises(ValueError, match=sentence):
        parse_given("max_lr", text)


@pytest.mark.parametrize("digits", [400, 5000])
def test_numbers_of_hundreds_of_digits_are_no_range_and_of_thousands_a_text(digits):
    with pytest.raises(ValueError, match="is not a range; give two finite numbers, the smaller first"):
        parse_given("max_lr", f"1e-3..{'9' * digits}")
    assert parse_given("max_lr", "9" * 5000) == "9" * 5000


def test_values_and_ranges_are_told_apart():
    values, ranges = read_given(["max_lr=1e-3..1e-2", "num_experts=4", "weights=a,b.pt"])
    assert values == {"num_experts": 4, "weights": "a,b.pt"}
    assert ranges == {"max_lr": Range(low=1e-3, high=1e-2)}


FILE = """
max_lr: 1e-3..1e-2
weight_decay: {low: 1e-5, high: 1e-1, log: false}
num_experts: [4, 6, 8]
precision: fp32, bf16
class_weights: [[1, 2], [2, 1]]
averaging: true
top_k: [1]
"""


def test_a_file_holds_the_same(tmp_path):
    file = tmp_path / "ranges.yaml"
    file.write_text(FILE)
    values, ranges = read_given(["dropout=0.1"], file)
    assert values == {"dropout": 0.1, "averaging": True, "top_k": 1}
    assert ranges == {
        "max_lr": Range(low=1e-3, high=1e-2),
        "weight_decay": Range(low=1e-5, high=1e-1, log=False),
        "num_experts": OneOf(values=(4, 6, 8)),
        "precision": OneOf(values=("fp32", "bf16")),
        "class_weights": OneOf(values=((1, 2), (2, 1))),
    }


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("max_lr: {low: 1, high: 0}", r"ranges.yaml: max_lr: 1..0 is not a range"),
        ("max_lr: {low: 1, hig: 2}", r"ranges.yaml: max_lr: hig is not a field of max_lr; did you mean high\?"),
        ("max_lr: {low: 1}", r"ranges.yaml: max_lr: max_lr lacks high"),
        ("max_lr: {low: 0, high: 1, log: true}", r"ranges.yaml: max_lr: 0..1 can't be logarithmic"),
        ("max_lr: [1, 1]", r"ranges.yaml: max_lr: 1,1 has 1 twice"),
        ("max_lr: []", r"ranges.yaml: max_lr: there are no choices; give one or more"),
        ("max_lr: 1\nmax_lr: 2", r"ranges.yaml: max_lr is given twice; leave one of them out"),
        ("a: &a [*a]", r"(?s)ranges.yaml is not YAML .*it has an alias"),
        ("", r"ranges.yaml holds nothing; it must hold names and values"),
        ("- max_lr", r"ranges.yaml holds a list; it must hold names and values"),
        ("a: [", r"(?s)ranges.yaml is not YAML .* give a file with names of parameters"),
        ("dropout: 0.2", r"--set dropout is in .*ranges.yaml too: leave one of them out"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name(tmp_path, text, sentence):
    file = tmp_path / "ranges.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=sentence):
        read_given(["dropout=0.1"], file)


def test_a_name_that_stands_twice_in_json_is_refused_too(tmp_path):
    file = tmp_path / "ranges.json"
    file.write_text('{"max_lr": 1, "max_lr": 2}')
    with pytest.raises(ValueError, match=r"ranges.json: max_lr is given twice"):
        read_given([], file)


@pytest.mark.parametrize(
    ("text", "value"), [(".5", 0.5), ("5.", 5.0), ("-.5e-3", -5e-4), (".", "."), ("007", "007"), ("1.2.3", "1.2.3")]
)
def test_a_point_at_an_end_is_a_number(text, value):
    assert read_given([f"x={text}"]) == ({"x": value}, {})


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"ranges.yaml is not a file; give a file with names of parameters"):
        read_given([], tmp_path / "ranges.yaml")
