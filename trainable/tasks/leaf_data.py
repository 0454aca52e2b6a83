"""Data of both leaf workloads: the embedded leaves, or a folder of class folders."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from trainable.data.classes.folder import ClassFolderOptions, open_class_folder
from trainable.data.classes.labelled_images import MISSING, LabelledImages
from trainable.data.generated.leaf_pictures import LeafPictureConfig, leaf_splits
from trainable.data.io.image_cache import default_cache_dir
from trainable.data.io.splits import FRACTIONS, Splits, check_drawn
from trainable.tasks.data_notes import of_folders_alone, with_findings
from trainable.tasks.task import Progress

EMBEDDED = "leaves"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafData:
    """Source and size of the images of leaves."""

    source: str = EMBEDDED
    """"leaves" for the embedded generator, or a folder of class folders."""
    image_size_px: int = 64
    """Side of the square images that a folder's are resized to; 256 for the documented encoder."""
    resize: Literal["crop", "squash"] = "crop"
    """crop: shapes stay and the middle is cut out; squash: all of the image, shapes change."""
    group_pattern: str | None = None
    """Regular expression whose match in a file's name keeps files of one origin in one split; None: each its own,
    but for what its name calls a rotated, flipped, mirrored or augmented copy of another."""
    split_seed: int = 0
    """Seed of the division of a folder into train, validation and test, 0 or more."""
    split_fractions: tuple[float, float, float] | None = None
    """Shares of train, validation and test where a folder names no splits; None: 0.6, 0.2, 0.2."""
    labels_per_class: int | None = None
    """Images of each class that keep their label in the training split; None keeps all labels."""
    leaves: LeafPictureConfig = field(default_factory=LeafPictureConfig)
    """The embedded generator's settings."""

    def __post_init__(self) -> None:
        if self.source == EMBEDDED:
            check_drawn("leaves", split_seed=self.split_seed, split_fractions=self.split_fractions)
        if self.labels_per_class is not None and self.labels_per_class < 1:
            raise ValueError(f"labels_per_class is {self.labels_per_class}; it must be 1 or more, or none for all.")

    @property
    def side_px(self) -> int:
        """Side of the square training images."""
        return self.leaves.picture_px if self.source == EMBEDDED else self.image_size_px


def open_leaves(data: LeafData, cache_dir: Path | None, on_progress: Progress | None) -> Splits:
    """The splits with all images of the training split, labelled or not."""
    cache_dir = cache_dir or default_cache_dir()
    if data.source == EMBEDDED:
        unused = of_folders_alone(data, ("image_size_px", "group_pattern"), drawn="leaves")
        return with_findings(leaf_splits(data.leaves, cache_dir, on_progress), unused)
    options = ClassFolderOptions(
        image_size_px=data.image_size_px,
        resize=data.resize,
        group_pattern=data.group_pattern,
        split_seed=data.split_seed,
        fractions=data.split_fractions or FRACTIONS,
    )
    return with_findings(open_class_folder(Path(data.source), options, cache_dir=cache_dir, on_progress=on_progress))


def labelled_part(images: LabelledImages, labels_per_class: int | None = None) -> LabelledImages:
    """Returns the images with a label, at most the first few of each class; copies them unless these are all."""
    rows = np.flatnonzero(images.labels != MISSING)
    if labels_per_class is not None:
        labels, classes = images.labels[rows], range(len(images.class_names))
        rows = np.sort(np.concatenate([rows[labels == label][:labels_per_class] for label in classes]))
    if len(rows) == len(images):
        return images
    return replace(
        images, images=images.images[rows], labels=images.labels[rows], names=tuple(images.names[row] for row in rows)
    )
