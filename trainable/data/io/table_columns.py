"""Which column of a table names the picture, and whom or what a picture is of; columns in doubt are an error."""

import re
from collections.abc import Sequence

from trainable.data.io.findings import BadFileError
from trainable.data.io.picture_names import PictureKeys
from trainable.data.io.table import Table

IMAGE_COLUMN = re.compile(r"\bimage\b|^img( id| name| path)?$|^id\b|^name$|^file ?(name|path)?$|^path$|^photo(graph)?$")
PATIENT_COLUMN = re.compile(r"^(patient|subject|person|group)( (id|no|nr|number|name|code))?$|^pid$")
_ONE_OF_THEM = "Remove the others from the table, or give them names that say what they are."


def only_column(table: Table, found: Sequence[int], meaning: str) -> int | None:
    """The one column that was found, None for none.

    Raises:
        BadFileError: there are several.
    """
    if len(found) > 1:
        names = ", ".join(repr(table.header[at]) for at in found)
        raise BadFileError(f"has {len(found)} columns that could be {meaning}: {names}", _ONE_OF_THEM)
    return found[0] if found else None


def image_column(table: Table, found: Sequence[int], pictures: PictureKeys) -> int:
    """Of one or more columns the one that names pictures which are here; of several such, any if they mean the same.

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
