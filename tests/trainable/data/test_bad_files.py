"""Wrong data folders, each with the sentence that its user reads. `{root}` stands for the folder given.

The table is the list of functions: the decorator holds the sentence and the options, the body what is wrong.
"""

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainable.data.image_mask import folder_build
from trainable.data.image_mask.folder import open_image_masks
from trainable.data.image_mask.folder_source import FolderOptions
from trainable.data.io import files

Spoil = Callable[[Path], object]
CASES: dict[str, tuple[Spoil, dict[str, object], str]] = {}
"""The change to a good folder of ten pairs, the options, and the expected message."""


def case(sentence: str, **options: object) -> Callable[[Spoil], Spoil]:
    def register(spoil: Spoil) -> Spoil:
        CASES[spoil.__name__] = (spoil, options, sentence)
        return spoil

    return register


def save_mask(root: Path, values: np.ndarray, name: str = "img_003.png") -> None:
    Image.fromarray(values).save(root / "GT" / name)


def move_to(root: Path, part: str, names: list[str]) -> None:
    for folder in ("Imgs", "GT"):
        (root / part / folder).mkdir(parents=True)
        for name in names:
            (root / folder / f"{name}.png").rename(root / part / folder / f"{name}.png")


@case("The data folder {root} does not exist. Did you mean {root}_old?")
def the_folder_is_not_there(root):
    root.rename(root.with_name(f"{root.name}_old"))


@case("{root} is a file, but --data takes a folder: the one that holds Imgs, Image or Images beside GT")
def the_folder_is_a_file(root):
    shutil.rmtree(root)
    root.touch()


@case("No images with masks were found in {root}: expected Imgs, Image or Images beside GT, GT_Object, Mask or Masks, ")
def other_folder_names(root):
    (root / "Imgs").rename(root / "left")


@case("at most 4 levels down; it holds nothing.")
def an_empty_folder(root):
    shutil.rmtree(root)
    root.mkdir()


@case("{root} is itself an image or mask folder; give the folder above it: {root.parent}.", root="data/Imgs")
def the_image_folder_itself(root):
    return root


@case("  Imgs  10 images without masks: there is only outlines beside it")
def no_mask_folder(root):
    (root / "GT").rename(root / "outlines")


@case("  .  holds more than one mask folder: GT, Mask")
def two_mask_folders(root):
    shutil.copytree(root / "GT", root / "Mask")


@case("error: Put images there, with the endings .jpg, .png, .tif, .webp, .bmp or .gif.\n  Imgs  holds no image")
def no_images(root):
    for path in (root / "Imgs").iterdir():
        path.rename(path.with_suffix(".heic"))


@case(
    "error: Add the mask under the image's name, or remove the image.\n"
    "  Imgs/img_003.png  has no mask: GT holds no img_003; there is img_003_final, but names must be equal"
)
def a_mask_of_another_name(root):
    (root / "GT" / "img_003.png").rename(root / "GT" / "img_003_final.png")


@case("error: Add the image, or remove the mask.\n  GT/img_003.png  has no image: Imgs holds no img_003")
def an_image_is_missing(root):
    (root / "Imgs" / "img_003.png").unlink()


@case("error: Keep one of the two.\n  Imgs/img_003.png  has the same name as img_003.jpg")
def two_images_of_one_name(root):
    Image.open(root / "Imgs" / "img_003.png").save(root / "Imgs" / "img_003.jpg")


@case("error: Restore the file, or remove it.\n  Imgs/img_003.png  is a link to a file that is not there")
def a_broken_link(root):
    (root / "Imgs" / "img_003.png").unlink()
    (root / "Imgs" / "img_003.png").symlink_to("annex")


@case("error: Copy the file again from its source, or remove it.\n  Imgs/img_003.png  is empty: 0 bytes")
def an_empty_image(root):
    (root / "Imgs" / "img_003.png").write_bytes(b"")


@case("  GT/img_003.png  is not an image in a known format, whatever its ending says")
def a_mask_that_is_text(root):
    (root / "GT" / "img_003.png").write_text("version https://git-lfs.github.com/spec/v1")


@case("  Imgs/img_003.jpg  is damaged: image file is truncated")
def a_truncated_photograph(root):
    path = root / "Imgs" / "img_003.png"
    Image.open(path).save(path.with_suffix(".jpg"))
    path.unlink()
    content = path.with_suffix(".jpg").read_bytes()
    path.with_suffix(".jpg").write_bytes(content[: len(content) // 2])


@case("  Imgs/img_003.png  has more than 8 bits per pixel (mode I;16)")
def an_image_of_sixteen_bits(root):
    Image.fromarray(np.full((32, 48), 40000, np.uint16)).save(root / "Imgs" / "img_003.png")


@case(
    "error: Make mask and image the same size (masks by nearest neighbour), or remove the pair.\n"
    "  GT/img_003.png  is 24x16 but its image is 48x32\n"
)
def a_mask_of_another_size(root):
    save_mask(root, np.eye(16, 24, dtype=np.uint8) * 255)


@case("  GT/img_003.png  is 48x32 but its image is 32x48, which is the image before its EXIF turn")
def a_mask_drawn_before_the_exif_turn(root):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(root / "Imgs" / "img_003.png").save(root / "Imgs" / "img_003.png", exif=exif)


@case(
    "error: Save masks as 8-bit grey images of 0 (background) and 255 (object), or say which of these values are the "
    "object, such as --set foreground_values='[\"1\"]'.\n"
    "  GT/img_003.png  its brightest value is 11 of 255, so that nothing would be object"
)
def class_ids_instead_of_a_mask(root):
    save_mask(root, np.arange(32 * 48, dtype=np.uint8).reshape(32, 48) % 12)


@case("  GT/img_003.png  is a mask in colours, as of several classes")
def a_coloured_mask(root):
    values = np.zeros((32, 48, 3), np.uint8)
    values[8:16, 8:16] = (255, 0, 0)
    save_mask(root, values)


@case("  GT/img_003.png  is a mask with more than 8 bits per pixel (mode I;16)")
def a_mask_of_sixteen_bits(root):
    save_mask(root, np.eye(32, 48, dtype=np.uint16) * 300)


@case("  all masks  beside 0 1 hold 150 (GT/img_003.png), 9 hold 255 (GT/img_000.png): these may be classes, instances")
def a_mask_with_another_value(root):
    save_mask(root, np.eye(32, 48, dtype=np.uint8) * 150)


@case("  GT/img_003.tif  holds several pictures of one size")
def a_mask_of_two_pages(root):
    page = Image.open(root / "GT" / "img_003.png")
    page.save(root / "GT" / "img_003.tif", save_all=True, append_images=[page.rotate(180)])
    (root / "GT" / "img_003.png").unlink()


@case("  GT/img_003.png  is a mask with transparency (mode RGBA)")
def a_transparent_mask(root):
    save_mask(root, np.eye(32, 48, dtype=np.uint8)[..., None] * np.array([0, 0, 0, 255], np.uint8))


@case(
    "error: If 255 is the background in these masks, add --inverted-masks; "
    "if the objects really are that large, --no-inverted-masks.\n"
    "  all masks  the object covers 81% of the median mask and most of the border in 10 of 10: they look inverted"
)
def inverted_masks(root):
    for path in (root / "GT").iterdir():
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)


@case(
    "error: Leave --inverted-masks out: 255 already is the object in these masks.\n"
    "  all masks  after --inverted-masks the object covers 81% of the median mask",
    inverted_masks=True,
)
def inverted_masks_that_are_not(root):
    return root


@case("  all masks  not one of 10 masks has a pixel above 127")
def only_empty_masks(root):
    for path in (root / "GT").iterdir():
        Image.new("L", (48, 32)).save(path)


@case(
    "error: Remove one of the two: what is trained on cannot be tested on.\n"
    "  Train/Imgs/img_004.png  (train) is the same picture as Test/Imgs/img_000.png (test)"
)
def a_test_image_in_training(root):
    shutil.copy(root / "Imgs" / "img_000.png", root / "Imgs" / "img_004.png")
    move_to(root, "Test", ["img_000", "img_001"])
    move_to(root, "Train", [f"img_{number:03d}" for number in range(2, 10)])
    shutil.rmtree(root / "Imgs")
    shutil.rmtree(root / "GT")


@case("(train) has the same source 'img_00' as Test/Imgs/img_000.png (test)", group_pattern=r"img_\d\d")
def a_test_video_in_training(root):
    move_to(root, "Test", ["img_000", "img_001"])


@case("  all images  2 images in 2 groups cannot be split into train, validation, test: at least 3 groups are needed.")
def too_few_images(root):
    for number in range(2, 10):
        for folder in ("Imgs", "GT"):
            (root / folder / f"img_{number:03d}.png").unlink()


@case(
    "error: Add images, or give the folder above a train and a test folder.\n"
    "  all images  no picture is of train: folders or lists say another split of each."
)
def only_a_test_folder(root):
    move_to(root, "TestDataset", [f"img_{number:03d}" for number in range(10)])
    shutil.rmtree(root / "Imgs")
    shutil.rmtree(root / "GT")


@case("10 images in 1 group cannot be split into train, validation, test", group_pattern="img")
def one_group_of_everything(root):
    return root


@case("group_pattern 'clip' is not found in 10 of 10 names, such as 'img_000'; it must hold", group_pattern="clip")
def a_pattern_that_no_name_holds(root):
    return root


@case("group_pattern is '(', which is not a regular expression (missing ), unterminated", group_pattern="(")
def a_pattern_that_is_none(root):
    return root


@case("image_size is (8, 96), but height and width must be at least 16.", image_size=(8, 96))
def an_image_size_too_small(root):
    return root


@case("long_side_px is 0, but must be at least 16.", long_side_px=0)
def a_long_side_of_nothing(root):
    return root


@case("split_seed is -1, but must be 0 or more.", split_seed=-1)
@case("split_fractions is (0.8, 0.2, 0.0), but must be three positive shares", fractions=(0.8, 0.2, 0.0))
def no_share_for_the_test(root):
    return root


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_folder_is_reported_in_its_sentence(tmp_path, write_pairs, name):
    spoil, given, sentence = CASES[name]
    options = dict(given)
    root = tmp_path / "data"
    write_pairs(root)
    spoil(root)
    root = tmp_path / options.pop("root", "data")
    with pytest.raises(ValueError) as caught:
        open_image_masks(root, FolderOptions(**options), cache_dir=tmp_path / "cache")
    assert sentence.replace("{root}", str(root)).replace("{root.parent}", str(root.parent)) in f"{caught.value}\n"


def test_a_full_disk_is_reported_and_leaves_nothing_half_made(tmp_path, write_pairs, monkeypatch):
    def fill_up(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    write_pairs(tmp_path / "data")
    monkeypatch.setattr(folder_build, "write_splits", fill_up)
    cache_dir = tmp_path / "cache"
    with pytest.raises(ValueError, match=rf"The disk of the cache folder {cache_dir} is full"):
        open_image_masks(tmp_path / "data", FolderOptions(), cache_dir=cache_dir)
    assert [path.name for path in cache_dir.iterdir() if path.is_dir()] == ["file_hashes"]


def test_a_cache_folder_that_cannot_be_written_is_reported(tmp_path, write_pairs):
    write_pairs(tmp_path / "data")
    (tmp_path / "cache").touch()
    with pytest.raises(ValueError, match=r"The cache folder .* cannot be written .* set VISION_TUNER_CACHE"):
        open_image_masks(tmp_path / "data", FolderOptions(), cache_dir=tmp_path / "cache")


def test_files_that_may_not_be_read_are_reported_by_name(tmp_path, write_pairs, monkeypatch):
    def forbid(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    write_pairs(tmp_path / "data")
    monkeypatch.setattr(files.hashlib, "file_digest", forbid)
    with pytest.raises(ValueError) as caught:
        open_image_masks(tmp_path / "data", FolderOptions(), cache_dir=tmp_path / "cache")
    assert str(caught.value).splitlines()[:3] == [
        f"{tmp_path / 'data'}: 20 of 20 files cannot be opened.",
        "error: Make the file readable, or remove it.",
        "  Imgs/img_000.png  cannot be opened: Permission denied",
    ]
