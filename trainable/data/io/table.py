"""Tables as people save them: csv of any separator, JSON lines or parquet; of any usual encoding; with short rows.

How a table was read is kept with it and reported: a guess of the encoding or the separator is never silent. Of several
columns that could be the same thing one is chosen if they agree, else they are an error.
"""

import codecs
import csv
import io
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from trainable.data.io.counted import counted
from trainable.data.io.findings import BadFileError, Finding, Severity
from trainable.data.io.picture_names import PictureKeys

IMAGE_COLUMN = re.compile(r"\bimage\b|^img( id| name| path)?$|^id\b|^name$|^file ?(name|path)?$|^path$|^photo(graph)?$")
PATIENT_COLUMN = re.compile(r"^(patient|subject|person|group)( (id|no|nr|number|name|code))?$|^pid$")
_JSON_LINES, _PARQUET = ".jsonl", ".parquet"
TABLE_ENDINGS = (".csv", ".tsv", _JSON_LINES, _PARQUET)
SPREADSHEET_ENDINGS = (".xlsx", ".xls", ".ods")
_SCORE_COLUMN = re.compile(r"^(score|scores|confidence|conf|probability|prob)$")
_SUBMISSION = re.compile(r"(?i)(?<![^\W_])submissions?(?![^\W_])|submission$")
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_SPACES = "spaces"
_INDEX_COLUMN = re.compile("__index_level_[0-9]+__")
"""That pandas writes beside the columns of a frame."""
_STATED_SEPARATOR = re.compile(r"(?i)\"?sep=(?P<separator>[,;\t|])\"?[,;\t| ]*(?=[\r\n])")
_SAMPLE_ROWS = 200
_EVEN_SHARE = 0.8
_ARCHIVES = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: ("utf-8-sig", "UTF-8"),
    codecs.BOM_UTF16_LE: ("utf-16", "UTF-16"),
    codecs.BOM_UTF16_BE: ("utf-16", "UTF-16"),
}
_ONE_OF_THEM = "Remove the others from the table, or give them names that say what they are."
_SAVE_AGAIN = "Save it again as csv: UTF-8, one row a line, separated by commas."
_SAVE_LINES = 'Write one object a line, such as {"file_name": "a.jpg", "label": "rust"}, or save it as csv.'


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table."""

    number: int
    """Its first line in the file, from 1."""
    cells: tuple[str, ...]
    """Without spaces around them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """All rows that hold something, the header among them."""

    rows: tuple[Row, ...]
    form: str
    """How it was read, such as `UTF-8, separated by commas`."""

    @property
    def header(self) -> tuple[str, ...]:
        return self.rows[0].cells if self.rows else ()

    @property
    def body(self) -> list[Row]:
        """The rows below the header that have a cell for each named column and none beyond, filled up to the header."""
        width = len(self.header)
        return [
            Row(row.number, (*row.cells, *("",) * (width - len(row.cells)))) for row in self.rows[1:] if self._fits(row)
        ]

    @property
    def uneven(self) -> list[Row]:
        """The rows below the header that are too short or too long: their cells may belong to other columns."""
        return [row for row in self.rows[1:] if not self._fits(row)]

    def described(self, columns: Mapping[str, int | str | None], *, has_header: bool) -> str:
        """Sentence for the user on how the columns were read.

        Args:
            columns: place of each meaning, from 0, or its words; None where there is none.
        """
        name = (lambda at: repr(self.header[at])) if has_header else (lambda at: f"column {at + 1}")
        places = {meaning: at if isinstance(at, str) else name(at) for meaning, at in columns.items() if at is not None}
        read = [f"{meaning} from {place}" for meaning, place in places.items()]
        num_rows = len(self.body if has_header else self.rows)
        return f"{counted(num_rows, 'row')}: {', '.join(read)} ({'' if has_header else 'no header, '}{self.form})"

    def _fits(self, row: Row) -> bool:
        """Whether the row has a cell for each named column, and nothing beyond the header."""
        named, filled = (
            max((number for number, cell in enumerate(cells, start=1) if cell), default=0)
            for cells in (self.header, row.cells)
        )
        return named <= len(row.cells) and filled <= len(self.header)


def read_table(path: Path) -> Table:
    """Decodes and separates a table.

    Raises:
        BadFileError: it is not text, its quotes do not close, a line is not a JSON object, or it is not parquet.
    """
    if path.suffix.lower() == _PARQUET:
        return Table(rows=tuple(_rows_of_parquet(path)), form="parquet")
    text, encoding = _decode(path.read_bytes())
    if path.suffix.lower() == _JSON_LINES:
        return Table(rows=tuple(_rows_of_objects(text)), form=f"{encoding}, JSON lines")
    if stated := _STATED_SEPARATOR.match(text):
        text = text[stated.end() :]  # Keeps the line's end, for the numbers of lines.
    separator = stated["separator"] if stated else _separator(text)
    try:
        rows = [Row(number, cells) for number, cells in _split(text, separator) if any(cells)]
    except csv.Error as error:
        raise BadFileError(f"cannot be read as a table ({error})", _SAVE_AGAIN) from error
    return Table(rows=tuple(rows), form=f"{encoding}, separated by {_SEPARATORS.get(separator, _SPACES)}")


def without_submissions(files: Sequence[Path]) -> tuple[list[Path], list[Finding]]:
    """The files but `sample_submission.csv` and such, with a warning for each: nobody gave these labels."""
    guessed = [file for file in files if file.suffix.lower() in TABLE_ENDINGS and _SUBMISSION.search(file.stem)]
    problem = "is named a submission: its labels are placeholders or guesses"
    action = "Left out; rename it if people gave these labels."
    warn = partial(Finding, problem=problem, action=action, severity=Severity.WARNING)
    return [file for file in files if file not in guessed], [warn(file=file.as_posix()) for file in guessed]


def check_scores(table: Table) -> list[str]:
    """A sentence on a column of scores, if there is one: the table is likely to hold predictions, not labels."""
    columns = columns_named(table.header, _SCORE_COLUMN)
    return [f"has a column {table.header[at]!r}, as predictions have" for at in columns]


def predicted(file: Path, problem: str) -> Finding:
    """A warning about labels that a network may have made."""
    action = "Remove the file unless people gave these labels."
    return Finding(file=file.as_posix(), problem=problem, action=action, severity=Severity.WARNING)


def normalise_name(name: str) -> str:
    """A column's name without case, underscores, dashes and outer spaces."""
    return " ".join(re.sub(r"[_\-]", " ", name.lower()).split())


def columns_named(header: Sequence[str], pattern: re.Pattern[str]) -> list[int]:
    """Where the columns stand whose normalised name holds the pattern."""
    return [index for index, name in enumerate(header) if pattern.search(normalise_name(name))]


def only_column(table: Table, found: Sequence[int], meaning: str) -> int | None:
    """The single column of those found; None if there is none.

    Raises:
        BadFileError: there are several.
    """
    if len(found) > 1:
        names = ", ".join(repr(table.header[at]) for at in found)
        raise BadFileError(f"has {len(found)} columns that could be {meaning}: {names}", _ONE_OF_THEM)
    return found[0] if found else None


def image_column(table: Table, found: Sequence[int], pictures: PictureKeys) -> int:
    """The column that names pictures which are here. If several do, and name the same ones, any of them.

    Raises:
        BadFileError: two columns name different pictures in one row.
    """
    named = {at: [pictures.find(row.cells[at]) for row in table.body] for at in found}
    fitting = {at: keys for at, keys in named.items() if any(keys)}
    if len(fitting) < 2:
        return next(iter(fitting), found[0])
    best = max(fitting, key=lambda at: sum(key is not None for key in fitting[at]))
    for keys in fitting.values():
        if any(one and other and one != other for one, other in zip(keys, fitting[best], strict=True)):
            only_column(table, list(fitting), "the picture")
    return best


def _decode(content: bytes) -> tuple[str, str]:
    if content.startswith(_ARCHIVES):
        raise BadFileError("is a spreadsheet or an archive, whatever its ending says", _SAVE_AGAIN)
    for mark, (codec, name) in _BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return _strictly(content, codec, name), name
    if b"\0" in content[:4096]:
        codec = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
        return _strictly(content, codec, "UTF-16"), "UTF-16"
    for codec, name in (("utf-8", "UTF-8"), ("cp1252", "Windows-1252, as it is not UTF-8")):
        with suppress(UnicodeDecodeError):
            return content.decode(codec), name
    return content.decode("latin-1"), "Latin-1, as it is neither UTF-8 nor Windows-1252"


def _strictly(content: bytes, codec: str, name: str) -> str:
    try:
        text = content.decode(codec)
    except UnicodeDecodeError as error:
        raise BadFileError(f"is not {name} text ({error.reason} at byte {error.start})", _SAVE_AGAIN) from error
    if "\0" in text:
        raise BadFileError("is not text: it holds zero bytes", _SAVE_AGAIN)
    return text


def _separator(text: str) -> str:
    """Separator that divides the first rows into equally many cells, at least two; else a comma."""
    best, best_score = ",", (0.0, 1)
    for separator in (*_SEPARATORS, _SPACES):
        try:
            rows = [cells for _, cells in _split(text, separator, _SAMPLE_ROWS) if any(cells)]
        except csv.Error:
            continue
        num_cells = len(rows[0]) if rows else 0
        even_share = sum(len(cells) == num_cells for cells in rows) / max(1, len(rows))
        # Spaces stand in names and texts too: they divide only what nothing else does.
        if num_cells > 1 and (separator != _SPACES or (best_score[0] == 0 and even_share >= _EVEN_SHARE)):
            best, best_score = max((best, best_score), (separator, (even_share, num_cells)), key=lambda one: one[1])
    return best


def _split(text: str, separator: str, max_rows: int = sys.maxsize) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Line number and stripped cells of each row."""
    if separator == _SPACES:
        for number, line in enumerate(text.splitlines()[:max_rows], start=1):
            yield number, tuple(line.split())
        return
    # Python's own limit of 131072 characters is less than the outline of a large crown takes.
    own_limit = csv.field_size_limit(sys.maxsize)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
        first_line = 1
        for count, cells in enumerate(reader):
            if count >= max_rows:
                return
            yield first_line, tuple(cell.strip() for cell in cells)
            first_line = reader.line_num + 1
    finally:
        csv.field_size_limit(own_limit)


def _rows_of_objects(text: str) -> Iterator[Row]:
    """A header of all names, then a row for each object; what an object lacks is empty."""
    objects = {number: _object(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()}
    names = tuple(dict.fromkeys(name for one in objects.values() for name in one))
    if objects:
        yield Row(next(iter(objects)), names)
    for number, one in objects.items():
        yield Row(number, tuple(_as_cell(one.get(name)) for name in names))


def _rows_of_parquet(path: Path) -> Iterator[Row]:
    """A header of all columns but those that hold pictures themselves, then the rows; what is missing is empty."""
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            columns = [field.name for field in file.schema_arrow if not _holds_bytes(field.type)]
            names = [name for name in columns if not _INDEX_COLUMN.fullmatch(name)]
            objects = file.read(columns=names).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise BadFileError(f"cannot be read as parquet ({str(error).splitlines()[0]})", _SAVE_AGAIN) from error
    yield Row(1, tuple(names))
    for number, one in enumerate(objects, start=2):
        yield Row(number, tuple(_as_cell(one[name]) for name in names))


def _holds_bytes(kind: pyarrow.DataType) -> bool:
    is_record = pyarrow.types.is_struct(kind)
    return pyarrow.types.is_binary(kind) or (is_record and any(_holds_bytes(field.type) for field in kind))


def _object(number: int, line: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadFileError(f"line {number} is not JSON ({error})", _SAVE_LINES) from error
    if not isinstance(found, dict):
        raise BadFileError(f"line {number} holds no JSON object", _SAVE_LINES)
    return found


def _as_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | int | float | list | dict):
        return json.dumps(value, default=str)
    return str(value).strip()
