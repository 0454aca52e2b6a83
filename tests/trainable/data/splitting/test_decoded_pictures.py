"""Pictures wait on disk, not in memory, and come back as they were."""

import tracemalloc

import numpy as np
from PIL import Image

from trainable.data.image_mask.folder import open_image_masks
from trainable.data.image_mask.folder_source import FolderOptions
from trainable.data.io import files
from trainable.data.io.findings import Finding
from trainable.data.splitting.decoded_pictures import array_file, decode_pictures


def test_arrays_of_any_shape_come_back_and_nothing_is_left_in_the_folder(tmp_path):
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((3, 4, 3), (7,), (1, 1), (5, 2))]
    with array_file(tmp_path) as file:
        stored = [file.append(array) for array in arrays]
        for array, place in reversed(list(zip(arrays, stored, strict=True))):
            np.testing.assert_array_equal(file.read(place), array)
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_cannot_be_read_keeps_its_row_and_looks_like_none(tmp_path):
    def decode(row):
        picture = np.random.default_rng(row).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        return Finding(file="b.png", problem="is damaged", action="") if row == 1 else picture

    with array_file(tmp_path) as file:
        places, looks = decode_pictures(decode, range(3), lambda: None, file, num_pixels=lambda _: 1)
        assert [isinstance(place, Finding) for place in places] == [False, True, False]
        np.testing.assert_array_equal(file.read(places[2]), decode(2))
    assert looks.any(axis=1).tolist() == [True, False, True]


def peak_bytes(root, num_pairs):
    """Peak memory of opening so many pairs, whose masks are 32 kB each at a bit a pixel."""
    rng = np.random.default_rng(0)
    for folder in ("Imgs", "GT"):
        (root / folder).mkdir(parents=True)
    for number in range(num_pairs):
        picture = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(picture).resize((512, 512)).save(root / "Imgs" / f"{number}.png")
        mask = np.where(rng.random((512, 512)) < 0.2, np.uint8(255), np.uint8(0))
        mask[[0, -1]] = mask[:, [0, -1]] = 0
        Image.fromarray(mask).save(root / "GT" / f"{number}.png", compress_level=1)
    tracemalloc.start()
    try:
        open_image_masks(root, FolderOptions(long_side_px=32), cache_dir=root / "cache")
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_another_pair_takes_no_memory_for_its_pixels(tmp_path, monkeypatch):
    # One picture at a time: how many are decoded at once differs from run to run.
    monkeypatch.setattr(files, "MOST_PIXELS_WAITING", 1)
    few, many = (peak_bytes(tmp_path / str(number), number) for number in (5, 20))
    assert (many - few) / 15 < 8_000
