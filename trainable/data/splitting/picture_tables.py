"""Pictures that texts and tables name: with or without folders and ending, with more words behind."""

from collections.abc import Container, Iterator
from pathlib import Path
from typing import NamedTuple

from trainable.data.io.findings import BadFileError
from trainable.data.io.folder_layout import IMAGE_ENDINGS, files_below, plain_name
from trainable.data.io.table import IMAGE_COLUMN, TABLE_ENDINGS, Table, columns_named, read_table


class PictureTable(NamedTuple):
    """A table whose rows are of pictures."""

    file: Path
    table: Table
    pictures: list[str]
    """The cell of each row that names its picture."""


def tables_of_pictures(root: Path, known: Container[str]) -> Iterator[PictureTable]:
    """The tables below the root with a column that names pictures; a table that can't be read is passed over, for who
    needs its other columns reports it.

    Args:
        known: names of pictures, as `names_of` gives them.
    """
    for file in files_below(root):
        if file.suffix.lower() not in TABLE_ENDINGS:
            continue
        try:
            table = read_table(root / file)
        except BadFileError:
            continue
        if (column := _column_of_pictures(table, known)) is not None:
            yield PictureTable(file, table, [row.cells[column] for row in table.body])


def _column_of_pictures(table: Table, known: Container[str]) -> int | None:
    """The column that names pictures: one with image endings first, then one that is called so, since the numbers of
    rows may equal names of pictures.
    """
    rows, called = table.body, columns_named(table.header, IMAGE_COLUMN)
    naming = [at for at in range(len(table.header)) if any(named_in(row.cells[at], known) for row in rows)]
    with_ending = [at for at in naming if any(row.cells[at].lower().endswith(IMAGE_ENDINGS) for row in rows)]
    return next(iter([*with_ending, *(at for at in naming if at in called), *naming]), None)


def named_in(line: str, known: Container[str]) -> str | None:
    """Which of the known names a line gives; names may hold spaces, and more words may follow them."""
    words = line.replace("\\", "/").replace(",", " ").split()
    ends = [end for end, word in enumerate(words, start=1) if word.lower().endswith(IMAGE_ENDINGS)]
    for end in (*ends[:1], len(words), 1):
        for name in names_of(Path(" ".join(words[:end]))):
            if name in known:
                return name
    return None


def names_of(file: Path) -> list[str]:
    """The names that a list may use for a picture: with its folders, or without."""
    stem = file.name[: -len(file.suffix)] if file.suffix.lower() in IMAGE_ENDINGS else file.name
    names = [plain_name(stem)]
    return [f"{plain_name(file.parent.name)}/{names[0]}", *names] if file.parent.name else names
