"""One epoch of the embedded scenes on one core: the whole loop beside a bare one over the same batches.

The bare loop has the same network, loss, optimizer and accumulation; it checks nothing, logs nothing and has no
technique. Ours is measured with techniques off, except for the watch over the experts, and as the workload is by
default: with clipping, z-loss, balanced experts and augmentation.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.claims import OURS, Claim, sides_of
from benchmarks.harness import Measure, Size, Spread, interleaved, ratios, seconds_of
from trainable.build_trainer import build_network
from trainable.data.generated.camouflage_scenes import SceneConfig
from trainable.data.io.splits import Splits
from trainable.losses.segmentation import deep_supervision
from trainable.tasks.moe import MoeConfig, MoeTask
from trainable.techniques.optim.optimizer import build_optimizer
from trainable.training_run import TrainingRun

BARE, BY_DEFAULT = "bare loop", "ours, the default techniques"
MAX_TIMES = 1.1
TASK = MoeTask()
CPU = torch.device("cpu")


def measure(size: Size) -> list[Claim]:
    default = TASK.default_config()
    if size.is_tiny:
        scenes = SceneConfig(image_size_px=48, num_train=4, num_validation=1, num_test=1)
        model = replace(default.model, pyramid_channels=8)
        default = replace(default, batch_size=2, data=replace(default.data, scenes=scenes), model=model)
    loss = replace(default.loss, z_loss_weight=0.0)
    plain = replace(default, augmentation=None, load_balance=None, collapse=None, max_grad_norm=None, loss=loss)
    with tempfile.TemporaryDirectory() as folder:
        splits = TASK.open_data(default, cache_dir=Path(folder))
        sides = {BARE: _bare(plain, splits), OURS: _ours(plain, splits), BY_DEFAULT: _ours(default, splits)}
        numbers = interleaved(sides, rounds=size.rounds)
    times, by_default = (Spread.of(ratios(numbers[name], numbers[BARE])).median for name in (OURS, BY_DEFAULT))
    return [
        Claim(
            number=1,
            work=f"an epoch of the embedded scenes, {len(splits.train)} images, one core, techniques off",
            unit="s",
            sides=sides_of(numbers),
            reference=BARE,
            target=f"at most {MAX_TIMES} times a bare loop",
            finding=f"{times:.2f} times a bare loop, {by_default:.2f} with the default techniques",
            reached=times <= MAX_TIMES,
        )
    ]


def _ours(config: MoeConfig, splits: Splits) -> Measure:
    trainer = TrainingRun(config, splits).trainer
    batches = TASK.training_batches(config, splits.train, CPU)
    return seconds_of(lambda: trainer.train_epoch(batches, 0, accumulation_steps=config.accumulation_steps))


def _bare(config: MoeConfig, splits: Splits) -> Measure:
    network = build_network(TASK, config)
    optimizer = build_optimizer(network, config.optimizer)
    criterion, aux_weight = config.loss.build(), config.loss.aux_weight
    batches = TASK.training_batches(config, splits.train, CPU)

    def train() -> None:
        network.train()
        for number, (images, masks) in enumerate(batches, start=1):
            loss = deep_supervision(network(images), masks, criterion, aux_weight).total
            (loss / config.accumulation_steps).backward()
            if number % config.accumulation_steps == 0 or number == len(batches):
                optimizer.step()
                optimizer.zero_grad()

    return seconds_of(train)
