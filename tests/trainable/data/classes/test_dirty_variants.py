import numpy as np
import pytest

from trainable.data.classes.dirty_variants import DirtyVariantsConfig, with_dirty_variants
from trainable.data.classes.labelled_images import LabelledSample, open_labelled, write_labelled


@pytest.fixture
def splits(tmp_path):
    """Twelve clean and two dirty images to train on, two and one in the other splits."""

    def samples(part, counts):
        for label, count in enumerate(counts):
            for number in range(count):
                name = f"{part}/{('clean', 'dirty')[label]}/plate_{number:02d}.png"
                image = np.random.default_rng([label, number]).integers(150, 255, (32, 32, 3), dtype=np.uint8)
                yield LabelledSample(name=name, image=image, label=label)

    folder = tmp_path / "plates"
    folder.mkdir()
    parts = {"train": (12, 2), "validation": (2, 1), "test": (2, 1)}
    written = {part: samples(part, counts) for part, counts in parts.items()}
    write_labelled(folder, written, (32, 32), ("clean", "dirty"))
    return open_labelled(folder)


def test_variants_fill_the_training_split_up_to_the_ratio_and_no_other_split(splits, tmp_path):
    more = with_dirty_variants(splits, DirtyVariantsConfig(clean_per_dirty=2.0), tmp_path)
    assert more.train.class_counts() == (12, 6)
    assert (
        "12 clean and 6 dirty images, 2.00 to 1 where 2 was asked for; 4 are drawn variants"
        in more.findings[-1].problem
    )
    for part in ("validation", "test"):
        assert getattr(more, part).names == getattr(splits, part).names
        assert np.array_equal(getattr(more, part).images, getattr(splits, part).images)


def test_what_was_reached_is_reported_when_the_ratio_is_out_of_reach(splits, tmp_path):
    config = DirtyVariantsConfig(clean_per_dirty=0.1, variations_per_image=1)
    more = with_dirty_variants(splits, config, tmp_path)
    assert more.train.class_counts() == (12, 14)
    assert "0.86 to 1 where 0.1 was asked for" in more.findings[-1].problem


def test_every_variant_has_a_parent_in_the_training_split_and_differs_from_it(splits, tmp_path):
    more = with_dirty_variants(splits, DirtyVariantsConfig(clean_per_dirty=0.5), tmp_path)
    parents = {
        name.removesuffix(".png"): image for name, image in zip(splits.train.names, splits.train.images, strict=True)
    }
    variants = list(zip(more.train.names, more.train.images, strict=True))[len(splits.train) :]
    assert len(variants) == 22
    for name, image in variants:
        assert not np.array_equal(parents[name.split("_dirty_")[0]], image)
    assert len({name.split("_dirty_")[0] for name, _ in variants[:12]}) == 12


def test_kinds_of_dirt_come_in_their_shares(splits, tmp_path):
    config = DirtyVariantsConfig(
        clean_per_dirty=0.02, variations_per_image=40, light_share=0.0, medium_share=0.7, heavy_share=0.3
    )
    more = with_dirty_variants(splits, config, tmp_path)
    kinds = [name.split("_dirty_")[1].split("_")[0] for name in more.train.names[len(splits.train) :]]
    assert kinds.count("light") == 0
    assert kinds.count("medium") / len(kinds) == pytest.approx(0.7, abs=0.07)
    assert (
        f"({kinds.count('light')} light, {kinds.count('medium')} medium, {kinds.count('heavy')} heavy)"
        in more.findings[-1].problem
    )


def test_the_same_variants_are_drawn_again(splits, tmp_path):
    config = DirtyVariantsConfig()
    first = with_dirty_variants(splits, config, tmp_path / "one")
    second = with_dirty_variants(splits, config, tmp_path / "two")
    assert first.fingerprint == second.fingerprint


def test_other_classes_are_refused_with_a_way_out(splits, tmp_path):
    folder = tmp_path / "leaves"
    folder.mkdir()
    image = np.zeros((32, 32, 3), np.uint8)
    write_labelled(
        folder,
        {part: [LabelledSample(name="a", image=image, label=0)] for part in ("train", "validation", "test")},
        (32, 32),
        ("blast", "blight"),
    )
    with pytest.raises(ValueError, match="classes are blast, blight; rename the folders, or set dirty_variants=false"):
        with_dirty_variants(open_labelled(folder), DirtyVariantsConfig(), tmp_path)


@pytest.mark.parametrize("bad", [{"clean_per_dirty": 0}, {"variations_per_image": 0}, {"light_share": 0.5}])
def test_impossible_variants_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        DirtyVariantsConfig(**bad)
