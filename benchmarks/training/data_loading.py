"""Images per second into the training step, 352 x 352 from JPEG, and the memory of a second trial on the node."""

import multiprocessing
import re
import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.claims import OURS, Claim, sides_of
from benchmarks.harness import Measure, Size, Spread, interleaved, ratios, seconds_of
from trainable.data.image_mask.batches import TrainingBatches
from trainable.data.image_mask.folder import open_image_masks
from trainable.data.image_mask.folder_source import FolderOptions
from trainable.data.image_mask.image_mask_set import ImageMaskSet, open_splits

BATCH = 16
TIMES_AS_MANY = 20
MAX_SHARED_MB = 1.0
DECODING = "DataLoader, 2 workers that decode and resize"
CPU = torch.device("cpu")
_KEPT: list[TrainingBatches] = []
"""The data that this process has opened, for the second measurement."""


class DecodedFiles(Dataset):
    """Decodes and resizes a pair of files each time it is asked for."""

    def __init__(self, folder: Path, side: int) -> None:
        self._images, self._masks = (sorted((folder / name).iterdir()) for name in ("Imgs", "GT"))
        self._side = side

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = (
            Image.open(self._images[index]).convert("RGB").resize((self._side, self._side), Image.Resampling.BILINEAR)
        )
        mask = Image.open(self._masks[index]).resize((self._side, self._side), Image.Resampling.NEAREST)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div_(255.0)
        return pixels, torch.from_numpy(np.array(mask)).unsqueeze(0).float().div_(255.0)


def measure(size: Size) -> list[Claim]:
    """The rate from the second epoch on, and the memory of a second process that reads the same data."""
    side, count = size.pick(352, 32), size.pick(160, 20)
    with tempfile.TemporaryDirectory() as name:
        folder, cache = Path(name) / "data", Path(name) / "cache"
        _write_photographs(folder, count=count, height=size.pick(768, 48))
        data = open_image_masks(folder, FolderOptions(image_size=(side, side)), cache_dir=cache)
        # Measured before this process reads a page of the data, which would count as a third trial's.
        memory = _memory(cache, size)
        return [_rate(folder, data.train, side, size), memory]


def _rate(folder: Path, data: ImageMaskSet, side: int, size: Size) -> Claim:
    batches = TrainingBatches(data, batch_size=BATCH, seed=0, device=CPU)
    files = DecodedFiles(folder, side)
    loader = DataLoader(files, batch_size=BATCH, shuffle=True, num_workers=2, persistent_workers=True)
    sides = {DECODING: _seconds_an_image(loader, len(files)), OURS: _seconds_an_image(batches, len(data))}
    numbers = interleaved(sides, rounds=size.rounds)
    rates = {name: [1 / seconds for seconds in own] for name, own in numbers.items()}
    times = Spread.of(ratios(rates[OURS], rates[DECODING])).median
    return Claim(
        number=2,
        work=f"images of {side} px into the step from JPEG of 1024x768, from the second epoch on",
        unit="images/s",
        sides=sides_of(rates),
        reference=DECODING,
        target=f"{TIMES_AS_MANY} times as many",
        finding=f"{times:.1f} times as many",
        reached=times >= TIMES_AS_MANY,
    )


def _seconds_an_image(batches: Iterable, count: int) -> Measure:
    epoch = seconds_of(lambda: [None for _ in batches])
    return lambda: epoch() / count


def _memory(cache: Path, size: Size) -> Claim:
    """Read by one process, then by two at once: shared pages count by halves."""
    [folder] = [path for path in cache.iterdir() if path.is_dir() and (path / "images.u8").exists()]
    rounds = [_data_mb(folder) for _ in range(size.rounds)]
    alone, together = ([pair[number] for pair in rounds] for number in (0, 1))
    added = Spread.of([both - one for one, both in rounds]).median
    return Claim(
        number=2,
        work="memory of the decoded data",
        unit="MB (PSS)",
        sides=sides_of({"one trial": alone, "two trials": together}),
        reference="one trial",
        target="a second trial adds none",
        finding=f"a second trial adds {added:.2f} MB to {Spread.of(alone).median:.0f} MB",
        reached=added < MAX_SHARED_MB,
    )


def _data_mb(folder: Path) -> tuple[float, float]:
    """The data of one process that has read everything, and the sum of two."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as first:
        alone = first.apply(partial(_mapped_mb, folder))
        with context.Pool(1) as second:
            other = second.apply(partial(_mapped_mb, folder))
            return alone, other + first.apply(partial(_mapped_mb, folder))


def _mapped_mb(folder: Path) -> float:
    """Reads an epoch; returns this process's proportional share of the cache's pages."""
    if not _KEPT:
        _KEPT.append(TrainingBatches(open_splits(folder).train, batch_size=BATCH, seed=0, device=CPU))
    for _ in _KEPT[0]:
        pass
    sections = Path("/proc/self/smaps").read_text().split("VmFlags")
    shares = [int(re.findall(r"\nPss: +(\d+) kB", part)[0]) for part in sections if f"{folder}/" in part]
    return sum(shares) / 1024


def _write_photographs(folder: Path, *, count: int, height: int) -> None:
    """Smooth noise with a little grain, which compresses about as photographs do, and a mask each."""
    rng = np.random.default_rng(0)
    size = (height * 4 // 3, height)
    for name in ("Imgs", "GT"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
        grain = np.clip(np.asarray(coarse, np.int16) + rng.integers(-12, 13, (*size[::-1], 3)), 0, 255)
        Image.fromarray(grain.astype(np.uint8)).save(folder / "Imgs" / f"photo_{number:03d}.jpg", quality=90)
        mask = np.zeros(size[::-1], np.uint8)
        mask[height // 4 : height // 2, height // 4 : height // 2 + number] = 255
        Image.fromarray(mask).save(folder / "GT" / f"photo_{number:03d}.png")
