"""Lists the files of a data folder: links are followed, files of the operating system left out."""

import os
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from trainable.data.io.counted import counted, first_of
from trainable.data.io.findings import DataError

IMAGE_ENDINGS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"),
    *(".ppm", ".pgm", ".pbm", ".jp2", ".avif"),
)
COMMON_ENDINGS = ".jpg, .png, .tif, .webp, .bmp or .gif"
"""Those that a sentence names."""
UNREAD_PICTURE_ENDINGS = (
    *(".heic", ".heif", ".dcm", ".dng", ".nef", ".cr2", ".arw", ".raw", ".exr", ".svg", ".psd"),
    *(".npy", ".npz", ".mat", ".nii", ".pdf"),
)
"""Pictures to whoever put them there, but not to the decoder."""
_MAX_NAMED = 5
_RESULTS = {"settings.json", "trials.jsonl"}
"""Files that mark the folder of a search, whose pictures are results."""
_SYSTEM_FOLDERS = {"__macosx", "@eadir", "#recycle", "@recycle", "$recycle.bin", "system volume information"}


def files_below(root: Path, place: Path = Path()) -> list[Path]:
    """Every file below the folder `place` of the root, as a path below it, in order of name.

    Without hidden ones, and without the results of searches, which may have been written into the data.

    Links to folders are entered, unless to a folder that they lie in. A link to nothing counts as a file; pipes and
    devices, which may never end, do not.

    Raises:
        DataError: a folder cannot be opened.
    """
    found: list[Path] = []
    waiting = [(Path(), tuple((root / folder).stat() for folder in (place, *place.parents)))]
    while waiting:
        folder, entered = waiting.pop()
        try:
            with os.scandir(root / place / folder) as listed:
                entries = [entry for entry in listed if not is_hidden(entry.name)]
        except OSError as error:
            raise DataError(f"The folder {root / place / folder} cannot be opened: {error.strerror}.") from error
        if {entry.name for entry in entries} >= _RESULTS:
            continue
        for entry in entries:
            if entry.is_symlink() and not Path(entry).exists():
                # Also a link to itself, which supports no other question.
                found.append(folder / entry.name)
                continue
            if not entry.is_dir():
                found += [folder / entry.name] if entry.is_file() else []
                continue
            here = Path(entry).stat()
            if not any(os.path.samestat(here, above) for above in entered):
                waiting.append((folder / entry.name, (*entered, here)))
    # As paths are ordered, which compare slowly.
    return sorted(found, key=lambda file: file.parts)


def refuse_dead_links(root: Path, files: Iterable[Path]) -> None:
    """Raises DataError for links to nothing that may be folders or tables; whoever reads pictures reports theirs.

    Args:
        files: below the root, as `files_below` gives them.
    """
    dead = [file for file in files if not is_image(file) and not (root / file).exists()]
    if dead:
        holds = counted(len(dead), "link to a folder or file that is", "links to folders or files that are")
        named = first_of([*map(plain_name, dead)], _MAX_NAMED)
        raise DataError(f"{root} holds {holds} not there: {named}. Restore what they point to, or remove them.")


def subfolders(root: Path, place: Path = Path()) -> list[Path]:
    """The folders in the folder `place` of the root, in order of name: those that `files_below` enters."""
    found = []
    above = [(root / folder).stat() for folder in (place, *place.parents)]
    for child in (root / place).iterdir():
        if not is_hidden(child.name) and child.is_dir():
            here = child.stat()
            found += [] if any(os.path.samestat(here, folder) for folder in above) else [child]
    return sorted(found)


def is_hidden(name: str) -> bool:
    """Whether an operating system or a tool put it there: `.ipynb_checkpoints`, `._a.jpg`, `__MACOSX`, `@eaDir`."""
    return name.startswith(".") or name.lower() in _SYSTEM_FOLDERS


def is_image(path: Path) -> bool:
    """Whether its ending is that of a picture that can be read."""
    return path.suffix.lower() in IMAGE_ENDINGS


def holds_images(root: Path, place: Path) -> bool:
    """Whether a picture lies in the folder `place` of the root, or below it."""
    return any(map(is_image, files_below(root, place)))


def plain_name(path: Path | str) -> str:
    r"""As it is written everywhere: accents composed (NFC) as on most systems, bytes that are no UTF-8 as `\xe9`.

    Line breaks and what cannot be seen or a terminal would obey are escapes, too: a name is one line.
    """
    text = path.as_posix() if isinstance(path, Path) else path
    plain = unicodedata.normalize("NFC", os.fsencode(text).decode("utf-8", "backslashreplace"))
    seen = (letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in plain)
    return plain if plain.isprintable() else "".join(seen)


def require_folder(root: Path, holding: str) -> None:
    """Raises DataError unless the folder is there; `holding` says what it should hold."""
    if root.is_dir():
        return
    require_exists(root)
    raise DataError(f"{root} is a file, but --data takes a folder: the one that holds {holding}.")


def require_exists(root: Path) -> None:
    """Raises DataError unless something of that name is there; names the folder that may have been meant."""
    if root.exists():
        return
    siblings = [child.name for child in subfolders(root.parent)] if root.parent.is_dir() else []
    near = get_close_matches(root.name, siblings, n=1)
    hint = f" Did you mean {root.parent / near[0]}?" if near else ""
    raise DataError(f"The data folder {root} does not exist.{hint}")
