"""A mask inside a file of annotations takes no more memory than a picture, whatever it says of itself."""

import base64
import struct
import zlib

import numpy as np
import pytest

from trainable.data.annotations.formats.labelme import read_labelme
from trainable.data.annotations.formats.supervisely import read_supervisely
from trainable.data.annotations.objects.inline_masks import inflate, on_picture, open_png
from trainable.data.annotations.objects.written_values import ObjectError


def png_of(side_px, *chunks):
    """A PNG of black and white with these chunks behind its head."""
    head = struct.pack(">2I5B", side_px, side_px, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", head), *chunks)
    )


def png_that_states(side_px):
    """The head of a PNG, and no pixel of it."""
    return png_of(side_px, (b"IDAT", zlib.compress(b"")))


def test_a_mask_that_is_larger_than_any_picture_is_not_decoded():
    assert open_png(png_that_states(64)).size == (64, 64)
    with pytest.raises(ValueError, match="100000x100000 pixels"):
        open_png(png_that_states(100_000))


def test_a_mask_that_is_zipped_a_thousandfold_or_cut_off_is_not_unpacked():
    assert inflate(zlib.compress(b"abc")) == b"abc"
    bomb = zlib.compressobj(9)
    zipped = b"".join(bomb.compress(bytes(2**20)) for _ in range(65)) + bomb.flush()
    for damaged in (zipped, zlib.compress(b"abc")[:-4], b"abc"):
        with pytest.raises(ValueError, match=r"cut off|incorrect"):
            inflate(damaged)


def test_a_png_that_is_damaged_inside_costs_its_object():
    content = zlib.compress(bytes(64 * 9))
    png = png_of(64, (b"IDAT", content[:9]), (b"\2\xb5\x0f\xd5", content[9:]))
    shape = {
        "label": "palm",
        "shape_type": "mask",
        "points": [[0, 0], [63, 63]],
        "mask": base64.b64encode(png).decode(),
    }
    labelme = read_labelme({"shapes": [shape], "imageHeight": 64, "imageWidth": 64}, "a")
    bitmap = {"origin": [0, 0], "data": base64.b64encode(zlib.compress(png)).decode()}
    entry = {"classTitle": "palm", "geometryType": "bitmap", "bitmap": bitmap}
    supervisely = read_supervisely({"size": {"height": 64, "width": 64}, "objects": [entry]}, "a.png")
    reported = [problem.reason for found in (labelme, supervisely) for problem in found.problems]
    assert reported == ["have a damaged mask", "have a damaged bitmap"]


def test_what_reaches_beyond_the_picture_is_cut_off_and_what_begins_outside_is_damaged():
    laid = on_picture(np.ones((2, 3), bool), (3, 1), (4, 5))
    assert laid.sum() == 4
    assert laid[1:3, 3:5].all()
    with pytest.raises(ObjectError, match="damaged mask"):
        on_picture(np.ones((2, 3), bool), (-1, 0), (4, 5))
    with pytest.raises(ObjectError, match="larger than any picture"):
        on_picture(np.ones((2, 3), bool), (0, 0), (10**6, 10**6))
