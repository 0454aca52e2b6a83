"""Pictures that look the same in two parts, whatever their files are called: saved again, resized, cut a little.

What: the signs of the 255 lowest frequencies of a picture of 32 x 32 grey levels, a perceptual hash. Of unrelated
pictures half of them differ; saved again at another size and quality, 2 to 6 % do.
Source: DCT hash (Zauner 2010), here with 16 x 16 frequencies, since 8 x 8 take two retinas for one. Cost: 0.2 ms a
picture, and 0.2 s for 10 000 against 2 000.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from PIL import Image

from trainable.data.io.findings import Finding, Severity

_SIDE_PX, _NUM_FREQUENCIES = 32, 16
_COSINES = np.cos(np.pi / _SIDE_PX * np.outer(np.arange(_NUM_FREQUENCIES), np.arange(_SIDE_PX) + 0.5)).astype(
    np.float32
)
"""The first rows of a discrete cosine transform; scale does not matter to signs."""
_MOST_DIFFERENT_BITS = 16
"""Of 255. Two retinas of 863 patients differ in 22 or more, one photograph and its copy in 15 or fewer."""
_FLAT = 2.0
"""Grey levels of contrast below which a picture looks like any other."""
_CHUNK_ROWS = 512

Look = tuple[str, str, np.ndarray]
"""A picture's name, its part and its signature."""


def signature(image: np.ndarray) -> np.ndarray:
    """Of a picture uint8 (H, W, 3): uint64, shape (4,); zeros for one that is flat."""
    grey = Image.fromarray(image).convert("L").resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BOX)
    pixels = np.asarray(grey, np.float32)
    if pixels.std() < _FLAT:
        return np.zeros(4, np.uint64)
    frequencies = (_COSINES @ pixels @ _COSINES.T).ravel()
    frequencies[0] = 1.0
    return np.packbits(frequencies > 0).view(np.uint64)


def check_lookalikes(looks: Sequence[Look]) -> list[Finding]:
    """A warning for each picture that looks like one of another part, by the first such one."""
    files, parts = [file for file, _, _ in looks], [part for _, part, _ in looks]
    table, part_of = np.array([bits for _, _, bits in looks], np.uint64).reshape(-1, 4), np.array(parts)
    found: dict[int, int] = {}
    for later, earlier in combinations([part for part in ("test", "validation", "train") if part in parts], 2):
        for row, other in _alike(table, np.flatnonzero(part_of == later), np.flatnonzero(part_of == earlier)):
            found.setdefault(row, other)
    return [
        Finding(
            file=files[row],
            problem=f"({parts[row]}) looks the same as {files[other]} ({parts[other]})",
            action="Look at both: what is trained on cannot be tested on. Remove one, or keep them together by "
            "--set group_pattern.",
            severity=Severity.WARNING,
        )
        for row, other in sorted(found.items())
    ]


def _alike(table: np.ndarray, rows: np.ndarray, others: np.ndarray) -> Iterator[tuple[int, int]]:
    """Each row with the first of the others that it looks like; flat pictures look like none."""
    others = others[table[others].any(axis=1)]
    rows = rows[table[rows].any(axis=1)]
    for start in range(0, len(rows) if len(others) else 0, _CHUNK_ROWS):
        chunk = rows[start : start + _CHUNK_ROWS]
        different = np.zeros((len(chunk), len(others)), np.uint16)
        for word in range(4):
            different += np.bitwise_count(table[chunk, None, word] ^ table[None, others, word])
        alike = different <= _MOST_DIFFERENT_BITS
        for place in np.flatnonzero(alike.any(axis=1)):
            yield int(chunk[place]), int(others[alike[place].argmax()])
