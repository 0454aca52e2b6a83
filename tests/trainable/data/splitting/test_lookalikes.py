"""A picture that was saved again looks the same; another picture does not."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy.sparse.csgraph import connected_components

from trainable.data.splitting.lookalikes import check_lookalikes, keep_alike_together, signature


def scene(seed):
    """A smooth picture, as a photograph is: uint8 (96, 128, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((128, 96), Image.Resampling.BICUBIC)


def reported(names, parts, pictures):
    signatures = [signature(np.asarray(picture)) for picture in pictures]
    return check_lookalikes(names, parts, np.array(signatures))


def saved_again(image, quality=60):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


CHANGES = {
    "compressed": saved_again,
    "smaller": lambda image: image.resize((64, 48)),
    "brighter": lambda image: image.point(lambda level: min(255, round(0.9 * level + 20))),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(1)),
    "grey": lambda image: image.convert("L").convert("RGB"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_in_another_split_is_reported_with_both_names(change):
    train = [scene(seed) for seed in range(20)]
    pictures = [*train, CHANGES[change](train[7])]
    names = [*(f"train/{seed}.jpg" for seed in range(20)), "test/copy.jpg"]
    (warning,) = reported(names, ["train"] * 20 + ["test"], pictures)
    assert warning.file == "test/copy.jpg"
    assert warning.problem == "(test) looks the same as train/7.jpg (train)"


def test_other_pictures_copies_within_a_split_and_flat_pictures_are_not_reported():
    pictures = [scene(1), scene(1), scene(2), Image.new("RGB", (64, 64)), Image.new("RGB", (64, 64), (90, 90, 90))]
    assert reported("abcde", ["train", "train", "test", "train", "test"], pictures) == []


def test_what_looks_the_same_joins_one_group_also_by_way_of_a_third():
    """One row of the table for each picture: a and b differ in 12 bits, b and c in 12 others, d looks like none."""
    looks = np.random.default_rng(0).integers(0, 2**63, (4, 4)).astype(np.uint64)
    looks[1] = looks[0] ^ np.array([0xFFF, 0, 0, 0], np.uint64)
    looks[2] = looks[1] ^ np.array([0, 0xFFF, 0, 0], np.uint64)
    groups, (warning,) = keep_alike_together(["a.jpg", "b.jpg", "c.jpg", "d.jpg"], ["a", "b", "c", "d"], looks)
    assert groups == ["a", "a", "a", "d"]
    assert warning.problem == "2 look the same as another: b.jpg as a.jpg, c.jpg as b.jpg"


def test_one_group_is_not_reported_as_alike_and_flat_pictures_join_nothing():
    looks = np.array([[5, 0, 0, 0], [5, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], np.uint64)
    assert keep_alike_together("abcd", ["x", "x", "c", "d"], looks) == (["x", "x", "c", "d"], [])


def test_the_joined_groups_are_the_connected_ones_of_all_that_look_the_same():
    """An independent search for connected rows, on frames that drift by some bits from one to the next."""
    rng = np.random.default_rng(1)
    bits = np.cumsum(rng.random((60, 256)) < 0.03, axis=0) % 2
    bits[rng.random(60) < 0.3] ^= rng.integers(0, 2, 256)
    groups = [f"g{number % 25:02d}" for number in range(60)]
    near = (bits[:, None] != bits[None]).sum(axis=2) <= 16
    same = near | np.array([[one == other for one in groups] for other in groups])
    _, expected = connected_components(same)
    joined, _ = keep_alike_together(groups, groups, np.packbits(bits.astype(bool), axis=1).view(np.uint64))
    assert len(set(joined)) == len(set(expected)) > 1
    assert len(set(zip(joined, expected.tolist(), strict=True))) == len(set(joined))
