"""The files below a folder: links followed, circles ended, what a system keeps there passed over, names made plain."""

import os
import unicodedata
from pathlib import Path

import pytest

from trainable.data.io.findings import DataError
from trainable.data.io.folder_layout import files_below, is_image, plain_name, refuse_dead_links, subfolders


def touch(root, *files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()


def names(root):
    return [file.as_posix() for file in files_below(root)]


def test_files_stand_in_order_of_name_at_any_depth(tmp_path):
    touch(tmp_path, "b.png", "a/z.png", "a/b/c.txt", "A.png")
    assert names(tmp_path) == ["A.png", "a/b/c.txt", "a/z.png", "b.png"]


@pytest.mark.parametrize(
    "folder", [".ipynb_checkpoints", ".Trash-1000", "@eaDir", "__MACOSX", "$RECYCLE.BIN", ".git", "#recycle"]
)
@pytest.mark.parametrize("place", ["", "cats/", "train/cats/"])
def test_hidden_and_system_folders_are_never_entered(tmp_path, folder, place):
    touch(tmp_path, f"{place}{folder}/a.png", f"{place}b.png", f"{place}._b.png")
    assert names(tmp_path) == [f"{place}b.png"]
    assert folder not in [child.name for child in subfolders(tmp_path / place)]


def test_the_results_of_a_search_in_the_data_are_never_read(tmp_path):
    touch(tmp_path, "a.png", "results/moe/one/settings.json", "results/moe/one/trials.jsonl")
    touch(tmp_path, "results/moe/one/best/mask.png", "results/settings.json", "results/b.png")
    assert names(tmp_path) == ["a.png", "results/b.png", "results/settings.json"]


def test_a_link_to_a_folder_is_entered_and_a_link_to_nothing_is_a_file(tmp_path):
    touch(tmp_path / "store", "deep/a.png")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "images").symlink_to(tmp_path / "store")
    (tmp_path / "data" / "gone.png").symlink_to(tmp_path / "nowhere")
    assert names(tmp_path / "data") == ["gone.png", "images/deep/a.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_pipes_and_devices_which_never_end_are_passed_over(tmp_path):
    touch(tmp_path, "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    assert names(tmp_path) == ["a.png"]


def test_circles_of_links_end_and_two_links_to_one_folder_are_both_entered(tmp_path):
    touch(tmp_path, "one/a.png", "two/b.png")
    (tmp_path / "one" / "up").symlink_to(tmp_path)
    (tmp_path / "one" / "self").symlink_to(tmp_path / "one")
    (tmp_path / "three").symlink_to(tmp_path / "two")
    assert names(tmp_path) == ["one/a.png", "three/b.png", "two/b.png"]


def test_a_link_to_itself_is_one_to_nothing(tmp_path):
    (tmp_path / "rust").symlink_to("rust")
    assert files_below(tmp_path) == [Path("rust")]
    with pytest.raises(DataError, match="holds 1 link to a folder or file that is not there: rust"):
        refuse_dead_links(tmp_path, files_below(tmp_path))


def test_two_folders_that_link_to_each_other_end(tmp_path):
    touch(tmp_path, "one/a.png", "two/b.png")
    (tmp_path / "one" / "other").symlink_to(tmp_path / "two")
    (tmp_path / "two" / "other").symlink_to(tmp_path / "one")
    assert names(tmp_path) == ["one/a.png", "one/other/b.png", "two/b.png", "two/other/a.png"]


def test_a_walk_that_begins_further_down_ends_at_the_folders_above_it_too(tmp_path):
    touch(tmp_path, "one/deep/a.png", "two/b.png")
    (tmp_path / "one" / "deep" / "up").symlink_to(tmp_path)
    (tmp_path / "one" / "other").symlink_to(tmp_path / "two")
    assert files_below(tmp_path, Path("one")) == [Path("deep/a.png"), Path("other/b.png")]
    assert [child.name for child in subfolders(tmp_path, Path("one"))] == ["deep", "other"]
    assert subfolders(tmp_path, Path("one/deep")) == []


def test_a_folder_that_cannot_be_opened_is_reported(tmp_path, monkeypatch):
    touch(tmp_path, "locked/a.png")
    scan = os.scandir

    def refuse(folder):
        if Path(folder).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"locked cannot be opened: Permission denied"):
        files_below(tmp_path)


@pytest.mark.parametrize("ending", [".jpg", ".JPG", ".jfif", ".jpe", ".png", ".gif", ".TIFF", ".webp", ".ppm", ".bmp"])
def test_common_endings_are_pictures_in_any_case(ending):
    assert is_image(Path(f"a{ending}"))
    assert not is_image(Path(f"a{ending}.txt"))


def test_a_name_is_one_line_that_no_terminal_obeys():
    assert plain_name("a\n\x1b[2Jb c") == r"a\n\x1b[2Jb c"


def test_a_name_is_plain_whatever_wrote_it():
    assert plain_name(Path("été/a #1.png")) == "été/a #1.png"
    assert plain_name(unicodedata.normalize("NFD", "café.png")) == unicodedata.normalize("NFC", "café.png")
    assert plain_name(Path(os.fsdecode(b"caf\xe9.png"))) == r"caf\xe9.png"
