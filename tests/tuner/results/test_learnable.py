"""Each workload reports a data set that can't be learned from, and only such a set.

Real trainings of seconds on arrays that this file draws, recorded as a search does.
"""

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from tests.tuner.conftest import record_training, recorded_settings
from trainable.config import from_params, to_dict
from trainable.data.classes.labelled_images import MISSING, LabelledImages
from trainable.data.classes.probe_set import ProbeSet
from trainable.data.crowns.crown_set import Crown, Tile, open_tiles, write_tiles
from trainable.data.fundus.grades import CLASS_NAMES, GradedSplits
from trainable.data.image_mask.image_mask_set import ImageMaskSet
from trainable.data.io.splits import Splits
from trainable.tasks.registry import get_task
from tuner.records import Recorder, read_search
from tuner.records.trivial import TrivialScore
from tuner.results.above_trivial import warning_of_nothing_learned

SIDE_PX = 48
PLAIN = {"num_experts": 1, "top_k": 1, "load_balance": False, "collapse": False, "augmentation": False}


@pytest.fixture
def headline_of(tmp_path):
    """The headline of a search of one trial on these splits; None where something was learned."""

    def train(name, splits, *, epochs, **params):
        task = get_task(name)
        default = task.adapt_to_data(task.default_config(), splits)
        base = from_params(params | {"max_epochs": epochs, "warmup_fraction": 0.1}, default)
        settings = recorded_settings(
            space=name, objective=task.objective, mode=task.mode, max_epochs=epochs, rung_epochs=(), num_trials=1,
            base_config=to_dict(base), scheduler="none",
        )  # fmt: skip
        with closing(Recorder.create(tmp_path / name, settings)) as recorder:
            recorder.open_session()
            record_training(recorder, splits, base, number=0, params={}, num_epochs=epochs)
            recorder.close_session()
        search = read_search(tmp_path / name)
        floor = task.trivial_floor(base, splits, "validation")
        scores = {"validation": TrivialScore(**floor._asdict())}
        return warning_of_nothing_learned(search, search.leader, [], scores)

    return train


def is_reported(headline):
    return headline is not None and headline.startswith("It is not certain that anything was learned: trial 000-")


def noise(count, seed):
    return np.random.default_rng(seed).integers(60, 120, size=(count, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)


def thirds(count, seed, make):
    return Splits(**{split: make(count, seed + at) for at, split in enumerate(("train", "validation", "test"))},
                  fingerprint={"all": "0"})  # fmt: skip


def labelled(count, seed, *, names, is_shuffled, labels_of=lambda classes: classes):
    """Images whose class is the half that is bright, or has nothing to do with it."""
    rng = np.random.default_rng(seed)
    shown = np.arange(count) % 2
    images = noise(count, seed)
    images[shown == 0, :, : SIDE_PX // 2] += 100
    images[shown == 1, :, SIDE_PX // 2 :] += 100
    classes = rng.permutation(shown) if is_shuffled else shown
    return LabelledImages(
        images=images, labels=labels_of(classes), names=tuple(f"{seed}-{n}" for n in range(count)), class_names=names
    )


@pytest.mark.parametrize("name", ["dishes", "leaf"])
@pytest.mark.parametrize("is_shuffled", [False, True], ids=["labels", "shuffled labels"])
def test_classes(headline_of, name, is_shuffled):
    splits = thirds(64, 1, lambda *own: labelled(*own, names=("left", "right"), is_shuffled=is_shuffled))
    headline = headline_of(name, splits, epochs=6, batch_size=16, max_lr=3e-3, augmentation=False)
    assert is_reported(headline) == is_shuffled


@pytest.mark.parametrize("is_shuffled", [False, True], ids=["grades", "shuffled grades"])
def test_grades(headline_of, is_shuffled):
    names = CLASS_NAMES[0]

    def make(count, seed):
        return labelled(
            count, seed, names=(names,), is_shuffled=is_shuffled, labels_of=lambda classes: (3 * classes)[:, None]
        )

    splits = thirds(64, 1, make)
    graded = GradedSplits.of(splits, (splits.train.class_counts(0),), ("retinopathy",))
    headline = headline_of("retina", graded, epochs=6, batch_size=16, max_lr=3e-3, augmentation=False)
    assert is_reported(headline) == is_shuffled


@pytest.mark.parametrize("is_noise", [False, True], ids=["masks", "masks of noise"])
def test_masks(headline_of, is_noise):
    def make(count, seed):
        rng, images = np.random.default_rng(seed), noise(count, seed)
        masks = np.zeros(images.shape[:3], np.uint8)
        for mask, (top, left) in zip(masks, rng.integers(0, SIDE_PX - 16, size=(count, 2)), strict=True):
            mask[top : top + 16, left : left + 16] = 1
        images[masks == 1] += 100
        if is_noise:
            masks = (rng.random(masks.shape) < 0.1).astype(np.uint8)
        return ImageMaskSet.of_arrays(images, masks, [f"{seed}-{n}" for n in range(count)])

    splits = thirds(32, 1, make)
    headline = headline_of("moe", splits, epochs=6, batch_size=8, max_lr=1e-2, **PLAIN)
    assert is_reported(headline) == is_noise


@pytest.mark.slow
@pytest.mark.parametrize("is_shuffled", [False, True], ids=["crowns", "crowns of other images"])
def test_crowns(headline_of, tmp_path, is_shuffled):
    def tiles(seed):
        rng = np.random.default_rng(seed)
        for number, image in enumerate(rng.integers(20, 60, size=(32, 64, 64, 3), dtype=np.uint8)):
            top, left = rng.integers(0, 64 - 20, size=2).tolist()
            image[top : top + 20, left : left + 20] += 150
            crown = Crown(label=1, box=(left, top, left + 20, top + 20), mask=np.ones((20, 20), bool))
            yield Tile(name=f"{seed}-{number}", image=image, crowns=(crown,), semantic=None)

    place = tmp_path / "tiles"
    place.mkdir()
    parts = {split: tiles(seed) for seed, split in enumerate(("train", "validation", "test"))}
    write_tiles(place, parts, kinds=("tree",), semantic_classes=())
    splits = open_tiles(place)
    if is_shuffled:
        order = np.random.default_rng(0).permutation(32)
        splits = replace(splits, **{name: others(getattr(splits, name), order) for name in ("train", "validation")})
    headline = headline_of("agroforestry", splits, epochs=6, batch_size=4, max_lr=3e-3, max_detections=3)
    assert is_reported(headline) == is_shuffled


def others(tiles, order):
    """The same annotations on images in another order."""
    return replace(tiles, images=tiles.images[order])


@pytest.mark.parametrize("is_shuffled", [False, True], ids=["labels", "shuffled labels"])
def test_pre_training_of_leaves(headline_of, is_shuffled):
    parts = thirds(64, 1, lambda *own: labelled(*own, names=("left", "right"), is_shuffled=is_shuffled))
    probes = {name: ProbeSet(bank=parts.train, queries=getattr(parts, name)) for name in ("validation", "test")}
    headline = headline_of("leaf_pretrain", replace(parts, **probes), epochs=2, batch_size=32)
    assert is_reported(headline) == is_shuffled


@pytest.mark.parametrize("is_one_picture", [False, True], ids=["pictures", "one picture over and over"])
def test_pre_training_of_pictures(headline_of, is_one_picture):
    def make(count, seed):
        rng = np.random.default_rng(seed)
        coarse = rng.integers(0, 255, size=(count, 4, 4, 3), dtype=np.uint8)
        images = coarse.repeat(SIDE_PX // 4, axis=1).repeat(SIDE_PX // 4, axis=2)
        if is_one_picture:
            images[:] = images[:1]
        labels, names = np.full(count, MISSING), tuple(f"{seed}-{n}" for n in range(count))
        return LabelledImages(images=images, labels=labels, names=names, class_names=("picture",))

    headline = headline_of("moe_pretrain", thirds(48, 1, make), epochs=10, batch_size=16)
    assert is_reported(headline) == is_one_picture
