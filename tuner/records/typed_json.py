"""Parses JSON that people and other versions may have edited into dataclasses; each error names its location.

Uses pydantic in strict mode: no conversion between types; unknown names, NaN and deep nesting are errors.
"""

import math
from collections.abc import Hashable
from functools import cache
from typing import Annotated, Any, TypeVar, cast

from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError

from search_spaces.stub_trials import with_tuples

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
"""Configuration of every parsed dataclass: `__pydantic_config__ = STRICT`."""

Kind = TypeVar("Kind")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not a JSON number")
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _finite(part)
    return value


def finite_or_none(value: float | None) -> float | None:
    """Replaces a number that JSON can't hold by None."""
    return value if value is not None and math.isfinite(value) else None


Plain = Annotated[Any, AfterValidator(_finite)]
"""Any JSON value; Python's reader would also accept NaN."""


def _as_asked(answers: dict[str, Any]) -> dict[str, Any]:
    return {name: with_tuples(value) for name, value in answers.items()}


Answers = Annotated[dict[str, Plain], AfterValidator(_as_asked)]
"""The values that a space asked for, by name; JSON lists become tuples again."""


def parse(text: bytes, kind: type[Kind] | Any, location: str) -> Kind:
    """The value of type `kind` in the text.

    Raises:
        ValueError: it is not JSON, or a field is missing, unknown or of another type; begins with `location`.
    """
    try:
        # Every class is hashable, which mypy does not see of a type variable.
        return _type_adapter(cast(Hashable, kind)).validate_json(text)
    except ValidationError as error:
        raise ValueError(f"{location}: {_sentence(error)}") from error


_type_adapter = cache(TypeAdapter[Any])


def _sentence(error: ValidationError) -> str:
    """Sentence on the first error: where, what is allowed, what was found."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    match first["type"]:
        case "json_invalid":
            return f"it is not JSON ({first['ctx']['error']})"
        case "missing":
            return f"{where} is missing"
        case "unexpected_keyword_argument" | "extra_forbidden":
            return f"{where} is not known"
        case "union_tag_not_found":
            return f"{first['ctx']['discriminator'].strip(chr(39))} is missing"
        case "union_tag_invalid":
            return f"{first['ctx']['discriminator'].strip(chr(39))} {first['ctx']['tag']!r} is not known"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "value_error" and isinstance(first["input"], dict):
        # It is about several fields together.
        return ": ".join(filter(None, [where, message]))
    found = repr(first["input"])
    shown = found if len(found) <= 60 else f"{found[:57]}..."
    return ": ".join(filter(None, [where, f"{message[0].lower()}{message[1:]}, not {shown}"]))
