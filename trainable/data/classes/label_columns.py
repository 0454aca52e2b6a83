"""Which column of a table is the image, which its class, its group or its split: by their names, and never in doubt."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from trainable.data.io.counted import counted
from trainable.data.io.findings import BadFileError
from trainable.data.io.picture_names import PictureKeys
from trainable.data.io.table import (
    IMAGE_COLUMN,
    PATIENT_COLUMN,
    Row,
    Table,
    columns_named,
    image_column,
    normalise_name,
    only_column,
)
from trainable.data.splitting.split_lists import split_column

_LABEL = re.compile(
    r"^(label|labels|class|class name|class label|category|target|diagnosis|dx|level|grade|species|disease|variety)$"
)
_SURELY_LABEL = re.compile(r"^(label|labels|class|class name|class label|category|target|diagnosis|dx)$")
"""These say classes, where others, as `species`, may say something else of an image in a class folder."""
_GROUPS = (PATIENT_COLUMN, re.compile(r"^(lesion|plant|tile|tree|object|sequence|video)( (id|no|nr|number|name))?$"))
CALL_IT_LABEL = "Call the column of the class label."
_FLAGS = ("0", "1", "0.0", "1.0")
_NO_LABEL = ("", "nan", "na", "n/a", "none", "null")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelColumns:
    """Where each known column stands, from 0."""

    image: int
    label: int | None
    """None where each class has a column."""
    one_hot: Mapping[int, str]
    """Class by column."""
    group: int | None
    split: int | None
    has_header: bool = True

    def rows(self, table: Table) -> Sequence[Row]:
        return table.body if self.has_header else table.rows

    def described(self, table: Table) -> str:
        """Sentence for the user on how the columns were read."""
        label = f"{counted(len(self.one_hot), 'column')} of 0 and 1" if self.one_hot else self.label
        columns = {"image": self.image, "class": label, "group": self.group, "split": self.split}
        return table.described(columns, has_header=self.has_header)

    def is_called_label(self, table: Table) -> bool:
        """Whether the table's header leaves no doubt that the labels are classes."""
        named = self.has_header and self.label is not None
        return named and _SURELY_LABEL.search(normalise_name(table.header[self.label or 0])) is not None

    def labels(self, table: Table) -> Iterator[str]:
        """Yields the class of each row; empty for none or several."""
        for row in self.rows(table):
            if self.label is not None:
                label = row.cells[self.label]
                yield "" if label.lower() in _NO_LABEL else label
            else:
                ticked = [name for at, name in self.one_hot.items() if float(row.cells[at]) == 1]
                yield ticked[0] if len(ticked) == 1 else ""


def label_columns(table: Table, keys: PictureKeys) -> LabelColumns | None:
    """Finds the columns; None if the table names none of the images, or says nothing about them.

    Raises:
        BadFileError: a column is in doubt.
    """
    if not table.rows:
        return None
    if any(keys.find(cell) for cell in table.header if cell):
        return _without_header(table, keys)
    every = range(len(table.header))
    naming = [at for at in every if any(keys.find(row.cells[at]) for row in table.body)]
    images = [at for at in columns_named(table.header, IMAGE_COLUMN) if at in naming] or naming
    if not images:
        return None
    groups = next((found for pattern in _GROUPS if (found := columns_named(table.header, pattern))), [])
    group = only_column(table, groups, "the group")
    split = split_column(table)
    image = image_column(table, images, keys)
    labels = [at for at in columns_named(table.header, _LABEL) if at not in (image, group, split)]
    label = only_column(table, labels, "the class")
    if label is not None:
        return LabelColumns(image=image, label=label, one_hot={}, group=group, split=split)
    others = [at for at in every if at not in (image, group, split) and at not in images and table.header[at]]
    if not others:
        return None
    one_hot = {at: table.header[at] for at in others if all(row.cells[at] in _FLAGS for row in table.body)}
    if len(others) == 1:
        return LabelColumns(image=image, label=others[0], one_hot={}, group=group, split=split)
    if len(one_hot) == len(others):
        return LabelColumns(image=image, label=None, one_hot=one_hot, group=group, split=split)
    names = ", ".join(repr(table.header[at]) for at in others)
    raise BadFileError(
        f"says the class in none of its columns for sure: {names}", "Call the column of the class label."
    )


def _without_header(table: Table, keys: PictureKeys) -> LabelColumns:
    """The columns of a table of image and class, in either order, that has no header."""
    images = keys.named_among(table.header)
    if len(table.header) == 2 and len(images) == 1 and all(len(row.cells) == 2 for row in table.rows):
        return LabelColumns(image=images[0], label=1 - images[0], one_hot={}, group=None, split=None, has_header=False)
    first = " ".join(table.header)[:60]
    action = "Put a line above it that names the columns, such as image,label."
    raise BadFileError(f"has no header: its first row is {first!r}", action)
