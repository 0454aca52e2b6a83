"""Converts plain data (JSON, command-line values) strictly into typed dataclass fields; each error is a sentence."""

import dataclasses
import difflib
import json
import math
import re
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_POINT_AT_AN_END = re.compile(r"[-+]?(\d+\.|\.\d+)([eE][-+]?\d+)?")
"""A number that is none in JSON."""
_PYTHON_CONSTANTS = {"True": True, "False": False, "None": None}
_IN_WORDS = {
    int: "a whole number",
    float: "a finite number",
    str: "text",
    bool: "true or false",
    tuple: "a list",
    dict: "an object of names and values",
    type(None): "null",
}

types_of: Callable[[type], Mapping[str, Any]] = cache(get_type_hints)
"""The types of a class's fields by name; a search asks for the same few classes thousands of times."""


MOST = 2**63 - 1
"""Largest whole number that a tensor holds."""


def convert(value: object, hint: object, name: str) -> object:
    """Converts `value` to the declared type of the field `name`, if that is lossless.

    An int becomes a float, a whole float an int, a list a tuple, a mapping the field's dataclass.

    Raises:
        ValueError: the value is of another type, or a number that is not finite.
    """
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if hint is Any or (value is None and type(None) in options):
        return value
    for option in options:
        if isinstance(option, type) and dataclasses.is_dataclass(option):
            if isinstance(value, option):
                return value
            if isinstance(value, Mapping):
                return built(option, value, name)
        kind = get_origin(option) or option
        if kind is Literal and value in get_args(option):
            return value
        if kind is tuple and isinstance(value, list | tuple):
            return _items_typed(value, get_args(option), name)
        if _fits(value, kind):
            return kind(value)
    allowed = " or ".join(_describe(option) for option in options)
    raise ValueError(f"{name} is {value!r}; it must be {allowed}.")


def built(kind: type, data: object, where: str) -> Any:
    """Builds the dataclass `kind` from a mapping with its fields; those that may be None may be missing.

    None is off, the right value for a file that was written before the field existed.

    Raises:
        ValueError: a field is missing, unknown (the nearest is given), or of another type.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"{where} is {data!r}; it must hold the fields of {kind.__name__}.")
    check_size(data)
    fields = dataclasses.fields(kind)
    names = [field.name for field in fields]
    for name in data:
        if name not in names:
            raise ValueError(unknown_name(f"field of {where}", name, names))
    hints = types_of(kind)
    absent = [name for name in names if name not in data]
    missing = sorted(name for name in absent if type(None) not in get_args(hints[name]))
    if missing:
        raise ValueError(f"{where} lacks {', '.join(missing)}; give every field.")
    values = {**dict.fromkeys(absent), **data}
    return kind(**{name: convert(value, hints[name], name) for name, value in values.items()})


def replace_fields(kind: type, current: Any, values: Mapping[str, object]) -> Any:
    """`current`, or the defaults of `kind`, with some fields set from plain values."""
    hints = types_of(kind)
    converted = {name: convert(value, hints[name], name) for name, value in values.items()}
    return kind(**converted) if current is None else dataclasses.replace(current, **converted)


def unknown_name(what: str, name: str, known: Iterable[str], *, meant: Sequence[str] = ()) -> str:
    """The message for an unknown name, with a suggestion: a known alias, the nearest name, or all names."""
    known = sorted(known)
    nearest = [other for other in meant if other in known] or difflib.get_close_matches(name, known, n=1)
    article = "an" if what[0] in "aeiou" else "a"
    hint = f"did you mean {nearest[0]}?" if nearest else f"known: {', '.join(known)}."
    return f"{name} is not {article} {what}; {hint}"


def parse_assignments(
    texts: Iterable[str],
    parse: Callable[[str, str], Any] = lambda name, text: parse_value(text),
    *,
    option: str = "--set",
) -> dict[str, Any]:
    """Parses `["max_lr=3e-4", "averaging=true"]`: values are JSON or Python constants, else text.

    Args:
        parse: the value of a name and its text.

    Raises:
        ValueError: a name or a value is missing, or a name is given twice.
    """
    params: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            example = "max_lr=3e-4" if option == "--set" else "latency_ms=20"
            raise ValueError(f"{option} is {text!r}; give name=value, such as {option} {example}")
        if name in params:
            raise ValueError(f"{option} {name} was given twice: leave one of them out")
        params[name] = parse(name, value)
    return params


def check_size(values: Mapping[str, object]) -> None:
    """Raises ValueError for a whole number that no tensor holds."""
    for name, value in values.items():
        if isinstance(value, int) and abs(value) > MOST:
            raise ValueError(f"{name} is {value}; it must be at most {MOST}.")


def parse_value(text: str) -> Any:
    """Parses JSON, a Python constant or a number such as .5; anything else is text."""
    if text in _PYTHON_CONSTANTS:
        return _PYTHON_CONSTANTS[text]
    if _POINT_AT_AN_END.fullmatch(text):
        return float(text)
    try:
        return json.loads(text)
    # Brackets in brackets, a thousand deep, are no value either, nor are numbers of more than 4300 digits.
    except (ValueError, RecursionError):
        return text


def _describe(option: Any) -> str:
    if get_origin(option) is Literal:
        return ", ".join(get_args(option))
    return _IN_WORDS.get(get_origin(option) or option) or f"an object with the fields of {option.__name__}"


def _items_typed(values: Sequence[object], hints: tuple[object, ...], name: str) -> tuple[object, ...]:
    """Converts each item to its type in `tuple[item, ...]` or `tuple[first, second]`."""
    hints = (hints[0],) * len(values) if hints[1:] == (...,) else hints
    if len(values) != len(hints):
        raise ValueError(f"{name} is {values!r}; it must have {len(hints)} items.")
    return tuple(
        convert(value, hint, f"{name}[{index}]") for index, (value, hint) in enumerate(zip(values, hints, strict=True))
    )


def _fits(value: object, kind: type) -> bool:
    if kind in (int, float) and not isinstance(value, bool) and isinstance(value, int | float):
        return math.isfinite(value) and (kind is float or value == int(value))
    return kind in (str, bool, dict) and isinstance(value, kind)
