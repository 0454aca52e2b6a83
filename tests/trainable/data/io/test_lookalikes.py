"""A picture that was saved again looks the same; another picture does not."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from trainable.data.io.lookalikes import check_lookalikes, signature


def scene(seed):
    """A smooth picture, as a photograph is: uint8 (96, 128, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((128, 96), Image.Resampling.BICUBIC)


def told(names, parts, pictures):
    signatures = [signature(np.asarray(picture)) for picture in pictures]
    return check_lookalikes(list(zip(names, parts, signatures, strict=True)))


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
def test_a_copy_in_another_part_is_told_with_both_names(change):
    train = [scene(seed) for seed in range(20)]
    pictures = [*train, CHANGES[change](train[7])]
    names = [*(f"train/{seed}.jpg" for seed in range(20)), "test/copy.jpg"]
    (warning,) = told(names, ["train"] * 20 + ["test"], pictures)
    assert warning.file == "test/copy.jpg"
    assert warning.problem == "(test) looks the same as train/7.jpg (train)"


def test_other_pictures_copies_within_a_part_and_flat_pictures_are_not_told():
    pictures = [scene(1), scene(1), scene(2), Image.new("RGB", (64, 64)), Image.new("RGB", (64, 64), (90, 90, 90))]
    assert told("abcde", ["train", "train", "test", "train", "test"], pictures) == []
