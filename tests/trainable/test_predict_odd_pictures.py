"""Other files in a folder of pictures do not stop the prediction, and those not predicted are reported."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainable.test_predict import export, run, save_picture


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("odd")
    export(root, "dishes")
    return root


@pytest.fixture(autouse=True)
def log(caplog):
    caplog.set_level("INFO", "trainable")


@pytest.fixture
def pictures(folder, tmp_path):
    """A folder of one good picture, below that of the network."""
    place = folder / tmp_path.name
    save_picture(place / "good.png", (24, 32))
    return place


def predicted(pictures):
    with (pictures / "out.csv" / "predictions.csv").open(newline="", errors="surrogateescape") as file:
        return {Path(row["picture"]).name for row in csv.DictReader(file)}


def predict(folder, pictures):
    return run(folder, "--output", str(pictures / "out.csv"), images=pictures.name)


def test_pictures_of_every_mode_and_name_are_predicted(folder, pictures, caplog):
    grey = np.zeros((20, 24), np.uint8)
    Image.fromarray(grey).save(pictures / "grey.png")
    Image.fromarray(grey > 0).save(pictures / "a#b, 'c'.png")
    Image.fromarray(np.dstack([grey] * 4), "CMYK").save(pictures / "日本 é.jpg")
    Image.fromarray(np.dstack([grey] * 4)).save(os.fsencode(pictures) + b"/lat\xe9.png", "PNG")
    (pictures / "link.png").symlink_to("good.png")
    assert predict(folder, pictures) == 0
    expected = {"good.png", "grey.png", "a#b, 'c'.png", "日本 é.jpg", "lat\udce9.png", "link.png"}
    assert predicted(pictures) == expected
    assert "lat\\xe9.png: " in caplog.text
    assert predict(folder, pictures) == 0
    assert predicted(pictures) == expected


def test_each_file_that_is_no_picture_is_reported_and_counted(folder, pictures, caplog):
    Image.fromarray(np.zeros((20, 24), np.uint16)).save(pictures / "deep.png")
    (pictures / "dead.png").symlink_to("nowhere.png")
    (pictures / "text.jpg").write_text("no picture")
    (pictures / "none.png").touch()
    (pictures / "folder.png").mkdir()
    assert predict(folder, pictures) == 1
    assert predicted(pictures) == {"good.png"}
    said = caplog.text
    for sentence in (
        "deep.png: has more than 8 bits per pixel",
        "dead.png: is a link to a file that is not there.",
        "text.jpg: is not an image in a known format",
        "none.png: is empty: 0 bytes",
        "4 of 5 could not be read",
    ):
        assert sentence in said


def test_pictures_in_folders_below_are_not_passed_over_in_silence(folder, pictures, caplog):
    save_picture(pictures / "more" / "a.png", (24, 32))
    assert predict(folder, pictures) == 0
    assert f"Not predicted: pictures in {pictures / 'more'}; give these folders, too." in caplog.text
    (pictures / "good.png").unlink()
    assert predict(folder, pictures) == 2
    assert f"holds no images; pictures lie in {pictures / 'more'}: give these." in caplog.text
