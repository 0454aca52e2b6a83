"""Reads what the user gives for parameters: one value, or what it is searched over.

    NAME=VALUE        one value: JSON, True, False, None, or text
    NAME=LOW..HIGH    a range: two JSON numbers
    NAME=A,B,C        choices, each a value; a comma inside quotes or brackets divides nothing

What is JSON as a whole is one value, whatever it holds: `[0.8,0.1,0.1]`, `"a,b"`. Paths and patterns are always one
text. A file holds the same, as YAML or JSON, and so does a dict: see `read_forms`.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from search_spaces.ranges import OneOf, Range, is_number
from search_spaces.stub_trials import with_tuples
from trainable.configuration.fields import built, parse_assignments, parse_value
from trainable.configuration.mapping_file import read_mapping

FREE_TEXT = ("weights", "init_weights", "network", "source", "group_pattern")
"""Parameters that hold a path, a reference or a pattern, in which commas and dots mean nothing."""
_NUMBER = r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})")
_OPENING, _CLOSING = "([{", ")]}"


def read_given(assignments: Iterable[str], file: Path | None = None) -> tuple[dict[str, Any], dict[str, Range | OneOf]]:
    """The values and the ranges of `--set` and of a file of `read_forms`, by name.

    Raises:
        ValueError: it cannot be read, or a name is given twice.
    """
    given = parse_assignments(assignments, parse_given)
    of_file = {} if file is None else read_forms(file)
    for name in given.keys() & of_file.keys():
        raise ValueError(f"--set {name} is in {file} too: leave one of them out")
    return divided(given | of_file)


def read_forms(given: Path | Mapping[str, Any]) -> dict[str, Any]:
    """Reads a value, `Range` or `OneOf` for each name in a YAML or JSON file, or in a dict.

    Args:
        given: for each name a value, text as for `--set`, a list of choices, or `{low: 1e-4, high: 1e-2, log: true}`.

    Raises:
        ValueError: the file cannot be read, or a range or choices are not right.
    """
    content, place = given, "ranges"
    if isinstance(given, Path):
        content = read_mapping(given, wanted="a file with names of parameters with a value, choices or a range")
        place = str(given)
    assert isinstance(content, Mapping)
    return {str(name): _of_form(str(name), value, place) for name, value in content.items()}


def divided(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Range | OneOf]]:
    """Divides into single values and ranges."""
    ranges = {name: value for name, value in given.items() if isinstance(value, Range | OneOf)}
    return {name: value for name, value in given.items() if name not in ranges}, ranges


def parse_given(name: str, text: str) -> Any:
    """Parses a value, a `Range` or a `OneOf`.

    Raises:
        ValueError: a range is empty, or choices are missing or repeated.
    """
    value = parse_value(text)
    if name in FREE_TEXT or value != text:
        return value
    try:
        if found := _RANGE.fullmatch(text):
            ends = [parse_value(end) for end in found.groups()]
            if not all(map(is_number, ends)):
                raise ValueError(f"{text} is not a range; give two finite numbers, the smaller first.")
            return Range(low=ends[0], high=ends[1])
        parts = _split_at_commas(text)
        if len(parts) == 1:
            return value
        if "" in parts:
            raise ValueError(f"{text} has a choice without a value; give each, or the text in quotes: '\"...\"'.")
        return OneOf(values=tuple(with_tuples(parse_value(part)) for part in parts))
    except ValueError as error:
        raise ValueError(f"--set {name}={error}") from error


def is_range(name: str, value: object) -> bool:
    """Whether it is a range in one of its forms, not a single value."""
    if isinstance(value, str):
        return name not in FREE_TEXT and _RANGE.fullmatch(value) is not None
    return isinstance(value, Range | OneOf) or (isinstance(value, Mapping) and {"low", "high"} <= value.keys())


def _split_at_commas(text: str) -> list[str]:
    """Splits at commas that are not in quotes or brackets."""
    parts, depth, is_quoted = [""], 0, False
    for letter in text:
        is_quoted ^= letter == '"'
        depth += (letter in _OPENING) - (letter in _CLOSING) if not is_quoted else 0
        if letter == "," and not depth and not is_quoted:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _of_form(name: str, value: Any, place: str) -> Any:
    try:
        if isinstance(value, str):
            return parse_given(name, value)
        if isinstance(value, list):
            if not value:
                raise ValueError("there are no choices; give one or more.")
            values = with_tuples(value)
            return values[0] if len(values) == 1 else OneOf(values=values)
        if isinstance(value, Mapping):
            return built(Range, value, name)
    except ValueError as error:
        raise ValueError(f"{place}: {name}: {str(error).removeprefix(f'--set {name}=')}") from error
    return value
