"""Text of the command line as values, and plain data as the fields of dataclasses."""

from dataclasses import dataclass

import pytest

from trainable.configuration.fields import built, parse_assignments


def test_assignments_are_read_as_json_or_as_text():
    texts = ["max_lr=3e-4", "num_experts=4", "averaging=true", "collapse=False", "gone=null", "response=noise", "f=a=b"]
    assert parse_assignments(texts) == {
        "max_lr": 3e-4,
        "num_experts": 4,
        "averaging": True,
        "collapse": False,
        "gone": None,
        "response": "noise",
        "f": "a=b",
    }


@pytest.mark.parametrize("text", ["max_lr", "=1", "max_lr="])
def test_an_assignment_without_a_name_or_a_value_is_a_sentence(text):
    with pytest.raises(ValueError, match="give name=value, such as --set max_lr=3e-4"):
        parse_assignments([text])


def test_brackets_too_deep_to_read_are_text():
    assert parse_assignments(["max_lr=" + "[" * 20_000]) == {"max_lr": "[" * 20_000}


@pytest.mark.parametrize("text", ["1e-7", "1E-7", "1.0e-7", "0.0000001"])
def test_a_rate_in_any_notation_of_floats_is_a_number(text):
    assert parse_assignments([f"min_lr_ratio={text}"]) == {"min_lr_ratio": 1e-7}


@dataclass(frozen=True, kw_only=True)
class Technique:
    strength: float
    limit: float | None = 5.0


def test_a_file_from_before_a_field_existed_reads_as_if_it_were_off():
    assert built(Technique, {"strength": 1}, "the technique") == Technique(strength=1.0, limit=None)


def test_a_field_that_has_a_value_of_its_own_must_be_written():
    with pytest.raises(ValueError, match="the technique lacks strength"):
        built(Technique, {"limit": 2}, "the technique")
