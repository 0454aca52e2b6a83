"""Which picture a cell or an annotation speaks of: folders of another machine, other endings, web addresses."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from trainable.data.io.folder_layout import IMAGE_ENDINGS, plain_name

_PARALLEL = {"images", "imgs", "img", "image", "labels", "label", "annotations", "annotation", "xml", "csv", "json"}
"""Folders whose names say what is in them, not which pictures."""


_ADDRESS = re.compile("[a-z][a-z0-9+.-]*://", re.IGNORECASE)
"""How a web address begins, by RFC 3986: `https://`, `s3://`."""
_UPLOADED = re.compile("^[0-9a-f]{8}-(?=.)")
"""Label Studio puts this before the name of an uploaded file."""


def picture_key(name: str) -> str:
    """The part of a path that names a picture in any file: the last one, without an image ending, accents composed."""
    last = _last_part(name)
    stem, _, ending = last.rpartition(".")
    return stem if stem and f".{ending.lower()}" in IMAGE_ENDINGS else last


def _last_part(name: str) -> str:
    return unicodedata.normalize("NFC", _without_address(name.strip()).replace("\\", "/").rpartition("/")[2])


class PictureKeys:
    """The keys of the pictures at hand, found by what a table calls them: in any case, without leading zeros."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys = set(keys)
        self._by_form: dict[str, set[str]] = {}
        self._found: dict[str, str | None] = {}
        """Cells of a table are looked up several times, and most columns repeat a few values."""
        for key in self._keys:
            for form in (key.casefold(), _without_zeros(key)):
                self._by_form.setdefault(form, set()).add(key)

    def find(self, name: str) -> str | None:
        """The one key that the name means; None when there is none, or several but for case and zeros."""
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def named_among(self, cells: Sequence[str]) -> list[int]:
        """Cells that name pictures: if some have an image ending, only those, since `7` may also be a label."""
        naming = [at for at, cell in enumerate(cells) if cell and self.find(cell)]
        return [at for at in naming if cells[at].lower().endswith(IMAGE_ENDINGS)] or naming

    def _find(self, name: str) -> str | None:
        key, whole = picture_key(name), _last_part(name)
        if key in self._keys:
            return key
        if whole in self._keys:
            return whole
        for form in (key.casefold(), _without_zeros(key), _without_zeros(key.removesuffix(".0"))):
            found = self._by_form.get(form, set())
            if found:
                return next(iter(found)) if len(found) == 1 else None
        return None


class PictureNames:
    """The pictures of a folder, found by what annotation files call them.

    Args:
        pictures: below the data folder.
    """

    def __init__(self, pictures: Sequence[Path]) -> None:
        self._by_key: dict[str, list[Path]] = {}
        self._by_any_case: dict[str, list[Path]] = {}
        self._by_last_folder: dict[tuple[str, str], list[Path]] = {}
        self._by_place: dict[tuple[str, tuple[str, ...]], list[Path]] = {}
        for picture in pictures:
            key = picture_key(picture.name)
            self._by_key.setdefault(key, []).append(picture)
            self._by_any_case.setdefault(key.casefold(), []).append(picture)
            self._by_last_folder.setdefault((key, picture.parent.name), []).append(picture)
            self._by_place.setdefault((key, _place(picture)), []).append(picture)

    def find(self, name: str, annotated_in: Path) -> list[Path]:
        """The pictures that a file may mean: none, one, or several where its own folder does not tell them apart."""
        key = picture_key(name)
        found = self._by_key.get(key) or self._by_any_case.get(key.casefold(), [])
        # `a.JPG.txt` may belong to `a.JPG.png`.
        found = found or self._by_key.get(_last_part(name)) or self._by_key.get(_UPLOADED.sub("", key), [])
        if len(found) < 2:
            return found
        # Every sample may have a folder of its own and the same name in it: few of them are compared.
        written = [part for part in re.split(r"[\\/]", _without_address(name))[:-1] if part not in ("", ".", "..")]
        own_folder = self._by_last_folder.get((key, written[-1])) if written else None
        found = own_folder or self._by_place.get((key, _place(annotated_in))) or found
        near = [_nearness(picture, written, annotated_in) for picture in found]
        nearest = max(near)
        return [picture for picture, score in zip(found, near, strict=True) if score == nearest]

    def unique_name(self, picture: Path) -> str:
        """The name without ending; with its folders where another picture has the same."""
        whole = len(self._by_key[picture_key(picture.name)]) > 1
        return plain_name(picture.with_suffix("") if whole else picture.stem)


def _without_address(name: str) -> str:
    """A web address without its query and percent signs; other names as they are."""
    return unquote(urlsplit(name).path) if _ADDRESS.match(name) else name


def _without_zeros(key: str) -> str:
    """The key in small letters and without leading zeros: `IDRiD_007` and `idrid_7` are one."""
    return re.sub(r"0*(\d+)", r"\1", key.casefold())


def _place(file: Path) -> tuple[str, ...]:
    """The folders of a file that say which pictures are meant, in alphabetical order."""
    return tuple(sorted(part for part in file.parent.parts if part.lower() not in _PARALLEL))


def _nearness(picture: Path, written: Sequence[str], annotated_in: Path) -> tuple[int, int]:
    """Number of written folders that end the picture's path, then of folders shared with the annotation's path."""
    folders = list(picture.parent.parts)
    ending = 0
    while ending < min(len(written), len(folders)) and written[-1 - ending] == folders[-1 - ending]:
        ending += 1
    own, of_picture = _place(annotated_in), _place(picture)
    return ending, 2 * sum(part in of_picture for part in own) - len(of_picture)
