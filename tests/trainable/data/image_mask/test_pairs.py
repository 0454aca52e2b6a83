"""Every layout that camouflage sets come in, matched by name and dealt to the part that its folder names."""

from pathlib import Path

import pytest

from trainable.data.image_mask.pairs import find_pairs
from trainable.data.io.leakage import LEAKED_STEMS, without_known_leaks


def touch(root: Path, *files: str) -> None:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()


@pytest.mark.parametrize("images", ["Imgs", "Image", "Images", "images", "IMGS"])
@pytest.mark.parametrize("masks", ["GT", "Mask", "Masks", "GT_Object", "mask", "GT_inverted"])
def test_all_folder_names_in_any_case(tmp_path, images, masks):
    touch(tmp_path, f"{images}/a.jpg", f"{masks}/a.png")
    (pair,), findings = find_pairs(tmp_path)
    assert findings == []
    assert (pair.name, pair.split) == ("a", None)
    assert (pair.image, pair.mask) == (Path(images, "a.jpg"), Path(masks, "a.png"))


@pytest.mark.parametrize(
    ("place", "split"),
    [
        ("TrainDataset", "train"),
        ("TestDataset/CAMO", "test"),
        ("COD10K-v3/Train", "train"),
        ("COD10K-v3/Test", "test"),
        ("Train/COD10K-TR", "train"),
        ("TestDataset_per_sq/clip_3", "test"),
        ("ValDataset", "validation"),
        ("validation", "validation"),
        ("training_set", "train"),
        ("testing-2", "test"),
        ("trains_and_boats", None),
        ("valley", None),
    ],
)
def test_a_folder_above_says_the_part(tmp_path, place, split):
    touch(tmp_path, f"{place}/Image/a.jpg", f"{place}/GT_Object/a.png")
    (pair,), _ = find_pairs(tmp_path)
    assert (pair.name, pair.split) == (f"{place}/a", split)


def test_the_published_folders_of_cod10k(tmp_path):
    for part in ("Train", "Test"):
        touch(tmp_path, *(f"{part}/{folder}/x.png" for folder in ("Image", "GT_Object", "GT_Instance", "GT_Edge")))
    pairs, findings = find_pairs(tmp_path)
    assert findings == []
    assert [(pair.name, pair.split, pair.mask.parent.name) for pair in pairs] == [
        ("Test/x", "test", "GT_Object"),
        ("Train/x", "train", "GT_Object"),
    ]


def test_several_test_sets_side_by_side(tmp_path):
    touch(tmp_path, "TrainDataset/Imgs/a.jpg", "TrainDataset/GT/a.png")
    for name in ("CAMO", "CHAMELEON", "NC4K"):
        touch(
            tmp_path, f"TestDataset/{name}/Imgs/a.jpg", f"TestDataset/{name}/GT/a.png", f"TestDataset/{name}/Edge/a.png"
        )
    pairs, _ = find_pairs(tmp_path)
    assert [pair.split for pair in pairs] == ["test", "test", "test", "train"]
    assert len({pair.name for pair in pairs}) == 4


@pytest.mark.parametrize("ending", ["jpg", "JPG", "jpeg", "png", "bmp", "tif", "TIFF", "webp"])
def test_endings_in_any_case_match_by_stem(tmp_path, ending):
    touch(tmp_path, f"Imgs/a.b.{ending}", "GT/a.b.PNG")
    (pair,), findings = find_pairs(tmp_path)
    assert (pair.name, findings) == ("a.b", [])


def test_files_of_others_are_left_alone(tmp_path):
    touch(tmp_path, "Imgs/a.jpg", "GT/a.png", "Imgs/Thumbs.db", "Imgs/._a.jpg", "GT/.DS_Store", "Imgs/a.xml")
    pairs, findings = find_pairs(tmp_path)
    assert (len(pairs), findings) == (1, [])


def test_parts_inside_the_image_folder_are_told_with_how_they_should_lie(tmp_path):
    touch(tmp_path, "images/train/a.jpg", "images/val/b.jpg", "masks/train/a.png", "masks/val/b.png")
    pairs, (finding,) = find_pairs(tmp_path)
    assert (pairs, finding.file) == ([], "images")
    assert finding.problem == "holds no image itself: they are one folder deeper, in train, val"
    assert finding.action == "Turn the folders round: train/images beside train/masks, and so for each part."


def test_a_circle_of_links_ends(tmp_path):
    touch(tmp_path, "set/Imgs/a.jpg", "set/GT/a.png")
    (tmp_path / "set" / "again").symlink_to(tmp_path)
    pairs, _ = find_pairs(tmp_path)
    assert "set/a" in [pair.name for pair in pairs]


def test_the_two_leaked_images_are_left_out_of_training_only_where_they_are_in_both_parts(tmp_path):
    for stem in (*LEAKED_STEMS, "other"):
        touch(tmp_path, f"Train/Image/{stem}.jpg", f"Train/GT_Object/{stem}.png")
    pairs, _ = find_pairs(tmp_path)
    assert without_known_leaks(pairs) == (pairs, [])
    for stem in LEAKED_STEMS:
        touch(tmp_path, f"Test/Image/{stem}.jpg", f"Test/GT_Object/{stem}.png")
    kept, warnings = without_known_leaks(find_pairs(tmp_path)[0])
    assert [pair.name for pair in kept] == [*(f"Test/{stem}" for stem in LEAKED_STEMS), "Train/other"]
    assert [warning.file for warning in warnings] == [f"Train/Image/{stem}.jpg" for stem in LEAKED_STEMS]
