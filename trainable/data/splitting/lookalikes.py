"""Pictures that look the same, whatever their files are called: saved again, resized, cut a little.

Where we divide the folder they stay in one split; across splits that folders name they are reported.

What: the signs of the 255 lowest frequencies of a picture of 32 x 32 grey levels, a perceptual hash. Of unrelated
pictures half of them differ; saved again at another size and quality, 2 to 6 % do.
Source: DCT hash (Zauner 2010), here with 16 x 16 frequencies, since 8 x 8 take two retinas for one. Cost: 0.2 ms a
picture, and 1 s for 10 000 among themselves.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from PIL import Image

from trainable.data.io.counted import first_of
from trainable.data.io.findings import Finding, Severity
from trainable.data.io.splits import join_groups

_SIDE_PX, _NUM_FREQUENCIES = 32, 16
_COSINES = np.cos(np.pi / _SIDE_PX * np.outer(np.arange(_NUM_FREQUENCIES), np.arange(_SIDE_PX) + 0.5)).astype(
    np.float32
)
"""The first rows of a discrete cosine transform; scale does not matter to signs."""
_MOST_DIFFERENT_BITS = 16
"""Most of the 255 bits that differ between two copies of one photograph. Copies differ in 15 or fewer, retinas of two
of 863 patients in 22 or more."""
_FLAT = 2.0
"""Grey levels of contrast below which a picture looks like any other."""
_PAIRS_AT_ONCE = 2**18
"""Compared at a time, in 2 MB, however many pictures there are."""

_MAX_NAMED = 3


def signature(image: np.ndarray) -> np.ndarray:
    """Returns the hash of a picture uint8 (H, W, 3): uint64, shape (4,); zeros for a flat one."""
    grey = Image.fromarray(image).convert("L").resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BOX)
    pixels = np.asarray(grey, np.float32)
    if pixels.std() < _FLAT:
        return np.zeros(4, np.uint64)
    frequencies = (_COSINES @ pixels @ _COSINES.T).ravel()
    frequencies[0] = 1.0
    return np.packbits(frequencies > 0).view(np.uint64)


def keep_alike_together(
    files: Sequence[str], groups: Sequence[str], looks: np.ndarray
) -> tuple[list[str], list[Finding]]:
    """The groups after pictures that look the same joined theirs, and a warning that counts these.

    Args:
        looks: the pictures' signatures, shape (N, 4).
    """
    rows, own = np.arange(len(files)), np.unique(np.array(groups, object), return_inverse=True)[1]
    joint, apart = own.copy(), dict[int, int]()

    def twins() -> Iterator[tuple[int, int]]:
        """Those that join two groups: of thousands that all look the same, not each with each."""
        for row, others in _alike(looks, rows, rows):
            others = others[(others < row) & (own[others] != own[row])]
            apart.update({row: int(others[0])} if len(others) else {})
            while len(others := others[joint[others] != joint[row]]):
                yield row, int(others[0])
                joint[joint == joint[others[0]]] = joint[row]

    joined = join_groups(groups, twins())
    if not apart:
        return joined, []
    named = [f"{files[row]} as {files[other]}" for row, other in sorted(apart.items())]
    problem = f"{len(named)} look the same as another: {first_of(named, _MAX_NAMED)}"
    action = "They stay in one split; --set group_pattern='.+' divides them by their files' names instead."
    return joined, [Finding(file="pictures", problem=problem, action=action, severity=Severity.WARNING)]


def check_lookalikes(files: Sequence[str], splits: Sequence[str], looks: np.ndarray) -> list[Finding]:
    """A warning for each picture that looks like one of another split, by the first such one.

    Args:
        looks: the pictures' signatures, shape (N, 4).
    """
    split_of = np.array(splits)
    found: dict[int, int] = {}
    for later, earlier in combinations([split for split in ("test", "validation", "train") if split in splits], 2):
        for row, others in _alike(looks, np.flatnonzero(split_of == later), np.flatnonzero(split_of == earlier)):
            found.setdefault(row, int(others[0]))
    return [
        Finding(
            file=files[row],
            problem=f"({splits[row]}) looks the same as {files[other]} ({splits[other]})",
            action="Look at both: what is trained on cannot be tested on. Remove one, or keep them together by "
            "--set group_pattern.",
            severity=Severity.WARNING,
        )
        for row, other in sorted(found.items())
    ]


def _alike(looks: np.ndarray, rows: np.ndarray, others: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each row that looks like some of the others, with these in order; flat pictures look like none."""
    others = others[looks[others].any(axis=1)]
    rows = rows[looks[rows].any(axis=1)]
    num_rows = max(1, _PAIRS_AT_ONCE // max(1, len(others)))
    for start in range(0, len(rows) if len(others) else 0, num_rows):
        chunk = rows[start : start + num_rows]
        different = np.zeros((len(chunk), len(others)), np.uint16)
        for word in range(4):
            different += np.bitwise_count(looks[chunk, None, word] ^ looks[None, others, word])
        for row, near in zip(chunk.tolist(), different <= _MOST_DIFFERENT_BITS, strict=True):
            if near.any():
                yield row, others[near]
