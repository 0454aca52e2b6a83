"""The two grades of a fundus photograph: diabetic retinopathy, and the risk of a macular edema."""

from dataclasses import dataclass
from typing import Self

from trainable.data.io.splits import Splits

TASK_NAMES = ("retinopathy", "edema")
"""In the order of the label columns."""
CLASS_NAMES = (("none", "mild", "moderate", "severe", "proliferative"), ("none", "away", "central"))
"""By the international scale, and by where hard exudates lie: nowhere, or up to or more than a disc's width away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GradedSplits(Splits):
    """Three sets of photographs with their grades, and how often each grade is to be expected."""

    class_counts: tuple[tuple[int, ...], ...]
    """Expected number of each grade of each task, without validation and test."""
    tasks: tuple[str, ...] = TASK_NAMES
    """Those of TASK_NAMES that are graded, in the order of the label columns."""

    @classmethod
    def of(cls, splits: Splits, class_counts: tuple[tuple[int, ...], ...], tasks: tuple[str, ...] = TASK_NAMES) -> Self:
        return cls(
            train=splits.train,
            validation=splits.validation,
            test=splits.test,
            fingerprint=splits.fingerprint,
            findings=splits.findings,
            class_counts=class_counts,
            tasks=tasks,
        )
