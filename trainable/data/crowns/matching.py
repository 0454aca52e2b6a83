"""Which picture an annotation speaks of: names with folders of another machine, other endings, web addresses."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from trainable.data.io.folder_layout import IMAGE_ENDINGS

_PARALLEL = {"images", "imgs", "img", "image", "labels", "label", "annotations", "annotation", "xml", "csv", "json"}
"""Folders whose names say what is in them, not which pictures."""


def picture_key(name: str) -> str:
    """What names one picture in any file: the last part, without the ending of an image, composed."""
    last = re.split(r"[\\/]", _without_address(name.strip()))[-1]
    path = PurePosixPath(last)
    stem = path.stem if path.suffix.lower() in IMAGE_ENDINGS else last
    return unicodedata.normalize("NFC", stem)


class PictureNames:
    """The pictures of a folder, found by what annotation files call them.

    Args:
        pictures: below the data folder.
    """

    def __init__(self, pictures: Sequence[Path]) -> None:
        self._by_key: dict[str, list[Path]] = {}
        self._by_any_case: dict[str, list[Path]] = {}
        for picture in pictures:
            self._by_key.setdefault(picture_key(picture.name), []).append(picture)
            self._by_any_case.setdefault(picture_key(picture.name).casefold(), []).append(picture)

    def find(self, name: str, annotated_in: Path) -> list[Path]:
        """The pictures that a file may mean: none, one, or several where its own folder does not tell them apart."""
        key = picture_key(name)
        found = self._by_key.get(key) or self._by_any_case.get(key.casefold(), [])
        if len(found) < 2:
            return found
        near = [_nearness(picture, name, annotated_in) for picture in found]
        return [picture for picture, score in zip(found, near, strict=True) if score == max(near)]

    def unique_name(self, picture: Path) -> str:
        """The name without ending; with its folders where another picture has the same."""
        return picture.stem if len(self._by_key[picture_key(picture.name)]) == 1 else picture.with_suffix("").as_posix()


def _without_address(name: str) -> str:
    """A web address without its query and percent signs; other names as they are."""
    return unquote(urlsplit(name).path) if re.match(r"[a-z]+://", name, re.IGNORECASE) else name


def _nearness(picture: Path, name: str, annotated_in: Path) -> tuple[int, int]:
    """How many folders of the written name end the picture's path, then how many the annotation's own path shares."""
    written = [part for part in re.split(r"[\\/]", _without_address(name))[:-1] if part not in ("", ".", "..")]
    folders = list(picture.parent.parts)
    ending = 0
    while ending < min(len(written), len(folders)) and written[-1 - ending] == folders[-1 - ending]:
        ending += 1
    own, of_picture = (
        [part for part in path.parts if part.lower() not in _PARALLEL] for path in (annotated_in.parent, picture.parent)
    )
    return ending, 2 * sum(part in of_picture for part in own) - len(of_picture)
