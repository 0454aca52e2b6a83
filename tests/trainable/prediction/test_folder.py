"""A picture with a row is complete; a later call continues after it, whatever ended the one before."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainable.prediction.folder import PredictionFolder
from trainable.prediction.mask import MaskPrediction

PICTURE = Image.fromarray(np.full((20, 30, 3), 100, np.uint8))
MASK = MaskPrediction(np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30))


@pytest.fixture
def opened(tmp_path):
    files = {name: tmp_path / name for name in ("config", "weights")}
    for name, file in files.items():
        file.write_text(name)

    def read(*, overlay=False):
        return PredictionFolder.read(tmp_path / "out", MaskPrediction, files=files, overlay=overlay)

    return read


@pytest.fixture
def pictures(tmp_path):
    return [tmp_path / f"{name}.png" for name in "abc"]


def rows(folder):
    with (folder.path / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def predict(folder, pictures):
    for picture in folder.begin(pictures):
        folder.add(picture, PICTURE, MASK)


def test_a_row_names_the_files_of_its_picture_and_they_hold_it(opened, pictures):
    folder = opened(overlay=True)
    predict(folder, pictures[:1])
    (row,) = rows(folder)
    assert row == {
        "picture": str(pictures[0]),
        "file": "masks/a.png",
        "overlay": "overlays/a.png",
        "height_px": "20",
        "width_px": "30",
        "object_share": "0.5",
    }
    levels = np.asarray(Image.open(folder.path / row["file"]))
    np.testing.assert_allclose(levels, 255 * MASK.probabilities, atol=0.51)
    drawn = np.asarray(Image.open(folder.path / row["overlay"]))
    assert drawn.shape[1] % 30 == 0
    assert (drawn[: len(drawn) // 2] == 100).all()
    assert (drawn[-1] != 100).any()


def test_a_later_call_continues_with_the_pictures_that_have_no_row(opened, pictures):
    predict(opened(), pictures[:2])
    first = opened()
    before = (first.path / "predictions.csv").read_text()
    assert first.begin(pictures) == pictures[2:]
    predict(opened(), pictures)
    after = (first.path / "predictions.csv").read_text()
    assert after.startswith(before)
    assert len(rows(first)) == 3


def test_a_row_that_was_cut_off_and_one_whose_file_is_gone_are_predicted_again(opened, pictures):
    predict(opened(), pictures)
    table = opened().path / "predictions.csv"
    table.write_text(table.read_text()[:-4])
    (table.parent / "masks" / "a.png").unlink()
    folder = opened()
    assert folder.begin(pictures) == [pictures[0], pictures[2]]
    assert [row["picture"] for row in rows(folder)] == [str(pictures[1])]
    predict(opened(), pictures)
    assert {row["picture"] for row in rows(opened())} == {str(picture) for picture in pictures}


def test_a_folder_of_other_weights_is_refused_and_not_changed(opened, pictures, tmp_path):
    predict(opened(), pictures[:1])
    before = (tmp_path / "out" / "predictions.csv").read_bytes()
    with pytest.raises(ValueError, match="another --overlay; give another --output"):
        opened(overlay=True)
    (tmp_path / "weights").write_text("others")
    with pytest.raises(ValueError, match="other weights"):
        opened()
    assert (tmp_path / "out" / "predictions.csv").read_bytes() == before


def test_no_file_overwrites_a_picture_or_that_of_another_picture(opened, pictures, tmp_path):
    with pytest.raises(ValueError, match=r"masks.a\.png of .*a\.jpg would overwrite that of .*a\.png"):
        opened().begin([pictures[0], tmp_path / "a.jpg"])
    with pytest.raises(ValueError, match="would overwrite the picture"):
        opened().begin([tmp_path / "out" / "masks" / "a.png"])
    assert not (tmp_path / "out").exists()
    predict(opened(), pictures[:1])
    with pytest.raises(ValueError, match="would overwrite that of"):
        opened().begin([tmp_path / "elsewhere" / "a.png"])


def test_a_name_that_a_spreadsheet_would_run_is_text_and_its_picture_is_not_predicted_again(
    opened, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    picture = Path('=HYPERLINK("x").png')
    predict(opened(), [picture])
    (row,) = rows(opened())
    assert row["picture"] == f"'{picture}"
    assert opened().begin([picture]) == []


@pytest.mark.parametrize("mark", ["\u2028", "\u0085", "\x0b", "\x1c", "\n", '"', ","])
def test_a_name_with_any_mark_in_it_is_one_row_and_its_picture_is_not_predicted_again(opened, tmp_path, mark):
    predict(opened(), pictures := [tmp_path / f"a{mark}b.png", tmp_path / "c.png"])
    assert [row["picture"] for row in opened().rows] == [str(picture) for picture in pictures]
    assert opened().begin(pictures) == []


def test_a_name_of_two_lines_that_a_kill_cut_in_half_is_predicted_again(opened, tmp_path):
    predict(opened(), pictures := [tmp_path / "c.png", tmp_path / "a\nb.png"])
    table = opened().path / "predictions.csv"
    table.write_text(table.read_text().partition("a\nb")[0] + "a\n")
    assert opened().begin(pictures) == pictures[1:]


def test_a_table_that_another_program_has_saved_in_its_own_way_is_a_sentence(opened, pictures):
    predict(opened(), pictures)
    table = opened().path / "predictions.csv"
    table.write_text(table.read_text().replace(",", ";"))
    with pytest.raises(ValueError, match=r"predictions\.csv has no column picture; restore it, or give another"):
        opened()
