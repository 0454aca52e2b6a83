"""Small folders as annotation tools and published sets write them: eight pictures of noise, with a palm on each."""

import json
import zlib
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
from PIL import Image

NAMES = "abcdefgh"
SIDE_PX = 64
LEFT, TOP, RIGHT, BOTTOM = 4, 6, 34, 36


def picture(path: Path) -> None:
    """Noise that only this path has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(zlib.crc32(path.as_posix().encode()))
    Image.fromarray(rng.integers(0, 256, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)).save(path, quality=95)


def mask(path: Path, *, top: int = 16, value: int = 255) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    pixels[top : top + 12, 20 : 30 + zlib.crc32(path.name.encode()) % 16] = value
    Image.fromarray(pixels).save(path)


def text(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def pictures(root: Path, pattern: str = "{}.jpg") -> str:
    for name in NAMES:
        picture(root / pattern.format(name))
    return NAMES


def instances(root):
    for name in NAMES:
        picture(root / f"0{name}" / "images" / f"0{name}.png")
        for number, top in enumerate((4, 30)):
            mask(root / f"0{name}" / "masks" / f"{name}{number}.png", top=top)


def cityscapes(root):
    for split, names in (("train", "abcdef"), ("val", "gh")):
        for name in names:
            picture(root / "leftImg8bit" / split / "ulm" / f"ulm_{name}_leftImg8bit.png")
            for kind in ("labelIds", "color", "instanceIds"):
                mask(root / "gtFine" / split / "ulm" / f"ulm_{name}_gtFine_{kind}.png")


def drive(root):
    for split in ("training", "test"):
        for number in range(6):
            picture(root / split / "images" / f"{number:02d}_{split}.tif")
            mask(root / split / "1st_manual" / f"{number:02d}_manual1.gif")


def voc_of_both(root):
    for name in pictures(root, "JPEGImages/{}.jpg"):
        mask(root / "SegmentationClass" / f"{name}.png")
        mask(root / "SegmentationObject" / f"{name}.png")


def classes_in_lists(root):
    rows = [f"images/{name}.jpg {('rust', 'ok')[row % 2]}" for row, name in enumerate(pictures(root, "images/{}.jpg"))]
    text(root / "train.txt", *rows[:6])
    text(root / "test.txt", *rows[6:])


def numbered_folders(root):
    rows = []
    for row, name in enumerate(NAMES * 2):
        path = f"images/{row // 4:03d}/{name}{row}.jpg"
        picture(root / path)
        rows.append(f"{path},{('rust', 'ok')[row % 2]}")
    text(root / "labels.csv", "path,label", *rows)


def cvat(root):
    box = f'<box label="palm" xtl="{LEFT}" ytl="{TOP}" xbr="{RIGHT}" ybr="{BOTTOM}"/>'
    images = [
        f'<image id="{row}" name="{name}.jpg" width="64" height="64">{box}</image>' for row, name in enumerate(NAMES)
    ]
    pictures(root)
    text(root / "annotations.xml", "<annotations>", *images, "</annotations>")


def cvat_video(root):
    boxes = []
    for frame in range(len(NAMES)):
        picture(root / "images" / f"frame_{frame:06d}.PNG")
        boxes.append(f'<box frame="{frame}" outside="0" xtl="{LEFT}" ytl="{TOP}" xbr="{RIGHT}" ybr="{BOTTOM}"/>')
    text(root / "annotations.xml", '<annotations><track id="0" label="palm">', *boxes, "</track></annotations>")


def label_studio(root):
    at = {"x": 10, "y": 10, "width": 40, "height": 40, "rectanglelabels": ["palm"]}
    region = {"type": "rectanglelabels", "original_width": 64, "original_height": 64, "value": at}
    tasks = [{"data": {"image": f"/data/upload/1/{name}.jpg"}, "annotations": [{"result": [region]}]} for name in NAMES]
    pictures(root)
    text(root / "project.json", json.dumps(tasks))


def supervisely(root):
    points = {"exterior": [[LEFT, TOP], [RIGHT, TOP], [RIGHT, BOTTOM]], "interior": []}
    crown = {"classTitle": "palm", "geometryType": "polygon", "points": points}
    for name in pictures(root, "img/{}.jpg"):
        content = {"size": {"height": 64, "width": 64}, "objects": [crown]}
        text(root / "ann" / f"{name}.jpg.json", json.dumps(content))


def createml(root):
    crown = {"label": "palm", "coordinates": {"x": 20, "y": 20, "width": 30, "height": 30}}
    pictures(root)
    text(root / "createml.json", json.dumps([{"image": f"{name}.jpg", "annotations": [crown]} for name in NAMES]))


def kitti(root):
    for name in pictures(root, "images/{}.jpg"):
        text(root / "labels" / f"{name}.txt", f"palm 0 0 0 {LEFT} {TOP} {RIGHT} {BOTTOM} 0 0 0 0 0 0 0")


def dota(root):
    corners = f"{LEFT} {TOP} {RIGHT} {TOP} {RIGHT} {BOTTOM} {LEFT} {BOTTOM}"
    for name in pictures(root, "images/{}.jpg"):
        text(root / "labelTxt" / f"{name}.txt", "imagesource:GoogleEarth", "gsd:0.1", f"{corners} palm 0")


def parquet(root):
    columns = {"xmin": LEFT, "ymin": TOP, "xmax": RIGHT, "ymax": BOTTOM, "label": "palm"}
    table = {"image_path": [f"{name}.jpg" for name in pictures(root)]}
    table |= {name: [value] * len(NAMES) for name, value in columns.items()}
    pyarrow.parquet.write_table(pyarrow.table(table), root / "boxes.parquet")
