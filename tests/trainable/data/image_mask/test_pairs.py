"""Every layout that sets of images and masks come in, matched by name, with the split that a folder or a list names."""

import os
import unicodedata
from pathlib import Path

import pytest

from trainable.data.image_mask.leakage import LEAKED_STEMS, without_known_leaks
from trainable.data.image_mask.pairs import find_pairs
from trainable.data.io.findings import Severity, errors_among


def touch(root: Path, *files: str) -> None:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()


def serious(findings):
    """The problems of all findings but notes, by file."""
    return [f"{one.file}: {one.problem}" for one in findings if one.severity is not Severity.NOTE]


def read(root):
    """Name, mask and split of each pair of a folder in which nothing is wrong."""
    pairs, findings = find_pairs(root)
    assert serious(findings) == []
    return [(pair.name, pair.mask.as_posix(), pair.split) for pair in pairs]


@pytest.mark.parametrize("images", ["Imgs", "Image", "Images", "images", "IMGS"])
@pytest.mark.parametrize("masks", ["GT", "Mask", "Masks", "GT_Object", "mask", "GT_inverted"])
def test_all_folder_names_in_any_case(tmp_path, images, masks):
    touch(tmp_path, f"{images}/a.jpg", f"{masks}/a.png")
    (pair,), findings = find_pairs(tmp_path)
    assert serious(findings) == []
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
def test_a_folder_above_says_the_split(tmp_path, place, split):
    touch(tmp_path, f"{place}/Image/a.jpg", f"{place}/GT_Object/a.png")
    (pair,), _ = find_pairs(tmp_path)
    assert (pair.name, pair.split) == (f"{place}/a", split)


def test_the_published_folders_of_cod10k(tmp_path):
    for part in ("Train", "Test"):
        touch(tmp_path, *(f"{part}/{folder}/x.png" for folder in ("Image", "GT_Object", "GT_Instance", "GT_Edge")))
    pairs, findings = find_pairs(tmp_path)
    assert serious(findings) == [
        f"{part}/{folder}: pictures: 1" for part in ("Test", "Train") for folder in ("GT_Edge", "GT_Instance")
    ]
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
    assert (pair.name, serious(findings)) == ("a.b", [])


def test_files_of_others_are_left_alone(tmp_path):
    touch(tmp_path, "Imgs/a.jpg", "GT/a.png", "Imgs/Thumbs.db", "Imgs/._a.jpg", "GT/.DS_Store", "Imgs/a.xml")
    pairs, findings = find_pairs(tmp_path)
    assert (len(pairs), serious(findings)) == (1, [])


ISIC = "ISIC2018_Task1-2_{}_Input/ISIC_{}", "ISIC2018_Task1_{}_GroundTruth/ISIC_{}_segmentation.png"
LAYOUTS = {
    "splits below the folders": (
        ["images/train/a.jpg", "images/val/b.jpg", "masks/train/a.png", "masks/val/b.png"],
        [("train/a", "masks/train/a.png", "train"), ("val/b", "masks/val/b.png", "validation")],
    ),
    "CAMO's own: one folder of masks for both splits": (
        ["Images/Train/a.jpg", "Images/Test/b.jpg", "GT/a.png", "GT/b.png"],
        [("Test/b", "GT/b.png", "test"), ("Train/a", "GT/a.png", "train")],
    ),
    "DUTS": (
        [f"DUTS-{part}/DUTS-{part}-{what}" for part in ("TR", "TE") for what in ("Image/a.jpg", "Mask/a.png")],
        [
            ("DUTS-TE/DUTS-TE-Image/a", "DUTS-TE/DUTS-TE-Mask/a.png", "test"),
            ("DUTS-TR/DUTS-TR-Image/a", "DUTS-TR/DUTS-TR-Mask/a.png", "train"),
        ],
    ),
    "ISIC": (
        [
            *(f"{ISIC[0].format('Training', 0)}.jpg", ISIC[1].format("Training", 0)),
            *(f"{ISIC[0].format('Validation', 3)}.jpg", ISIC[1].format("Validation", 3)),
        ],
        [
            (ISIC[0].format("Training", 0), ISIC[1].format("Training", 0), "train"),
            (ISIC[0].format("Validation", 3), ISIC[1].format("Validation", 3), "validation"),
        ],
    ),
    "Carvana": (
        ["train/a_01.jpg", "train_masks/a_01_mask.gif"],
        [("train/a_01", "train_masks/a_01_mask.gif", "train")],
    ),
    "folders of a split by their names": (
        ["train_images/1.png", "train_masks/1.png", "test_images/1.png", "test_masks/1.png"],
        [("test_images/1", "test_masks/1.png", "test"), ("train_images/1", "train_masks/1.png", "train")],
    ),
    "CamVid": (["val/a.png", "valannot/a.png"], [("val/a", "valannot/a.png", "validation")]),
    "mmsegmentation": (
        ["img_dir/train/a.jpg", "img_dir/val/b.jpg", "ann_dir/train/a.png", "ann_dir/val/b.png"],
        [
            ("img_dir/train/a", "ann_dir/train/a.png", "train"),
            ("img_dir/val/b", "ann_dir/val/b.png", "validation"),
        ],
    ),
    "mmsegmentation's Cityscapes": (
        ["img_dir/val/a_leftImg8bit.png", "ann_dir/val/a_gtFine_labelTrainIds.png"],
        [("img_dir/val/a_leftImg8bit", "ann_dir/val/a_gtFine_labelTrainIds.png", "validation")],
    ),
    "targets": (["images/a.png", "targets/a_target.png"], [("a", "targets/a_target.png", None)]),
    "images of a target domain": (
        [f"{domain}_{what}" for domain in ("source", "target") for what in ("images/a.jpg", "masks/a.png")],
        [(f"{domain}_images/a", f"{domain}_masks/a.png", None) for domain in ("source", "target")],
    ),
    "DeepCrack": (
        ["train_img/a.jpg", "train_lab/a.png", "test_img/b.jpg", "test_lab/b.png"],
        [("test_img/b", "test_lab/b.png", "test"), ("train_img/a", "train_lab/a.png", "train")],
    ),
    "labelme's VOC": (
        ["JPEGImages/a.jpg", "SegmentationClassPNG/a.png"],
        [("a", "SegmentationClassPNG/a.png", None)],
    ),
    "nnU-Net": (
        ["imagesTr/a_0000.png", "labelsTr/a.png", "imagesTr/b_0000.png", "labelsTr/b.png"],
        [("imagesTr/a_0000", "labelsTr/a.png", "train"), ("imagesTr/b_0000", "labelsTr/b.png", "train")],
    ),
    "frames of which the first is numbered zero": (
        ["images/a_0000.png", "images/a_0001.png", "masks/a_0000.png", "masks/a_0001.png"],
        [("a_0000", "masks/a_0000.png", None), ("a_0001", "masks/a_0001.png", None)],
    ),
    "labels beside images": (["images/a.jpg", "labels/a.png"], [("a", "labels/a.png", None)]),
    "boxes in labels beside masks": (["images/a.jpg", "masks/a.png", "labels/a.txt"], [("a", "masks/a.png", None)]),
    "one folder, by a mark": (["set/a.jpg", "set/a_mask.png"], [("set/a", "set/a_mask.png", None)]),
    "one folder, by two marks": (
        ["train/1_sat.jpg", "train/1_mask.png"],
        [("train/1_sat", "train/1_mask.png", "train")],
    ),
    "one folder, by ending": (["Crack/Imgs/e.jpg", "Crack/Imgs/e.png"], [("Crack/Imgs/e", "Crack/Imgs/e.png", None)]),
    "a mark in front": (["images/7.jpg", "masks/mask_7.png"], [("7", "masks/mask_7.png", None)]),
    "another mark in front of each": (["images/img_7.jpg", "masks/mask_7.png"], [("img_7", "masks/mask_7.png", None)]),
    "CVC-ClinicDB": (["Original/7.tif", "Ground Truth/7.tif"], [("7", "Ground Truth/7.tif", None)]),
    "one folder, by marks in front": (["set/img_7.png", "set/mask_7.png"], [("set/img_7", "set/mask_7.png", None)]),
    "another case": (["images/IMG_7.JPG", "masks/img_7.png"], [("IMG_7", "masks/img_7.png", None)]),
    "spaces and signs": (
        ["my images/a #1 (2).jfif", "my masks/a #1 (2).png"],
        [("my images/a #1 (2)", "my masks/a #1 (2).png", None)],
    ),
    "valid": (["valid/images/a.jpg", "valid/masks/a.png"], [("valid/a", "valid/masks/a.png", "validation")]),
}


def test_a_folder_of_targets_beside_masks_is_left_out_with_a_warning(tmp_path):
    touch(tmp_path, "images/a.jpg", "masks/a.png", "target/a.png")
    (pair,), findings = find_pairs(tmp_path)
    assert pair.mask == Path("masks", "a.png")
    assert serious(findings) == ["target: pictures: 1"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_that_people_have_is_read_as_it_is(tmp_path, layout):
    files, expected = LAYOUTS[layout]
    touch(tmp_path, *files)
    assert read(tmp_path) == expected


def test_voc_reads_the_images_that_have_masks_by_its_lists(tmp_path):
    touch(tmp_path, *(f"JPEGImages/2007_{number}.jpg" for number in range(5)))
    touch(tmp_path, *(f"SegmentationClass/2007_{number}.png" for number in range(3)))
    for name, lines in {
        "Segmentation/train.txt": "2007_0\n2007_2\n",
        "Segmentation/val.txt": "2007_1\n",
        "Segmentation/trainval.txt": "2007_0\n2007_1\n2007_2\n",
        "Main/aeroplane_train.txt": "2007_1 -1\n",
    }.items():
        path = tmp_path / "ImageSets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(lines)
    pairs, findings = find_pairs(tmp_path)
    assert [pair.split for pair in pairs] == ["train", "validation", "train"]
    assert "2 images have no mask in SegmentationClass" in [finding.problem for finding in findings]
    assert serious(findings) == []


def test_pictures_in_no_pair_of_folders_are_counted(tmp_path):
    touch(tmp_path, "train/images/a.jpg", "train/masks/a.png", "test/b.jpg", "test/c.jpg", "logo.png")
    pairs, findings = find_pairs(tmp_path)
    assert [pair.name for pair in pairs] == ["train/a"]
    assert serious(findings) == [".: pictures: 1", "test: pictures: 2"]


def test_what_lies_beside_the_splits_is_left_out_and_said(tmp_path):
    for place in ("train", "test", "extra"):
        touch(tmp_path, f"{place}/images/{place}.jpg", f"{place}/masks/{place}.png")
    pairs, findings = find_pairs(tmp_path)
    assert [pair.name for pair in pairs] == ["test/test", "train/train"]
    assert serious(findings) == ["extra/images: pictures: 1; its name says no split as those beside it do"]


def test_a_name_that_two_masks_may_mean_matches_neither(tmp_path):
    touch(tmp_path, "images/a.jpg", "masks/a_mask.png", "masks/a_gt.png")
    pairs, findings = find_pairs(tmp_path)
    assert (pairs, serious(findings)) == ([], ["images/a.jpg: has 2 masks: a_gt.png and a_mask.png"])


def test_accents_match_however_they_are_composed(tmp_path):
    composed, apart = (unicodedata.normalize(form, "feuille_é") for form in ("NFC", "NFD"))
    touch(tmp_path, f"images/{composed}.jpg", f"masks/{apart}.png")
    ((name, _, _),) = read(tmp_path)
    assert name == composed


def test_names_that_are_no_utf8_are_read_and_written_plainly(tmp_path):
    name = os.fsdecode(b"feuille_\xe9")
    touch(tmp_path, f"images/{name}.jpg", f"masks/{name}.png")
    (pair,), _ = find_pairs(tmp_path)
    assert pair.name == r"feuille_\xe9"
    assert (tmp_path / pair.mask).is_file()


def test_folders_that_are_links_are_read(tmp_path):
    touch(tmp_path / "store", "a.jpg")
    touch(tmp_path / "data", "masks/a.png")
    (tmp_path / "data" / "images").symlink_to(tmp_path / "store")
    assert read(tmp_path / "data") == [("a", "masks/a.png", None)]


def test_a_circle_of_links_ends(tmp_path):
    touch(tmp_path, "set/Imgs/a.jpg", "set/GT/a.png")
    (tmp_path / "set" / "again").symlink_to(tmp_path)
    pairs, _ = find_pairs(tmp_path)
    assert "set/a" in [pair.name for pair in pairs]


def test_the_two_leaked_images_are_left_out_of_training_only_where_they_are_in_both_splits(tmp_path):
    for stem in (*LEAKED_STEMS, "other"):
        touch(tmp_path, f"Train/Image/{stem}.jpg", f"Train/GT_Object/{stem}.png")
    pairs, _ = find_pairs(tmp_path)
    assert without_known_leaks(pairs) == (pairs, [])
    for stem in LEAKED_STEMS:
        touch(tmp_path, f"Test/Image/{stem}.jpg", f"Test/GT_Object/{stem}.png")
    kept, warnings = without_known_leaks(find_pairs(tmp_path)[0])
    assert [pair.name for pair in kept] == [*(f"Test/{stem}" for stem in LEAKED_STEMS), "Train/other"]
    assert [warning.file for warning in warnings] == [f"Train/Image/{stem}.jpg" for stem in LEAKED_STEMS]


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("images/a.jpg", "masks/a.jpg.png"),
        ("images/a.jpg", "masks/a.jpg_mask.png"),
        ("set/a.jpg", "set/a.jpg.png"),
        ("sample1/image.png", "sample1/mask.png"),
        ("s/1/img.jpg", "s/1/label.png"),
    ],
)
def test_a_mask_may_have_the_images_ending_in_its_name_or_say_no_more_than_mask(tmp_path, image, mask):
    touch(tmp_path, image, mask)
    assert [read_mask for _, read_mask, _ in read(tmp_path)] == [mask]


def test_a_mask_of_another_split_is_not_that_of_the_image(tmp_path):
    touch(tmp_path, *(f"{kind}/train/{name}.png" for kind in ("images", "masks") for name in "ab"))
    touch(tmp_path, "images/train/c.png", "masks/test/c.png")
    pairs, findings = find_pairs(tmp_path)
    assert [pair.name for pair in pairs] == ["train/a", "train/b"]
    assert "images/train/c.png: has no mask: masks holds no c" in "\n".join(serious(findings))


def test_a_mask_that_two_images_share_is_reported_as_such(tmp_path):
    touch(tmp_path, "images/cat/a.png", "images/dog/a.png", "masks/a.png")
    problems = "\n".join(serious(find_pairs(tmp_path)[1]))
    assert "images/dog/a.png: has no mask: masks holds no a for it alone, but one that may be of several" in problems


def test_a_mask_for_each_instance_in_the_folder_of_its_sample(tmp_path):
    touch(tmp_path, *(f"stage1_train/{name}/images/{name}.png" for name in ("a1", "b2")))
    touch(tmp_path, *(f"stage1_train/a1/masks/{mask}.png" for mask in ("f0", "e9")), "stage1_train/b2/masks/c7.png")
    pairs, findings = find_pairs(tmp_path)
    assert [(pair.image.name, [mask.name for mask in pair.masks]) for pair in pairs] == [
        ("a1.png", ["e9.png", "f0.png"]),
        ("b2.png", ["c7.png"]),
    ]
    assert "1 image with the 2 masks, united, of stage1_train/a1/masks (train)" in [one.problem for one in findings]


def test_numbered_masks_beside_the_mask_of_an_image_are_further_parts_of_its_object(tmp_path):
    touch(tmp_path, *(f"benign/b ({number}){mark}.png" for number in (1, 2) for mark in ("", "_mask")))
    touch(tmp_path, "benign/b (2)_mask_1.png", "benign/b (2)_mask_2.png")
    pairs, findings = find_pairs(tmp_path)
    assert serious(findings) == []
    assert [[mask.stem for mask in pair.masks] for pair in pairs] == [
        ["b (1)_mask"],
        ["b (2)_mask", "b (2)_mask_1", "b (2)_mask_2"],
    ]
    assert "2 images with the 4 masks, united, in this folder" in [one.problem for one in findings]


def test_a_numbered_mask_with_the_whole_name_of_an_image_is_of_that_image(tmp_path):
    names = ("set_label.png", "set_label_1.png")
    touch(tmp_path, *(f"{folder}/{name}" for folder in ("images", "masks") for name in names))
    assert [mask for _, mask, _ in read(tmp_path)] == [f"masks/{name}" for name in names]


@pytest.mark.parametrize(("folder", "file"), [("labels", "a.txt"), ("Annotations", "a.xml"), ("ann", "a.jpg.json")])
def test_a_folder_of_annotations_is_no_folder_of_masks(tmp_path, folder, file):
    touch(tmp_path, *(f"{part}/images/a.jpg" for part in ("train", "valid")))
    touch(tmp_path, *(f"{part}/{folder}/{file}" for part in ("train", "valid")))
    pairs, findings = find_pairs(tmp_path)
    beside = f"there is only {folder} with {file} beside it"
    assert pairs == []
    assert serious(findings) == [f"{part}/images: 1 image without masks: {beside}" for part in ("train", "valid")]
    assert {"boxes are no masks" in one.action for one in findings} == {True}


def test_a_split_whose_masks_are_no_pictures_is_an_error_beside_one_that_has_them(tmp_path):
    touch(tmp_path, "train/images/a.jpg", "train/masks/a.png", "test/images/b.jpg", "test/masks/b.json")
    _, findings = find_pairs(tmp_path)
    (error,) = errors_among(findings)
    assert (error.file, error.problem) == (
        "test/images",
        "1 image without masks: there is only masks with b.json beside it",
    )
    assert len(serious(findings)) == 1


def test_images_with_masks_in_their_own_folder_need_none_in_labels_beside_it(tmp_path):
    touch(tmp_path, "images/a.jpg", "images/a_mask.png", "labels/a.txt")
    assert read(tmp_path) == [("images/a", "images/a_mask.png", None)]


def test_an_empty_folder_of_masks_is_reported_also_where_the_data_folder_is_called_after_masks(tmp_path):
    data = tmp_path / "crack_masks"
    touch(data, "images/a.jpg")
    (data / "masks").mkdir()
    assert serious(find_pairs(data)[1]) == [
        "images: 1 image without masks: there is only masks, which holds no picture, beside it"
    ]


def test_the_one_image_of_a_folder_of_another_name_has_no_mask_of_another_name(tmp_path):
    touch(tmp_path, "set/images/a1.png", "set/masks/f0.png", "set/masks/e9.png")
    assert find_pairs(tmp_path)[0] == []


def test_masks_of_instances_beside_those_of_classes_are_left_out(tmp_path):
    touch(tmp_path, "JPEGImages/a.jpg", "SegmentationClass/a.png", "SegmentationObject/a.png")
    pairs, findings = find_pairs(tmp_path)
    assert [pair.mask.as_posix() for pair in pairs] == ["SegmentationClass/a.png"]
    assert [one.split(": ")[0] for one in serious(findings)] == ["SegmentationObject"]


def test_of_cityscapes_the_numbers_of_classes_are_the_masks(tmp_path):
    for place in ("train/ulm", "val/bonn"):
        of = f"gtFine/{place}/ulm_1_gtFine"
        touch(tmp_path, f"leftImg8bit/{place}/ulm_1_leftImg8bit.png", f"{of}_labelIds.png", f"{of}_color.png")
        touch(tmp_path, f"{of}_instanceIds.png", f"{of}_polygons.json")
    assert {(mask, split) for _, mask, split in read(tmp_path)} == {
        ("gtFine/train/ulm/ulm_1_gtFine_labelIds.png", "train"),
        ("gtFine/val/bonn/ulm_1_gtFine_labelIds.png", "validation"),
    }


def test_a_field_of_view_is_never_taken_for_the_masks_beside_it(tmp_path):
    touch(tmp_path, "images/21_training.tif", "1st_manual/21_manual1.gif")
    assert [mask for _, mask, _ in read(tmp_path)] == ["1st_manual/21_manual1.gif"]
    touch(tmp_path, "mask/21_training_mask.gif")
    assert serious(find_pairs(tmp_path)[1]) == [".: holds more than one mask folder: 1st_manual, mask"]
