"""Text that is safe to print and to put into a table, whatever a file, a class or an error is called."""

import unicodedata
from typing import Any

_CONTROL = frozenset({"Cc", "Cf", "Cs"})
"""Unicode's categories of controls, of marks that change the direction of a text, and of bytes that are no text."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")


def visible(text: str) -> str:
    """Escapes control characters, so that the text cannot steer a terminal.

    >>> visible("a\x1b[2J b")
    'a\\\\x1b[2J b'
    """
    return "".join(
        letter.encode("unicode_escape").decode()
        if unicodedata.category(letter) in _CONTROL and letter not in "\n\t"
        else letter
        for letter in text
    )


def to_csv_cell(value: Any) -> Any:
    """Prefixes text that a spreadsheet would run as a formula with an apostrophe; numbers are unchanged."""
    if not isinstance(value, str) or not value.startswith(_FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def from_csv_cell(cell: str) -> str:
    """Undoes `to_csv_cell`."""
    return cell.removeprefix("'")
