"""Native masks survive packing, whatever their size."""

import numpy as np

from trainable.data.image_mask.image_mask_set import ImageMaskSet, Sample, open_splits, write_splits


def random_masks(*sizes: tuple[int, int]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 2, size, dtype=np.uint8) for size in sizes]


def test_a_set_of_arrays_gives_its_masks_back_as_native_masks():
    masks = np.stack(random_masks((5, 7), (5, 7), (5, 7)))
    image_set = ImageMaskSet.of_arrays(np.zeros((3, 5, 7, 3), np.uint8), masks, ["a", "b", "c"])
    assert len(image_set) == 3
    for row in range(3):
        np.testing.assert_array_equal(image_set.native_mask(row), masks[row])


def test_a_set_of_no_images_is_legal():
    assert len(ImageMaskSet.of_arrays(np.zeros((0, 5, 7, 3), np.uint8), np.zeros((0, 5, 7), np.uint8), [])) == 0


def test_native_masks_of_different_sizes_come_back_from_disk_to_the_bit(tmp_path):
    natives = random_masks((3, 5), (11, 2), (1, 1), (8, 8))
    samples = [
        Sample(name=str(n), image=np.zeros((4, 4, 3), np.uint8), mask=np.zeros((4, 4), np.uint8), native_mask=native)
        for n, native in enumerate(natives)
    ]
    write_splits(tmp_path, {"train": samples[:2], "validation": samples[2:3], "test": samples[3:]}, (4, 4))
    splits = open_splits(tmp_path)
    np.testing.assert_array_equal(splits.train.native_mask(1), natives[1])
    np.testing.assert_array_equal(splits.validation.native_mask(0), natives[2])
    np.testing.assert_array_equal(splits.test.native_mask(0), natives[3])
