"""JSON that people and other versions may have touched, into dataclasses; each error a sentence with its place.

By pydantic, strictly: a number is no text, a name that is not known is refused, and so are NaN and deep nesting.
"""

from functools import cache
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
"""Of every dataclass that is read: `__pydantic_config__ = STRICT`."""

Kind = TypeVar("Kind")


def parsed(text: bytes, kind: type[Kind] | Any, place: str) -> Kind:
    """The value of type `kind` that the text holds.

    Raises:
        ValueError: it is not JSON, or a field is missing, unknown or of another type; `place` says where it stands.
    """
    try:
        return _adapter(kind).validate_json(text)
    except ValidationError as error:
        raise ValueError(f"{place}: {_sentence(error)}") from error


def plain(value: object, kind: type | Any) -> Any:
    """The value as plain JSON data."""
    return _adapter(kind).dump_python(value, mode="json")


@cache
def _adapter(kind: Any) -> TypeAdapter:
    return TypeAdapter(kind)


def _sentence(error: ValidationError) -> str:
    """The first of what is wrong: what it is about, what was found there, what it must be."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    message = first["msg"][0].lower() + first["msg"][1:]
    if first["type"] in ("missing", "unexpected_keyword_argument", "extra_forbidden"):
        return f"{where}: {message}"
    found = repr(first["input"])
    shown = found if len(found) <= 60 else f"{found[:57]}..."
    return f"{where}: {message}, not {shown}" if where else f"{message}, not {shown}"
