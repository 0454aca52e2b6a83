"""Labelled images in the shared cache: pixels in one file and labels in another, both memory-mapped by every trial."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainable.data.io.image_cache import fingerprint, pixel_digest
from trainable.data.io.splits import SPLIT_NAMES, Splits

MISSING = -1
"""The label of an image that has none for a task."""
ClassNames = tuple[str, ...] | tuple[tuple[str, ...], ...]
"""Names of the classes in the order of their labels; of several tasks, one such tuple for each."""
_INDEX, _IMAGES, _LABELS = "index.json", "images.u8", "labels.i64"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledSample:
    """One image with its label, on its way into the cache."""

    name: str
    image: np.ndarray
    """uint8, shape (H, W, 3)."""
    label: int | tuple[int, ...]
    """Index into the class names, or one index per task; -1 where there is none."""
    digest: str | None = None
    """sha256 of the source file for the fingerprint; None takes that of the pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledImages:
    """One split. The arrays are read-only maps: copy what you index (`images[rows]` does) before torch sees it."""

    images: np.ndarray
    """uint8, shape (N, H, W, 3)."""
    labels: np.ndarray
    """int64, shape (N,), or (N, T) for T tasks; -1 where an image has no label."""
    names: tuple[str, ...]
    class_names: ClassNames

    def __len__(self) -> int:
        return len(self.names)

    def class_counts(self, task: int | None = None) -> tuple[int, ...]:
        """Images of each class; of one of several tasks, the given one."""
        labels = self.labels if task is None else self.labels[:, task]
        names = self.class_names if task is None else self.class_names[task]
        return tuple(np.bincount(labels[labels != MISSING], minlength=len(names)).tolist())

    def counts_by_name(self, task: int | None = None) -> dict[str, int]:
        """As `class_counts`, by name, with the images that have no label where there are any."""
        names = self.class_names if task is None else self.class_names[task]
        counts = dict(zip(map(str, names), self.class_counts(task), strict=True))
        num_unlabelled = len(self) - sum(counts.values())
        return counts | ({"no label": num_unlabelled} if num_unlabelled else {})


def write_labelled(
    folder: Path,
    splits: Mapping[str, Iterable[LabelledSample]],
    image_size: tuple[int, int],
    class_names: ClassNames,
) -> None:
    """Streams the samples of `train`, `validation` and `test` into an empty folder of the cache."""
    assert set(splits) == set(SPLIT_NAMES), splits.keys()
    written: dict[str, list[tuple[str, str]]] = {split: [] for split in SPLIT_NAMES}
    with ExitStack() as stack:
        images, labels = (stack.enter_context((folder / name).open("xb")) for name in (_IMAGES, _LABELS))
        for split in SPLIT_NAMES:
            for sample in splits[split]:
                assert sample.image.shape == (*image_size, 3), (sample.name, sample.image.shape)
                images.write(np.ascontiguousarray(sample.image, np.uint8).data)
                labels.write(np.asarray(sample.label, np.int64).data)
                source = sample.digest or pixel_digest(sample.image)
                # What the image teaches: its pixels or file, and its label.
                digest = hashlib.sha256(f"{source} {sample.label}".encode()).hexdigest()
                written[split].append((sample.name, digest))
    index = {
        "image_size": image_size,
        "class_names": class_names,
        "names": {split: [name for name, _ in pairs] for split, pairs in written.items()},
        "fingerprint": fingerprint(written),
    }
    (folder / _INDEX).write_text(json.dumps(index), encoding="utf-8")


def open_labelled(folder: Path) -> Splits:
    """Maps what `write_labelled` wrote; nothing is read until it is indexed."""
    index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
    names = index["class_names"]
    class_names: ClassNames = tuple(names) if isinstance(names[0], str) else tuple(tuple(own) for own in names)
    counts = [len(index["names"][split]) for split in SPLIT_NAMES]
    shape = (sum(counts),) if isinstance(class_names[0], str) else (sum(counts), len(class_names))
    images = np.memmap(folder / _IMAGES, np.uint8, "r", shape=(sum(counts), *index["image_size"], 3))
    labels = np.memmap(folder / _LABELS, np.int64, "r", shape=shape)
    sets = {}
    for split, start, stop in zip(SPLIT_NAMES, np.cumsum([0, *counts]), np.cumsum(counts), strict=False):
        sets[split] = LabelledImages(
            images=images[start:stop],
            labels=labels[start:stop],
            names=tuple(index["names"][split]),
            class_names=class_names,
        )
    train, validation, test = (sets[split] for split in SPLIT_NAMES)
    return Splits(train=train, validation=validation, test=test, fingerprint=index["fingerprint"])
