"""The share of a validation pass with all metrics in an epoch, on the embedded scenes and at 352 x 352."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.claims import OURS, Claim, sides_of
from benchmarks.harness import Size, Spread, interleaved, ratios, seconds_of
from trainable.data.image_mask.image_mask_set import ImageMaskSet
from trainable.data.io.splits import Splits
from trainable.tasks.moe import MoeConfig
from trainable.tasks.registry import get_task
from trainable.training_run import TrainingRun

MAX_SHARE = 0.10
TRAINING, FORWARD = "training pass", "validation's forward pass alone"


def measure(size: Size) -> list[Claim]:
    """The default configuration on both; at 352 x 352 with as many images for training as the split gives."""
    task = get_task("moe")
    config = task.default_config()
    if size.is_tiny:
        config = replace(config, model=replace(config.model, pyramid_channels=8))
        return [_claim("tiny images", config, _splits(32, train=8, validation=4), size)]
    with tempfile.TemporaryDirectory() as folder:
        embedded = task.open_data(config, cache_dir=Path(folder))
        return [
            _claim("the embedded scenes", config, embedded, size),
            _claim("images of 352 px", config, _splits(352, train=48, validation=16), size),
        ]


def _claim(where: str, config: MoeConfig, splits: Splits, size: Size) -> Claim:
    run = TrainingRun(config, splits)
    batches = run.task.evaluation_batches(config, splits.validation, run.device)

    def validate() -> None:
        run.trainer.evaluate(batches, metrics=run.task.build_metrics(config, final=False))

    def train() -> None:
        batches = run.task.training_batches(config, splits.train, run.device)
        run.trainer.train_epoch(batches, 0, log_interval=0, accumulation_steps=config.accumulation_steps)

    @torch.no_grad()
    def forward() -> None:
        run.trainer.model.eval()
        for images, _ in batches:
            run.trainer.model(images)

    works = {TRAINING: train, OURS: validate, FORWARD: forward}
    numbers = interleaved({name: seconds_of(work) for name, work in works.items()}, rounds=size.rounds)
    epochs = [training + validation for training, validation in zip(numbers[TRAINING], numbers[OURS], strict=True)]
    share = Spread.of(ratios(numbers[OURS], epochs)).median
    bare = Spread.of(ratios(numbers[FORWARD], epochs)).median
    return Claim(
        number=7,
        work=f"validation with all metrics, {where}, {len(splits.train)} + {len(splits.validation)} images",
        unit="s",
        sides=sides_of(numbers),
        reference=TRAINING,
        target=f"below {MAX_SHARE:.0%} of the epoch",
        finding=f"{share:.1%} of the epoch, {bare:.1%} of it for the forward pass alone",
        reached=share < MAX_SHARE,
    )


def _splits(side: int, *, train: int, validation: int) -> Splits:
    rng = np.random.default_rng(0)
    own, other = _set(rng, side, train), _set(rng, side, validation)
    return Splits(train=own, validation=other, test=other, fingerprint={})


def _set(rng: np.random.Generator, side: int, count: int) -> ImageMaskSet:
    images = rng.integers(0, 256, (count, side, side, 3), np.uint8)
    masks = np.zeros((count, side, side), np.uint8)
    masks[:, side // 4 : side // 2, side // 4 : side // 2] = 1
    return ImageMaskSet.of_arrays(images, masks, [f"image_{number}" for number in range(count)])
