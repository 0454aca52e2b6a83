"""A folder becomes three sets, once; the second time nothing is decoded or hashed."""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainable.data.image_mask.folder import open_image_masks
from trainable.data.image_mask.folder_source import FolderOptions
from trainable.data.io import files
from trainable.data.io.findings import DataError, Severity
from trainable.data.io.splits import SPLIT_NAMES

REAL_DATA = Path(__file__).resolve().parents[5] / "shared" / "data"


def open_pairs(root, cache, *, on_progress=None, **options):
    return open_image_masks(root, FolderOptions(**options), cache_dir=cache, on_progress=on_progress)


@pytest.fixture
def real_data() -> Path:
    if not REAL_DATA.is_dir():
        pytest.skip("the shared real data is not beside this checkout")
    return REAL_DATA


@pytest.fixture
def folder(tmp_path, write_pairs) -> Path:
    write_pairs(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def no_decoding(monkeypatch):
    """From the moment it is called, opening a picture fails the test."""

    def forbid() -> None:
        monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("a picture was decoded"))

    return forbid


def test_all_pairs_arrive_in_three_disjoint_sets(folder, cache):
    splits = open_pairs(folder, cache)
    names = [set(getattr(splits, split).names) for split in SPLIT_NAMES]
    assert [len(part) for part in names] == [6, 2, 2]
    assert set.union(*names) == {f"img_{number:03d}" for number in range(10)}


def test_each_image_keeps_its_own_mask_in_every_split(folder, cache):
    splits = open_pairs(folder, cache, image_size=(32, 48))
    for split in SPLIT_NAMES:
        part = getattr(splits, split)
        for row, name in enumerate(part.names):
            stored = np.asarray(Image.open(folder / "Imgs" / f"{name}.png"))
            mask = np.asarray(Image.open(folder / "GT" / f"{name}.png")) // 255
            np.testing.assert_array_equal(part.images[row], stored)
            np.testing.assert_array_equal(part.masks[row], mask)
            np.testing.assert_array_equal(part.native_mask(row), mask)


def test_native_masks_keep_the_files_own_resolution(folder, cache):
    splits = open_pairs(folder, cache, image_size=(16, 16))
    assert splits.train.masks.shape == (6, 16, 16)
    assert splits.train.native_mask(0).shape == (32, 48)


def test_another_split_seed_trains_on_other_images_of_the_same_folder(folder, cache):
    first, again, other = (open_pairs(folder, cache, split_seed=seed) for seed in (0, 0, 1))
    assert first.fingerprint == again.fingerprint
    assert first.fingerprint["test"] != other.fingerprint["test"]
    assert sorted(first.train.names + first.validation.names + first.test.names) == sorted(
        other.train.names + other.validation.names + other.test.names
    )


def test_a_second_opening_decodes_and_hashes_nothing(folder, cache, no_decoding, monkeypatch):
    first = open_pairs(folder, cache)
    no_decoding()
    monkeypatch.setattr(files.hashlib, "file_digest", lambda *_: pytest.fail("a file was hashed"))
    second = open_pairs(folder, cache, on_progress=lambda *_: pytest.fail("work was done"))
    assert second.fingerprint == first.fingerprint
    assert second.findings == first.findings
    np.testing.assert_array_equal(second.test.images, first.test.images)


def test_the_same_files_elsewhere_are_not_decoded_again(folder, cache, no_decoding, tmp_path):
    first = open_pairs(folder, cache)
    shutil.copytree(folder, tmp_path / "moved")
    no_decoding()
    assert open_pairs(tmp_path / "moved", cache).fingerprint == first.fingerprint


def test_a_file_rewritten_with_its_old_size_and_time_is_noticed(folder, cache):
    path = folder / "Imgs" / "img_003.bmp"
    (folder / "Imgs" / "img_003.png").unlink()
    Image.new("RGB", (48, 32), (10, 20, 30)).save(path)
    before = open_pairs(folder, cache).fingerprint
    times = path.stat()
    Image.new("RGB", (48, 32), (11, 20, 30)).save(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    after = open_pairs(folder, cache).fingerprint
    assert before["all"] != after["all"]
    assert sum(before[split] != after[split] for split in SPLIT_NAMES) == 1


def test_damaged_memory_of_hashes_is_forgotten(folder, cache):
    first = open_pairs(folder, cache)
    (memory,) = (cache / "file_hashes").iterdir()
    memory.write_text("{half")
    assert open_pairs(folder, cache).fingerprint == first.fingerprint


def test_progress_counts_every_file_once_up_to_the_total(folder, cache):
    calls = []
    open_pairs(folder, cache, on_progress=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 20) for done in range(1, 21)]


def test_the_fingerprint_does_not_depend_on_the_machine_or_the_image_size(folder, cache, tmp_path):
    one = open_pairs(folder, cache).fingerprint
    assert open_pairs(folder, tmp_path / "other", image_size=(16, 16)).fingerprint == one


def test_inverted_masks_are_flipped_when_told(folder, cache, tmp_path):
    inverted = tmp_path / "inverted"
    shutil.copytree(folder, inverted)
    for path in (inverted / "GT").iterdir():
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    plain = open_pairs(folder, cache)
    flipped = open_pairs(inverted, cache, inverted_masks=True)
    assert flipped.train.names == plain.train.names
    np.testing.assert_array_equal(flipped.train.masks, plain.train.masks)
    assert flipped.fingerprint["all"] != plain.fingerprint["all"]


def save_masks_in_colours(folder):
    """A leaf of green with a red spot of 6 x 6 pixels: RGB, but for one mask with a palette."""
    for number in range(10):
        values = np.zeros((32, 48, 3), np.uint8)
        values[4:28, 4:40] = (0, 176, 0)
        values[8:14, 8 + number : 14 + number] = (255, 0, 0)
        mask = Image.fromarray(values)
        mask = mask.convert("P", palette=Image.Palette.ADAPTIVE, colors=4) if number == 3 else mask
        mask.save(folder / "GT" / f"img_{number:03d}.png")


def test_colours_are_read_as_the_object_where_they_are_said_to_be(folder, cache):
    save_masks_in_colours(folder)
    with pytest.raises(DataError, match=r"--set foreground_values='\[\"255/0/0\"\]'"):
        open_pairs(folder, cache)
    opened = open_pairs(folder, cache, foreground_values=("255/0/0",))
    for part in (opened.train, opened.validation, opened.test):
        for row in range(len(part)):
            assert part.native_mask(row).sum() == 36
    both = open_pairs(folder, cache, foreground_values=("255/0/0", "0/176/0"))
    assert both.train.native_mask(0).sum() == 24 * 36
    assert both.fingerprint != opened.fingerprint
    assert "10 of 10 masks hold 255/0/0" in [finding.problem for finding in opened.findings]


def test_levels_are_read_as_the_object_where_they_are_said_to_be(folder, cache):
    for path in (folder / "GT").iterdir():
        values = np.zeros((32, 48), np.uint8)
        values[4:10, 4:10], values[20:24, 20:24] = 1, 255
        Image.fromarray(values).save(path)
    with pytest.raises(DataError, match="more than two classes, or void"):
        open_pairs(folder, cache)
    assert open_pairs(folder, cache, foreground_values=("1",)).train.native_mask(0).sum() == 36


def test_values_that_no_mask_holds_or_that_are_none_are_refused(folder, cache):
    with pytest.raises(DataError, match="0 of 10 masks hold 254"):
        open_pairs(folder, cache, foreground_values=("254",))
    for value in ("red", "1/2", "256", "-1", "1/2/3/4"):
        with pytest.raises(ValueError, match="foreground_values holds"):
            open_pairs(folder, cache, foreground_values=(value,))
    with pytest.raises(ValueError, match="not both"):
        FolderOptions(foreground_values=("255",), inverted_masks=True)


def test_a_mask_that_exif_turns_alone_is_reported(folder, cache):
    exif = Image.Exif()
    exif[0x0112] = 3
    mask = folder / "GT" / "img_000.png"
    Image.open(mask).save(mask, exif=exif)
    (reported,) = (one for one in open_pairs(folder, cache).findings if "turned by EXIF" in one.problem)
    assert reported.severity is Severity.WARNING
    assert reported.problem == "1 of 10 are turned by EXIF, and their pictures are not so: GT/img_000.png"


def test_a_jpeg_mask_has_no_exact_values(folder, cache):
    mask = Image.open(folder / "GT" / "img_003.png")
    (folder / "GT" / "img_003.png").unlink()
    mask.save(folder / "GT" / "img_003.jpg")
    with pytest.raises(DataError, match="whose compression changes its values"):
        open_pairs(folder, cache, foreground_values=("255",))


def test_large_objects_are_let_through_when_told(folder, cache):
    for path in (folder / "GT").iterdir():
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    splits = open_pairs(folder, cache, inverted_masks=False)
    assert splits.train.masks.mean() > 0.5


def test_a_split_whose_masks_are_all_empty_is_reported(tmp_path, write_pairs, cache):
    for part in ("train", "test"):
        write_pairs(tmp_path / "data" / part, prefix=part)
    masks = sorted((tmp_path / "data" / "test").rglob("GT/*.png"))
    for mask in masks:
        with Image.open(mask) as full:
            size = full.size
        Image.new("L", size).save(mask)
    reported = [
        finding for finding in open_pairs(tmp_path / "data", cache).findings if "holds no object" in finding.problem
    ]
    assert [(one.file, one.severity, one.problem) for one in reported] == [
        ("test", Severity.WARNING, f"holds no object: all of its {len(masks)} masks are empty")
    ]


def test_empty_masks_are_legal(folder, cache):
    Image.new("L", (48, 32)).save(folder / "GT" / "img_000.png")
    findings = open_pairs(folder, cache).findings
    assert {finding.severity for finding in findings} == {Severity.NOTE}
    assert any("empty: 1 of 10" in finding.problem for finding in findings)


def test_an_own_test_folder_is_the_test_split_and_the_rest_is_divided(tmp_path, cache, write_pairs):
    write_pairs(tmp_path / "data" / "TrainDataset", 8)
    write_pairs(tmp_path / "data" / "TestDataset" / "CAMO", 3, prefix="camo")
    splits = open_pairs(tmp_path / "data", cache)
    assert splits.test.names == tuple(f"TestDataset/CAMO/camo_{number:03d}" for number in range(3))
    assert (len(splits.train), len(splits.validation)) == (6, 2)


def test_an_own_validation_folder_is_the_validation_split(tmp_path, cache, write_pairs):
    for number, part in enumerate(("train", "val", "test")):
        write_pairs(tmp_path / "data" / part, 3 + number, prefix=part)
    splits = open_pairs(tmp_path / "data", cache)
    assert [len(getattr(splits, split)) for split in SPLIT_NAMES] == [3, 4, 5]


def test_copies_stay_in_one_split_and_are_said(folder, cache):
    for number in (1, 2, 3):
        shutil.copy(folder / "Imgs" / "img_000.png", folder / "Imgs" / f"img_{number:03d}.png")
    opened = open_pairs(folder, cache)
    copies = {f"img_{number:03d}" for number in range(4)}
    assert sum(bool(copies & set(getattr(opened, split).names)) for split in SPLIT_NAMES) == 1
    assert sum("is the same picture as Imgs/img_000.png" in finding.problem for finding in opened.findings) == 3


def test_frames_of_one_video_stay_together(tmp_path, cache, write_pairs):
    for clip in "abcdef":
        write_pairs(tmp_path / "data", 4, prefix=f"clip_{clip}")
    splits = open_pairs(tmp_path / "data", cache, group_pattern=r"clip_(.)")
    clips = [{name.split("_")[1] for name in getattr(splits, split).names} for split in SPLIT_NAMES]
    assert sum(map(len, clips)) == 6


def test_pictures_of_a_group_that_a_table_states_stay_together_until_it_states_another(folder, cache):
    def splits_of_groups():
        splits = open_pairs(folder, cache)
        return [{int(name[-3:]) // 2 for name in getattr(splits, split).names} for split in SPLIT_NAMES]

    pairs = [(f"img_{number:03d}.png", number // 2) for number in range(10)]
    (folder / "tiles.csv").write_text("\n".join(["image,tile", *(f"{name},{tile}" for name, tile in pairs)]))
    assert sorted(tile for part in splits_of_groups() for tile in part) == [0, 1, 2, 3, 4]
    (folder / "tiles.csv").unlink()
    assert len([tile for part in splits_of_groups() for tile in part]) > 5


def test_every_bad_file_is_reported_at_once_and_nothing_is_left_in_the_cache(folder, cache):
    (folder / "Imgs" / "img_000.png").write_bytes(b"")
    (folder / "GT" / "img_001.png").write_text("not a mask")
    (folder / "GT" / "img_002.png").unlink()
    Image.new("L", (20, 20), 255).save(folder / "GT" / "img_003.png")
    content = (folder / "Imgs" / "img_004.png").read_bytes()
    (folder / "Imgs" / "img_004.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError) as caught:
        open_pairs(folder, cache)
    errors = [finding for finding in caught.value.findings if finding.severity is Severity.ERROR]
    assert sorted(re.findall(r"img_00\d", " ".join(finding.file for finding in errors))) == [
        f"img_{number:03d}" for number in range(5)
    ]
    assert "5 problems in 9 pairs" in str(caught.value)
    assert [path.name for path in cache.iterdir() if path.is_dir()] == ["file_hashes"]


def test_a_mended_folder_opens(folder, cache):
    mask = (folder / "GT" / "img_002.png").read_bytes()
    (folder / "GT" / "img_002.png").unlink()
    for _ in range(2):
        with pytest.raises(DataError, match="has no mask"):
            open_pairs(folder, cache)
    (folder / "GT" / "img_002.png").write_bytes(mask)
    assert len(open_pairs(folder, cache).train) == 6


def test_sets_larger_than_the_window_arrive_in_order(folder, cache, monkeypatch, tmp_path):
    whole = open_pairs(folder, cache)
    monkeypatch.setattr(files, "_MOST_WAITING", 3)
    windowed = open_pairs(folder, tmp_path / "other")
    assert windowed.train.names == whole.train.names
    np.testing.assert_array_equal(windowed.train.images, whole.train.images)


def test_crackforest_opens_whole(real_data, cache):
    opened = open_pairs(real_data / "crackforest", cache)
    assert [len(getattr(opened, split)) for split in SPLIT_NAMES] == [71, 23, 24]
    assert opened.train.images.shape == (71, 160, 240, 3)
    assert opened.test.native_mask(0).shape == (320, 480)
    assert {finding.severity for finding in opened.findings} == {Severity.NOTE}


def test_the_inverted_masks_of_camo_stop(real_data, cache):
    with pytest.raises(DataError, match=r"If 255 is the background in these masks, add --inverted-masks"):
        open_pairs(real_data / "camo", cache)


def test_images_without_masks_stop(real_data, cache):
    with pytest.raises(DataError, match=r"13 images without masks: there is no other folder beside it"):
        open_pairs(real_data / "cod10k_unlabelled", cache)


def test_masks_of_instances_are_one_mask_and_one_of_another_size_is_reported(tmp_path, cache):
    for number in range(6):
        sample = tmp_path / "data" / f"s{number}"
        for name, rows in (("images", ()), ("masks", (4, 20))):
            (sample / name).mkdir(parents=True)
            for row in rows:
                mask = np.zeros((32, 48), np.uint16)
                mask[row : row + 3 + number, 8:30] = 65535
                Image.fromarray(mask).save(sample / name / f"nucleus{row}.png")
        pixels = np.random.default_rng(number).integers(0, 255, (32, 48, 3), np.uint8)
        Image.fromarray(pixels).save(sample / "images" / f"s{number}.png")
    splits = open_pairs(tmp_path / "data", cache)
    areas = {name: splits.train.native_mask(row).sum() for row, name in enumerate(splits.train.names)}
    assert areas == {name: 2 * 22 * (3 + int(name[-1])) for name in splits.train.names}
    Image.fromarray(np.zeros((8, 9), np.uint8)).save(tmp_path / "data" / "s3" / "masks" / "x.png")
    with pytest.raises(DataError, match=r"s3/masks/x\.png  is 9x8, another mask of its image 48x32"):
        open_pairs(tmp_path / "data", cache)
