"""Pairs that a table names: a column of images and one of their masks, whatever the files are called."""

from collections.abc import Sequence
from pathlib import Path

from trainable.data.image_mask.roles import role_of
from trainable.data.io.counted import counted, first_of
from trainable.data.io.findings import BadFileError, Finding, Severity, note
from trainable.data.io.folder_layout import IMAGE_ENDINGS, is_image, plain_name
from trainable.data.io.picture_names import PictureNames
from trainable.data.io.table import TABLE_ENDINGS, Table, only_column, read_table

_MAX_NAMED = 3
TabledPairs = dict[Path, tuple[Path, tuple[Path, ...]]]
"""Mask of each image, with all tables that name the pair."""
_ONE_MASK = "Keep one row an image, and give each image a mask of its own; masks of several objects become one."


def find_tabled_pairs(root: Path, files: Sequence[Path]) -> tuple[TabledPairs, list[Finding]]:
    """The pairs that tables name, and findings about their rows; without a table of pairs, findings about all tables.

    Args:
        files: below the root, as all paths are.
    """
    tables = [file for file in files if file.suffix.lower() in TABLE_ENDINGS]
    pictures = [file for file in files if is_image(file)] if tables else []
    found: TabledPairs = {}
    names, findings, read = PictureNames(pictures), list[Finding](), []
    for file in tables:
        try:
            table = read_table(root / file)
            columns = _columns(table, file, names)
        except BadFileError as error:
            findings.append(error.finding(plain_name(file)))
            continue
        if columns is not None:
            read.append(plain_name(file))
            findings += _read_rows(found, file, table, columns, _Places(pictures, names, file))
    if not read:
        return {}, findings
    used = {*found, *(mask for mask, _ in found.values())}
    if unused := [plain_name(picture) for picture in pictures if picture not in used]:
        problem = f"{counted(len(unused), 'picture is', 'pictures are')} in no row: {first_of(unused, _MAX_NAMED)}"
        action = f"Left out; add a row with the image and its mask to {read[0]} to use them."
        findings.append(Finding(file="pictures", problem=problem, action=action, severity=Severity.WARNING))
    return found, findings


class _Places:
    """Finds the picture that a cell of a table names."""

    def __init__(self, pictures: Sequence[Path], names: PictureNames, table: Path) -> None:
        self._pictures, self._names, self._table = set(pictures), names, table
        self._by_file_name: dict[str, list[Path]] = {}
        for picture in pictures:
            self._by_file_name.setdefault(picture.name.casefold(), []).append(picture)

    def find(self, cell: str, holds: str) -> Path | None:
        """The picture at the written path, from the table or the root; else the one of that name in a folder that holds
        `images` or `masks`."""
        written = Path(cell.replace("\\", "/"))
        for place in (self._table.parent / written, written):
            if place in self._pictures:
                return place
        found = self._by_file_name.get(written.name.casefold(), []) if len(written.parts) == 1 else []
        found = found or (self._names.find(cell, self._table) if cell else [])
        found = [one for one in found if role_of(one.parent).holds == holds] or found
        return found[0] if len(found) == 1 else None


def _columns(table: Table, file: Path, names: PictureNames) -> tuple[int, int] | None:
    """Finds the columns of images and masks: both hold names of pictures, one has a header for masks.

    Raises:
        BadFileError: two columns could be the image or the mask.
    """
    naming = {
        at: role_of(Path(name)).holds
        for at, name in enumerate(table.header)
        if any(row.cells[at].lower().endswith(IMAGE_ENDINGS) and names.find(row.cells[at], file) for row in table.body)
    }
    masks = [at for at, holds in naming.items() if holds == "masks"]
    images = [at for at, holds in naming.items() if holds == "images"] or [at for at in naming if at not in masks]
    if not masks or not images:
        return None
    image, mask = only_column(table, images, "the image"), only_column(table, masks, "the mask")
    return None if image is None or mask is None else (image, mask)


def _read_rows(
    found: TabledPairs, file: Path, table: Table, columns: tuple[int, int], places: _Places
) -> list[Finding]:
    """Adds the pairs of one table, and says what was read and what is wrong; an error for a mask that is not here."""
    names = [repr(table.header[at]) for at in columns]
    rows = counted(len(table.body), "row")
    read = f"{rows}: image from {names[0]}, mask from {names[1]} ({table.form})"
    findings = [note(plain_name(file), read, "Read so; nothing to do.")]
    left_out: dict[str, list[str]] = {}
    for row in table.uneven:
        left_out.setdefault("have too few or too many cells", []).append(f"row {row.number}")
    image_of = {mask: image for image, (mask, _) in found.items()}
    for row in table.body:
        cells = [row.cells[at] for at in columns]
        image, mask = places.find(cells[0], "images"), places.find(cells[1], "masks")
        problem = None
        if image is None:
            left_out.setdefault("name an image that is not here", []).append(cells[0] or f"row {row.number}")
        elif not cells[1]:
            left_out.setdefault("have no mask", []).append(cells[0])
        elif mask is None or mask == image:
            problem = f"row {row.number}: {cells[1]}, the mask of {cells[0]}, is {'no mask' if mask else 'not here'}"
        elif found.get(image, (mask,))[0] != mask:
            problem = f"row {row.number}: {cells[0]} has the mask {cells[1]} here, {found[image][0].name} above"
        elif image_of.setdefault(mask, image) != image:
            problem = f"row {row.number}: {cells[1]} is the mask of {cells[0]} here, of {image_of[mask].name} above"
        else:
            found[image] = (mask, (*found.get(image, (mask, ()))[1], file))
        if problem is not None:
            action = "Put the mask there, or leave its cell empty." if mask is None else _ONE_MASK
            findings.append(Finding(file=plain_name(file), problem=problem, action=action))
    for why, own in left_out.items():
        problem, action = f"{len(own)} of {rows} {why}: {first_of(own, _MAX_NAMED)}", "They are left out."
        findings.append(Finding(file=plain_name(file), problem=problem, action=action, severity=Severity.WARNING))
    return findings
