"""Drawn fundus photographs of unlimited number, with the two grades that their lesions make. The embedded data.

Both eyes of a patient, much alike in their grades, are in one split. The shares of the grades are about those of the
IDRiD tables, hence far from balanced, and they are the same in every split; training images lack some of their labels,
as hospital records do. The set is built to be learned in minutes, and proves nothing about real eyes.

An image depends on (config, split, index) alone, never on what was drawn before. About 3 ms an image of 64 px.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainable.data.classes.labelled_images import MISSING, LabelledSample, open_labelled, write_labelled
from trainable.data.fundus import grades
from trainable.data.fundus.grades import CLASS_NAMES, TASK_NAMES, GradedSplits
from trainable.data.generated import fundus_drawing
from trainable.data.io.image_cache import cached_folder, drawing_key
from trainable.data.io.splits import SPLIT_NAMES

JOINT_SHARES = np.array([[320, 0, 0], [60, 15, 0], [80, 100, 150], [30, 40, 90], [45, 20, 50]]) / 1000
"""Share of the eyes with each grade of retinopathy (down) and risk of an edema (across)."""
_GRADES_STREAM, _IMAGES_STREAM = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FundusConfig:
    """How many drawn images there are, and how hard they are. The sizes of things follow the image, not the pixel."""

    image_size_px: int = 64
    """Side of the square images, 48 to 1024."""
    num_train: int = 320
    """Eyes to train on, at least 20, so that every class is there."""
    num_validation: int = 160
    """Eyes to compare configurations on, at least 20."""
    num_test: int = 400
    """Eyes that a search never opens, at least 20."""
    lesion_contrast: float = 1.0
    """How strongly lesions are drawn, 0 (nothing to see) to 1."""
    unlabelled_share: float = 0.15
    """Share of the training labels that are missing, of each task for itself, 0 to 0.9."""
    seed: int = 0
    """Another seed is another data set, 0 or more."""

    def __post_init__(self) -> None:
        for name, low, high in (
            ("image_size_px", 48, 1024),
            ("num_train", 20, None),
            ("num_validation", 20, None),
            ("num_test", 20, None),
            ("lesion_contrast", 0, 1),
            ("unlabelled_share", 0, 0.9),
            ("seed", 0, None),
        ):
            value = getattr(self, name)
            if value < low or (high is not None and value > high):
                allowed = f"{low} or more" if high is None else f"from {low} to {high}"
                raise ValueError(f"{name} is {value}; it must be {allowed}.")


def fundus_splits(
    config: FundusConfig, cache_dir: Path, on_progress: Callable[[int, int], None] | None = None
) -> GradedSplits:
    """The three splits of this configuration, drawn once and memory-mapped from then on.

    Args:
        on_progress: called with (images drawn, images in all) while they are drawn.
    """
    counts = (config.num_train, config.num_validation, config.num_test)
    drawn, size_px = itertools.count(1), config.image_size_px

    def tell(sample: LabelledSample) -> LabelledSample:
        if on_progress is not None:
            on_progress(next(drawn), sum(counts))
        return sample

    def build(folder: Path) -> None:
        samples = {
            split: map(tell, _eyes(config, split, stream, count))
            for stream, (split, count) in enumerate(zip(SPLIT_NAMES, counts, strict=True))
        }
        write_labelled(folder, samples, (size_px, size_px), CLASS_NAMES)

    key = drawing_key("fundus", config, __file__, fundus_drawing.__file__, grades.__file__)
    splits = open_labelled(cached_folder(key, cache_dir, build, needed_bytes=3 * sum(counts) * size_px**2))
    return GradedSplits.of(splits, tuple(splits.train.class_counts(task) for task in range(len(TASK_NAMES))))


def grade_counts(count: int) -> NDArray[np.int64]:
    """How many of so many eyes have each grade of retinopathy (down) and risk of an edema (across), shape (5, 3)."""
    wanted = count * JOINT_SHARES.ravel()
    cells = np.floor(wanted).astype(np.int64)
    cells[np.argsort(cells - wanted, kind="stable")[: count - cells.sum()]] += 1
    return cells.reshape(JOINT_SHARES.shape)


def _eyes(config: FundusConfig, split: str, stream: int, count: int) -> Iterator[LabelledSample]:
    rng = np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(_GRADES_STREAM, stream)))
    grades = _grades(rng, count)
    is_missing = rng.random(grades.shape) < (config.unlabelled_share if split == "train" else 0.0)
    labels = np.where(is_missing, MISSING, grades).tolist()
    for index, (retinopathy, edema) in enumerate(grades.tolist()):
        seeds = np.random.SeedSequence(config.seed, spawn_key=(_IMAGES_STREAM, stream, index))
        image = fundus_drawing.draw_fundus(
            np.random.default_rng(seeds),
            config.image_size_px,
            retinopathy=retinopathy,
            edema=edema,
            is_left=index % 2 == 0,
            contrast=config.lesion_contrast,
        )
        name = f"{split}_patient{index // 2:04d}_{'left' if index % 2 == 0 else 'right'}"
        yield LabelledSample(name=name, image=image, label=tuple(labels[index]))


def _grades(rng: np.random.Generator, count: int) -> NDArray[np.int64]:
    """Draws both grades of each eye, shape (count, 2): patients in random order, the two eyes of one adjacent."""
    eyes = np.repeat(np.arange(JOINT_SHARES.size), grade_counts(count).ravel())
    patients = [eyes[start : start + 2] for start in range(0, count, 2)]
    # With an odd count the last patient has one eye, and stays last, so that eyes are counted in pairs.
    mixed = np.concatenate([*(patients[place] for place in rng.permutation(len(patients) - 1)), patients[-1]])
    return np.stack(np.divmod(mixed, JOINT_SHARES.shape[1]), axis=1)
