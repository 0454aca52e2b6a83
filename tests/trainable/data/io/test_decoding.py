"""Pixels stand upright, keep their shape and are smoothed as they shrink; masks keep two values."""

import io
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from trainable.data.io.decoding import (
    check_turns,
    crop_image,
    fitting_size,
    read_header,
    read_upright,
    shrink_image,
    shrink_mask,
)
from trainable.data.io.findings import BadFileError

ORIENTATION_TAG = 0x0112
TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("ending", ["png", "tif", "webp", "jpg"])
@pytest.mark.parametrize("orientation", TURNS)
def test_images_are_turned_as_exif_says(tmp_path, orientation, ending):
    stored = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    file = tmp_path / f"a.{ending}"
    Image.fromarray(stored).save(file, exif=exif, lossless=True)
    as_stored = np.asarray(Image.open(io.BytesIO(jpeg(stored)))) if ending == "jpg" else stored
    expected = TURNS[orientation](as_stored)
    np.testing.assert_array_equal(np.asarray(read_upright(file)), expected)
    header = read_header(file)
    assert (header.size, header.orientation) == (expected.shape[:2], orientation)


def jpeg(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg")
    return file.getvalue()


@pytest.mark.parametrize("stated", [0, 9, 65535])
def test_a_turn_that_is_none_of_the_eight_is_no_turn(tmp_path, stated):
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = stated
    Image.new("RGB", (6, 4)).save(tmp_path / "a.png", exif=exif)
    assert read_header(tmp_path / "a.png").orientation == 1
    assert read_upright(tmp_path / "a.png").size == (6, 4)


def chunks(png: bytes) -> list[bytes]:
    """The parts of a PNG behind its signature, each with length, kind and checksum."""
    found, start = [], 8
    while start < len(png):
        (length,) = struct.unpack_from(">I", png, start)
        found.append(png[start : start + length + 12])
        start += length + 12
    return found


def test_a_turn_that_a_png_states_behind_its_pixels_counts_in_the_header_too(tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    path = tmp_path / "a.png"
    Image.new("RGB", (6, 4)).save(path, exif=exif)
    *before, end = chunks(path.read_bytes())
    (turn,) = [chunk for chunk in before if chunk[4:8] == b"eXIf"]
    path.write_bytes(path.read_bytes()[:8] + b"".join(chunk for chunk in before if chunk != turn) + turn + end)
    assert read_header(path).size == read_upright(path).size[::-1] == (6, 4)


def test_the_header_of_a_png_is_read_without_its_pixels(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    assert read_header(path).size == (40, 60)
    with pytest.raises(BadFileError, match="is damaged"):
        read_upright(path)


def test_a_picture_whose_end_was_never_written_is_damaged_whatever_its_decoder_raises(tmp_path):
    path = tmp_path / "a.avif"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(path)
    head, mark, pixels = path.read_bytes().partition(b"mdat")
    path.write_bytes(head + mark + bytes(len(pixels)))
    with pytest.raises(BadFileError, match="is damaged"):
        read_upright(path)


def test_shrinking_averages_fine_detail_away():
    checkerboard = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    small = shrink_image(Image.fromarray(checkerboard), (16, 16))
    assert small.shape == (16, 16, 3)
    np.testing.assert_allclose(small, 127.5, atol=2)


def test_shrinking_a_mask_keeps_its_two_values_and_its_area():
    mask = np.zeros((60, 90), np.uint8)
    mask[15:45, 30:60] = 1
    small = shrink_mask(mask, (20, 30))
    assert small.shape == (20, 30)
    np.testing.assert_array_equal(np.unique(small), [0, 1])
    assert small.sum() == 100


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "CMYK", "1"])
def test_images_of_every_mode_become_rgb(mode):
    assert shrink_image(Image.new("RGB", (32, 32), (255, 255, 255)).convert(mode), (16, 16)).min() == 255


def test_sixteen_bit_images_stop_instead_of_turning_white():
    with pytest.raises(BadFileError, match="has more than 8 bits per pixel"):
        shrink_image(Image.fromarray(np.full((32, 32), 40000, np.uint16)), (16, 16))


@pytest.mark.parametrize(
    ("sizes", "long_side_px", "expected"),
    [
        ([(320, 480)] * 3, 240, (160, 240)),
        ([(480, 320)], 240, (240, 160)),
        ([(320, 480), (640, 960), (322, 480)], 240, (160, 240)),
        ([(320, 480), (480, 320)], 240, (240, 240)),
        ([(320, 480), (360, 480)], 352, (352, 352)),
        ([(500, 500)], 250, (240, 240)),
        ([(768, 1024)], 240, (176, 240)),
        ([(64, 96)], 240, (64, 96)),
        ([(100, 2000)], 240, (16, 240)),
        ([(5, 5)], 240, (16, 16)),
        ([], 240, (16, 16)),
    ],
)
def test_the_size_keeps_a_common_shape_and_is_a_square_without_one(sizes, long_side_px, expected):
    assert fitting_size(sizes, long_side_px) == expected


def write_png(path, width, height):
    """Black, of one bit a pixel: a large picture in a small file."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((1 + (width + 7) // 8) * height))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))


@pytest.mark.parametrize("read", [read_header, read_upright])
def test_a_picture_too_large_to_decode_is_reported_as_large_and_not_as_damaged(tmp_path, read):
    write_png(tmp_path / "mosaic.png", 20000, 9500)
    with pytest.raises(BadFileError) as caught:
        read(tmp_path / "mosaic.png")
    assert caught.value.problem == "is large: 20000x9500, 190 megapixels"
    assert caught.value.action.startswith("Pictures of up to 179 megapixels are read: cut it into tiles first")


def test_a_picture_above_what_pillow_warns_of_is_read_without_a_word(tmp_path):
    write_png(tmp_path / "mosaic.png", 12000, 8000)
    assert read_header(tmp_path / "mosaic.png").size == (8000, 12000)


def test_a_large_photograph_is_decoded_at_a_part_of_its_size(tmp_path):
    half = np.zeros((4000, 6400, 3), np.uint8)
    half[:, 3200:] = 200
    Image.fromarray(half).save(tmp_path / "photo.jpg")
    image = read_upright(tmp_path / "photo.jpg", least_px=100)
    assert max(image.size) == 800
    small = shrink_image(image, (64, 96))
    assert (small[:, 60:] > 195).all()
    assert (small[:, :36] < 5).all()
    assert read_upright(tmp_path / "photo.jpg").size == (6400, 4000)


def test_a_picture_of_the_right_size_keeps_every_pixel():
    stored = np.random.default_rng(0).integers(0, 256, (2050, 30, 3), dtype=np.uint8)
    np.testing.assert_array_equal(shrink_image(Image.fromarray(stored), (2050, 30)), stored)


@pytest.mark.parametrize("shrink", [shrink_image, crop_image])
@pytest.mark.parametrize("size", [(32, 32), (300, 200), (500, 400)])
def test_a_picture_with_transparency_is_shrunk_as_its_red_green_and_blue(shrink, size):
    bands = np.random.default_rng(0).integers(0, 256, (500, 400, 4), dtype=np.uint8)
    expected = shrink(Image.fromarray(np.ascontiguousarray(bands[..., :3])), size)
    found = shrink(Image.fromarray(bands), size)
    np.testing.assert_array_equal(found, expected)
    assert found.flags.c_contiguous


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measures as Linux does")
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_large_picture_is_shrunk_without_a_second_copy_of_it(mode):
    image = Image.new(mode, (4000, 3000), "red")
    Path("/proc/self/clear_refs").write_text("5")
    before = peak_bytes()
    shrink_image(image, (96, 128))
    assert peak_bytes() - before < 0.5 * 4 * 4000 * 3000


def peak_bytes() -> int:
    """The most memory that the process had since `clear_refs` was written to."""
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return 1024 * int(peak)


def test_colours_of_a_tiff_are_read_as_they_are_whatever_its_fourth_band(tmp_path):
    bands = np.random.default_rng(0).integers(0, 256, (32, 32, 4), dtype=np.uint8)
    Image.fromarray(bands).save(tmp_path / "tile.tif")
    np.testing.assert_array_equal(shrink_image(read_upright(tmp_path / "tile.tif"), (32, 32)), bands[..., :3])


def png_of_sixteen_bits(colours):
    """uint16 (h, w, 3), as the standard lays it out: the decoder's library writes none."""
    height, width, _ = colours.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in colours)
    parts = (
        (b"IHDR", struct.pack(">2I5B", width, height, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )


def test_colours_of_twelve_bits_in_sixteen_stop_instead_of_turning_black(tmp_path):
    twelve_bits = np.random.default_rng(0).integers(0, 2**12, (4, 6, 3), dtype=np.uint16)
    (tmp_path / "a.png").write_bytes(png_of_sixteen_bits(twelve_bits))
    with pytest.raises(BadFileError, match="has 16 bits per channel"):
        read_upright(tmp_path / "a.png")


def test_a_tiff_whose_bands_are_not_read_is_reported_as_such(tmp_path):
    (tmp_path / "bands.tif").write_bytes(b"II*\0" + bytes(60))
    with pytest.raises(BadFileError, match="is a TIFF whose bands are not read"):
        read_upright(tmp_path / "bands.tif")


@pytest.mark.parametrize("ending", ["tif", "gif", "webp", "png", "avif"])
def test_a_stack_or_an_animation_is_refused(tmp_path, ending):
    pages = [Image.fromarray(np.random.default_rng(seed).integers(0, 255, (20, 30), dtype=np.uint8)) for seed in (1, 2)]
    pages[0].save(tmp_path / f"a.{ending}", save_all=True, append_images=pages[1:])
    with pytest.raises(BadFileError, match="holds several pictures of one size"):
        read_upright(tmp_path / f"a.{ending}")


def test_a_long_stack_is_read_no_further_than_its_second_picture(tmp_path, monkeypatch):
    page = Image.new("L", (30, 20))
    page.save(tmp_path / "stack.tif", save_all=True, append_images=[page] * 6)
    seek, sought = TiffImageFile.seek, []

    def recorded(image, frame):
        sought.append(frame)
        seek(image, frame)

    monkeypatch.setattr(TiffImageFile, "seek", recorded)
    with pytest.raises(BadFileError, match="holds several pictures of one size"):
        read_upright(tmp_path / "stack.tif")
    assert sought == [1]


def test_a_tiff_with_smaller_copies_of_its_picture_is_one_picture(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (32, 48, 3), dtype=np.uint8)
    whole = Image.fromarray(pixels)
    whole.save(tmp_path / "a.tif", save_all=True, append_images=[whole.resize((24, 16)), whole.resize((12, 8))])
    np.testing.assert_array_equal(np.asarray(read_upright(tmp_path / "a.tif")), pixels)


@pytest.mark.parametrize(
    ("orientation", "size", "is_reported"),
    [(1, (8, 8), 0), (3, (8, 6), 1), (2, (8, 6), 1), (6, (8, 8), 1), (6, (8, 6), 0)],
)
def test_a_turn_that_the_size_cannot_show_is_reported(tmp_path, orientation, size, is_reported):
    picture = Image.new("RGB", size)
    exif = picture.getexif()
    exif[ORIENTATION_TAG] = orientation
    picture.save(tmp_path / "a.jpg", exif=exif)
    findings = check_turns({Path("a.jpg"): read_header(tmp_path / "a.jpg")})
    reported = ["1 of 1 are turned by EXIF, and keep their size: a.jpg"]
    assert [finding.problem for finding in findings] == reported * is_reported
