"""A folder with mixed annotations: what is used, what is said, and that no image is in two splits."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainable.data.annotations.sources import find_sources
from trainable.data.crowns.crown_set import VOID
from trainable.data.crowns.folder import CrownFolderOptions, open_crown_folder
from trainable.data.io.findings import DataError, Severity

DATA = Path(__file__).resolve().parents[5] / "shared" / "data"
OPTIONS = CrownFolderOptions(tile_px=64, overlap_px=32)


def write_image(folder, name, *, size=(64, 96), seed=0):
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng([seed, *name.encode()]).integers(0, 255, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / f"{name}.png")


def write_boxes(folder, file, boxes):
    lines = [f"{image}.tif,{','.join(map(str, box))},{label}" for image, box, label in boxes]
    (folder / file).write_text("\n".join(["image_path,xmin,ymin,xmax,ymax,label", *lines]) + "\n")


@pytest.fixture
def root(tmp_path):
    """Six images with a box each, of two kinds."""
    folder = tmp_path / "plots"
    names = [f"plot{number}_a" for number in range(6)]
    for name in names:
        write_image(folder, name)
    write_boxes(folder, "boxes.csv", [(name, (4, 6, 24, 26), "Palm" if name < "plot3" else "cacao") for name in names])
    return folder


@pytest.fixture
def opened(tmp_path):
    def open_folder(root, options=OPTIONS):
        return open_crown_folder(root, options, cache_dir=tmp_path / "cache")

    return open_folder


def test_every_image_is_in_one_split_with_all_its_tiles(root, opened):
    splits = opened(root)
    sources = [
        {name.rsplit("_", 2)[0] for name in part.names} for part in (splits.train, splits.validation, splits.test)
    ]
    assert sum(map(len, sources)) == len(set.union(*sources)) == 6
    assert all(sources)


def test_a_crown_comes_back_as_it_was_annotated(root, opened):
    train = opened(root).train
    assert train.kinds == ("cacao", "palm")
    for row, name in enumerate(train.names):
        (crown,) = train.crowns_of(row)
        assert crown.box == (4, 6, 24, 26)
        assert crown.mask.all()
        assert crown.label == (2 if name < "plot3" else 1)


def test_one_kind_forgets_the_labels(root, opened):
    train = opened(root, CrownFolderOptions(tile_px=64, overlap_px=32, one_kind=True)).train
    assert train.kinds == ("crown",)
    assert set(train.crowns[:, 0]) == {1}


def test_boxes_without_outlines_are_reported_as_taken_for_masks(root, opened):
    (note,) = [finding for finding in opened(root).findings if "The whole box is taken" in finding.action]
    assert note.problem == "6 of 6 pictures have boxes and no outline (6 boxes)"
    assert note.severity == Severity.NOTE


def test_of_two_files_for_an_image_the_one_with_outlines_is_used_and_reported(root, opened):
    outline = {"image_id": 1, "category_id": 1, "segmentation": [[4, 6, 24, 6, 4, 26]]}
    coco = {"images": [{"id": 1, "file_name": "plot1_a.png"}], "categories": [{"id": 1, "name": "palm"}]}
    (root / "coco.json").write_text(json.dumps(coco | {"annotations": [outline]}))
    folder = opened(root)
    said = "coco.json is used, boxes.csv not, for 1 picture: plot1_a.png"
    assert any(finding.problem == said for finding in folder.findings)
    parts = (folder.train, folder.validation, folder.test)
    masks = {name: part.crowns_of(row)[0].mask for part in parts for row, name in enumerate(part.names)}
    assert not masks["plot1_a_00000_00000"].all()


def test_images_without_annotation_and_annotations_without_image_are_reported_and_left_out(root, opened):
    write_image(root, "bare")
    write_boxes(root, "more.csv", [("gone", (1, 1, 9, 9), "palm")])
    by_file = {finding.file: finding.problem for finding in opened(root).findings}
    assert by_file["pictures"] == "1 of 7 pictures have no annotation: bare.png"
    assert by_file["more.csv"] == "annotates 1 picture without a file here: gone.tif"


def test_label_images_give_classes_beside_crowns_and_void_is_void(root, opened):
    (root / "semantic").mkdir()
    labels = np.zeros((64, 96), np.uint8)
    labels[:, 48:], labels[:8] = 3, 9
    Image.fromarray(labels).save(root / "semantic" / "plot1_a.png")
    splits = opened(root, CrownFolderOptions(tile_px=64, overlap_px=32, void_label=9))
    assert splits.train.semantic_classes == ("class 0", "class 1", "class 2", "class 3")
    parts = (splits.train, splits.validation, splits.test)
    maps = {name: part.semantic[row] for part in parts for row, name in enumerate(part.names)}
    assert (maps["plot1_a_00000_00000"][:8] == VOID).all()
    assert (maps["plot1_a_00000_00000"][8:, 48:] == 3).all()
    assert (maps["plot2_a_00000_00000"] == VOID).all()


def test_a_second_label_image_of_a_picture_is_an_error_that_names_both(root, opened):
    (root / "semantic").mkdir()
    for ending in ("png", "tif"):
        Image.fromarray(np.eye(64, 96, dtype=np.uint8)).save(root / "semantic" / f"plot1_a.{ending}")
    sentence = r"plot1_a.png  has 2 label images: semantic/plot1_a.png and semantic/plot1_a.tif"
    with pytest.raises(DataError, match=sentence):
        opened(root)


def test_all_that_is_wrong_with_label_images_is_reported_at_once(root, opened):
    (root / "semantic").mkdir()
    Image.fromarray(np.eye(32, dtype=np.uint8)).save(root / "semantic" / "plot1_a.png")
    (root / "semantic" / "plot2_a.png").touch()
    with pytest.raises(DataError, match=r"plot2_a.png  is empty: 0 bytes") as raised:
        opened(root)
    assert "plot1_a.png  is 32x32 but its image is 96x64" in str(raised.value)


def test_every_label_image_that_is_none_is_reported_by_its_name(root, opened):
    (root / "semantic").mkdir()
    for number in range(2):
        Image.new("RGB", (96, 64)).save(root / "semantic" / f"plot{number}_a.png")
    with pytest.raises(DataError, match=r"(?s)semantic/plot0_a.png .*it has colours.*semantic/plot1_a.png "):
        opened(root)


def test_the_second_opening_decodes_nothing_and_another_content_is_another_cache(root, opened, monkeypatch):
    first = opened(root).fingerprint
    with monkeypatch.context() as patch:
        patch.setattr("trainable.data.crowns.folder.read_upright", None)
        assert opened(root).fingerprint == first
    write_boxes(root, "boxes.csv", [(f"plot{number}_a", (4, 6, 24, 27), "palm") for number in range(6)])
    assert opened(root).fingerprint["all"] != first["all"]


def test_an_edited_list_of_splits_and_a_new_unread_file_change_the_cache_key(root, opened):
    (root / "test.lst").write_text("plot0_a.png\nplot1_a.png\n")
    assert {name.rsplit("_", 2)[0] for name in opened(root).test.names} == {"plot0_a", "plot1_a"}
    (root / "test.lst").write_text("plot4_a.png\nplot5_a.png\n")
    assert {name.rsplit("_", 2)[0] for name in opened(root).test.names} == {"plot4_a", "plot5_a"}
    (root / "new.heic").touch()
    assert any(".heic" in finding.problem for finding in opened(root).findings)


def test_pictures_of_a_group_that_a_table_states_stay_together_unless_a_pattern_groups_them(root, opened):
    (root / "plots.csv").write_text(
        "image,site\n" + "".join(f"plot{number}_a.png,{number // 2}\n" for number in range(6))
    )
    splits = opened(root)
    parts = [{int(name[4]) // 2 for name in part.names} for part in (splits.train, splits.validation, splits.test)]
    assert sorted(site for part in parts for site in part) == [0, 1, 2]
    assert "names 3 groups of 6 pictures in 'site'" in [finding.problem for finding in splits.findings]
    by_pattern = opened(root, replace(OPTIONS, group_pattern=r"plot(\d)"))
    assert not any("groups of" in finding.problem for finding in by_pattern.findings)


def test_a_folder_without_annotations_or_with_too_few_images_says_so(tmp_path, opened):
    write_image(tmp_path / "none", "a")
    with pytest.raises(DataError, match="has no image with objects or semantic classes"):
        opened(tmp_path / "none")
    for name in ("a", "b"):
        write_image(tmp_path / "few", name)
    write_boxes(tmp_path / "few", "boxes.csv", [(name, (1, 1, 9, 9), "palm") for name in ("a", "b")])
    with pytest.raises(DataError, match="at least 3 groups are needed"):
        opened(tmp_path / "few")


def test_a_label_image_of_another_size_than_its_image_is_named(root, opened):
    (root / "semantic").mkdir()
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(root / "semantic" / "plot1_a.png")
    with pytest.raises(DataError, match=r"semantic/plot1_a.png  is 32x32 but its image is 96x64"):
        opened(root)


def test_two_images_that_an_annotation_may_mean_are_refused_by_their_names(root, opened):
    for folder in ("a", "b"):
        write_image(root / folder, "plot9", seed=ord(folder))
    write_boxes(root, "more.csv", [("plot9", (4, 6, 24, 26), "palm")])
    with pytest.raises(DataError, match=r"more.csv  annotates plot9.tif, which may be a/plot9.png or b/plot9.png"):
        opened(root)


def test_two_images_of_one_name_are_told_apart_by_the_folders_that_are_written(root, opened):
    for folder in ("a", "b"):
        write_image(root / folder, "plot9", seed=ord(folder))
    write_boxes(root, "more.csv", [("a/plot9", (4, 6, 24, 26), "palm"), ("D:\\\\b\\plot9", (4, 6, 44, 26), "palm")])
    splits = opened(root)
    parts = (splits.train, splits.validation, splits.test)
    boxes = {name: part.crowns_of(row)[0].box for part in parts for row, name in enumerate(part.names)}
    assert boxes["a/plot9_00000_00000"] == (4, 6, 24, 26)
    assert boxes["b/plot9_00000_00000"] == (4, 6, 44, 26)


@pytest.mark.skipif(not (DATA / "deepforest").is_dir(), reason="the real tree crowns are not on this machine")
def test_the_real_folder_with_five_forms_is_read(opened):
    folder = opened(DATA / "deepforest", CrownFolderOptions(one_kind=True))
    parts = (folder.train, folder.validation, folder.test)
    sources = [{name.rsplit("_", 2)[0] for name in part.names} for part in parts]
    assert sum(map(len, sources)) == len(set.union(*sources)) == 6
    assert all(part.num_crowns for part in parts)


@pytest.mark.skipif(not (DATA / "camvid").is_dir(), reason="the real street scenes are not on this machine")
def test_real_label_images_are_read_by_sequence(opened):
    options = CrownFolderOptions(tile_px=320, overlap_px=0, void_label=11, group_pattern="^[^_]+")
    splits = opened(DATA / "camvid", options)
    assert len(splits.train.semantic_classes) == 11
    assert not splits.train.has_crowns.any()
    sequences = [{name.split("_")[0] for name in part.names} for part in (splits.train, splits.validation, splits.test)]
    assert sum(map(len, sequences)) == len(set.union(*sequences))


def test_splits_that_folders_name_are_kept_and_what_lies_beside_them_is_reported(tmp_path, opened):
    root = tmp_path / "parts"
    for part, count in (("train", 4), ("valid", 2), ("test", 2), ("extra", 1)):
        names = [f"{part}{number}" for number in range(count)]
        for name in names:
            write_image(root / part, name)
        write_boxes(root / part, "boxes.csv", [(name, (4, 6, 24, 26), "palm") for name in names])
    folder = opened(root)
    splits = folder
    sources = [{name.rsplit("_", 2)[0][:-1] for name in part.names} for part in (splits.train, splits.validation)]
    assert sources == [{"train"}, {"valid"}]
    assert {name.rsplit("_", 2)[0] for name in splits.test.names} == {"test0", "test1"}
    assert "pictures: 1; its name says no split as those beside it do" in [one.problem for one in folder.findings]


@pytest.mark.parametrize("whole", ["all.csv", "trees.csv"])
def test_a_file_of_all_images_keeps_the_splits_that_others_name(tmp_path, whole):
    names = [f"plot{number}" for number in range(4)]
    for number, name in enumerate(names):
        write_image(tmp_path, name, seed=number)
    for file, own in ((whole, names), ("train.csv", names[:3]), ("test.csv", names[3:])):
        write_boxes(tmp_path, file, [(name, (1, 1, 30, 30), "palm") for name in own])
    assert [image.split for image in find_sources(tmp_path).images] == ["train"] * 3 + ["test"]


def test_copies_that_a_tool_made_stay_with_one_another(tmp_path, opened):
    root = tmp_path / "copies"
    names = [f"tree{number // 3}_jpg.rf.{number:032x}" for number in range(18)]
    for name in names:
        write_image(root, name)
    write_boxes(root, "boxes.csv", [(name, (4, 6, 24, 26), "palm") for name in names])
    splits = opened(root)
    trees = [{name[:5] for name in part.names} for part in (splits.train, splits.validation, splits.test)]
    assert sum(map(len, trees)) == len(set.union(*trees)) == 6


def test_one_picture_in_two_splits_is_refused(tmp_path, opened):
    root = tmp_path / "leak"
    for part, names in (("train", "abcd"), ("test", "ef")):
        for name in names:
            write_image(root / part, name)
        write_boxes(root / part, "boxes.csv", [(name, (4, 6, 24, 26), "palm") for name in names])
    (root / "test" / "e.png").write_bytes((root / "train" / "a.png").read_bytes())
    with pytest.raises(DataError, match="has the same source as"):
        opened(root)


def test_images_behind_a_link_are_read(tmp_path, root, opened):
    (root / "images").symlink_to(tmp_path / "store")
    (tmp_path / "store").mkdir()
    for path in root.glob("*.png"):
        path.rename(tmp_path / "store" / path.name)
    assert len(opened(root).train) > 0
