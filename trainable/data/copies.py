"""Which files were made from one photograph, as far as their names say: turned, mirrored and retouched copies.

`plate_01_rotated_90.jpg` and `rotated_plate_01.jpg` come from `plate_01.jpg`, `rotated/leaf_rotated_001.jpg` from
`orig/leaf_orig_001.jpg`. Where names say it otherwise a pattern of the user's is asked for.
"""

import re
from collections.abc import Sequence
from pathlib import Path

COPY_MARKS = "rotated|rot(?=[0-9])|flipped|mirrored|augmented|copy"
"""Words that make a copy of what they stand beside."""
_COPY = re.compile(rf"(?i)(?<![^\W_])(?:{COPY_MARKS})[0-9]*(?![^\W_])")
_MARK = re.compile(rf"(?i)(?<![^\W_])(?:{COPY_MARKS}|orig|original)[0-9]*(?![^\W_])")


def source_names(files: Sequence[Path]) -> list[str]:
    """For each file the one that it was made from: itself, unless its name says that it is a copy of another."""
    first: dict[str, Path] = {}
    for file in sorted(files, key=lambda file: (_COPY.search(file.as_posix()) is not None, file)):
        first.setdefault(_unmarked(file), file)
    return [first[_unmarked(file)].as_posix() for file in files]


def _unmarked(file: Path) -> str:
    """The path without its marks; a name that has a number before its mark ends there."""
    mark = _MARK.search(file.stem)
    if mark and re.search("[0-9]", file.stem[: mark.start()]):
        name = file.stem[: mark.start()]
    else:
        name = _MARK.sub("", file.stem)
    folders = [_MARK.sub("", folder) for folder in file.parent.parts]
    return "/".join(filter(None, (part.strip("_- ") for part in (*folders, name))))
