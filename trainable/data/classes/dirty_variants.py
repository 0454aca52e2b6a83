"""Dirty variants of the clean training images, until the classes are as near to balance as was asked for.

Only the training split gets any, and a variant's name holds its parent's, which is in that split too: nothing that is
tested was ever trained on in another guise. What was reached is reported, not what was asked for.
"""

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from trainable.data.classes.labelled_images import LabelledImages, LabelledSample, open_labelled, write_labelled
from trainable.data.drawing import dirt
from trainable.data.drawing.dirt import SEVERITIES, soil
from trainable.data.io.findings import Finding, Severity
from trainable.data.io.image_cache import cached_folder
from trainable.data.io.splits import SPLIT_NAMES, Splits

CLEAN, DIRTY = "clean", "dirty"


@dataclass(frozen=True, slots=True, kw_only=True)
class DirtyVariantsConfig:
    """How many variants, and how dirty."""

    clean_per_dirty: float = 2.0
    """Clean images for each dirty one that the training split should reach, above 0; 1 is balance."""
    variations_per_image: int = 2
    """Most variants of one clean image, 1 or more."""
    light_share: float = 0.3
    """Share of light dirt, 0 to 1; the three add up to 1."""
    medium_share: float = 0.5
    heavy_share: float = 0.2

    def __post_init__(self) -> None:
        if not self.clean_per_dirty > 0:
            raise ValueError(f"clean_per_dirty is {self.clean_per_dirty}; it must be above 0, 1 is balance.")
        if self.variations_per_image < 1:
            raise ValueError(f"variations_per_image is {self.variations_per_image}; give 1 or more, off is none.")
        if min(self.shares) < 0 or abs(sum(self.shares) - 1) > 1e-6:
            raise ValueError(
                f"light_share, medium_share and heavy_share are {self.shares}; none may be negative, and they must add "
                "up to 1."
            )

    @property
    def shares(self) -> tuple[float, float, float]:
        return self.light_share, self.medium_share, self.heavy_share


def with_dirty_variants(
    splits: Splits, config: DirtyVariantsConfig, cache_dir: Path, *, reading: object = None
) -> Splits:
    """The splits with variants at the end of the training split; what was reached is among their findings.

    Args:
        reading: how files became these images, such as their size; the fingerprint of files does not say it.

    Raises:
        ValueError: no class is called clean, or none dirty.
    """
    labels = clean_and_dirty(splits.train.class_names)
    if labels is None:
        raise ValueError(
            f"dirty_variants need one class called {CLEAN} and one called {DIRTY}, but the classes are "
            f"{', '.join(splits.train.class_names)}; rename the folders, or set dirty_variants=false."
        )
    clean, dirty = labels

    def build(folder: Path) -> None:
        samples: dict[str, Iterable[LabelledSample]] = {}
        for split in SPLIT_NAMES:
            own: LabelledImages = getattr(splits, split)
            rows = zip(own.names, own.images, own.labels, strict=True)
            samples[split] = (LabelledSample(name=name, image=image, label=int(label)) for name, image, label in rows)
        samples["train"] = itertools.chain(samples["train"], _variants(splits.train, clean, dirty, config))
        write_labelled(folder, samples, splits.train.images.shape[1:3], splits.train.class_names)

    sources = b"".join(Path(file).read_bytes() for file in (__file__, dirt.__file__))
    made_of = repr((config, splits.fingerprint, reading)).encode()
    key = "dirty-" + hashlib.sha256(sources + made_of).hexdigest()[:24]
    opened = open_labelled(cached_folder(key, cache_dir, build))
    reached = _reached(opened.train, len(splits.train), clean, dirty, config)
    return replace(opened, findings=(*splits.findings, reached))


def clean_and_dirty(class_names: Sequence[str]) -> tuple[int, int] | None:
    """The labels of the class called clean and of the one called dirty; None where either is missing or not one."""
    clean, dirty = (
        [label for label, name in enumerate(class_names) if word in name.lower()] for word in (CLEAN, DIRTY)
    )
    return (clean[0], dirty[0]) if len(clean) == len(dirty) == 1 else None


def no_variants(class_names: Sequence[str]) -> Finding:
    """Says why classes of other names get none."""
    return Finding(
        file="train",
        problem=f"has the classes {', '.join(class_names)}; dirty variants are drawn where one is called {CLEAN} and "
        f"one {DIRTY}",
        action="No dirty variants are drawn; nothing to do.",
        severity=Severity.NOTE,
    )


def draw_variant(
    parent: str, image: NDArray[np.uint8], variation: int, shares: Sequence[float]
) -> tuple[str, str, NDArray[np.uint8]]:
    """Name, severity and pixels of one variant, which depend on its parent and its number alone.

    Its name goes on after the parent's, by which the two are known to belong together.
    """
    rng = np.random.default_rng([_seed(parent), variation])
    severity = str(rng.choice(list(SEVERITIES), p=shares))
    name = f"{PurePosixPath(parent).with_suffix('')}_dirty_{severity}_{variation:02d}"
    return name, severity, soil(image, rng, severity=severity)


def _variants(train: LabelledImages, clean: int, dirty: int, config: DirtyVariantsConfig) -> Iterator[LabelledSample]:
    """Yields the missing number of variants, one of every clean image before a second one of any."""
    counts = train.class_counts()
    missing = round(counts[clean] / config.clean_per_dirty) - counts[dirty]
    number = min(max(missing, 0), config.variations_per_image * counts[clean])
    parents = sorted(np.flatnonzero(train.labels == clean), key=lambda row: _seed(train.names[row]))
    for index in range(number):
        row, variation = parents[index % len(parents)], index // len(parents)
        name, _, image = draw_variant(train.names[row], np.asarray(train.images[row]), variation, config.shares)
        yield LabelledSample(name=name, image=image, label=dirty)


def _reached(train: LabelledImages, num_real: int, clean: int, dirty: int, config: DirtyVariantsConfig) -> Finding:
    counts = train.class_counts()
    kinds = Counter(name.rsplit("_", 2)[1] for name in train.names[num_real:])
    drawn = ", ".join(f"{kinds[kind]} {kind}" for kind in SEVERITIES)
    return Finding(
        file="train",
        problem=f"has {counts[clean]} clean and {counts[dirty]} dirty images, {counts[clean] / counts[dirty]:.2f} to 1 "
        f"where {config.clean_per_dirty:g} was asked for; {len(train) - num_real} are drawn variants ({drawn})",
        action="Dirty variants of clean training images; nothing to do.",
        severity=Severity.NOTE,
    )


def _seed(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
