from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainable.data.classes.folder import ClassFolderOptions, open_class_folder
from trainable.data.soil_folder import main
from trainable.tasks.dishes import SOURCE_OF_A_FILE


@pytest.fixture
def clean(tmp_path):
    folder = tmp_path / "set" / "clean"
    folder.mkdir(parents=True)
    for number in range(6):
        pixels = np.random.default_rng(number).integers(200, 255, (24, 36, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"plate_{number:02d}{'.JPG' if number else '.png'}")
    return folder


def test_every_picture_gets_its_variants_and_the_counts_are_reported(clean, tmp_path, capsys):
    out = tmp_path / "set" / "dirty"
    assert main([str(clean), str(out), "--variations", "3", "--shares", "0", "0.5", "0.5"]) == 0
    names = [file.stem for file in out.iterdir()]
    assert len(names) == 18
    said = capsys.readouterr().out
    medium = sum("_dirty_medium_" in name for name in names)
    assert f"18 variants in {out}: 0 light, {medium} medium, {18 - medium} heavy" in said
    with Image.open(next(out.iterdir())) as variant:
        assert variant.size == (36, 24)


def test_parents_and_variants_end_up_in_one_split(clean, tmp_path):
    main([str(clean), str(tmp_path / "set" / "dirty")])
    options = ClassFolderOptions(image_size_px=16, group_pattern=SOURCE_OF_A_FILE)
    splits = open_class_folder(tmp_path / "set", options, cache_dir=tmp_path / "cache")
    for part in (splits.train, splits.validation, splits.test):
        sources = {Path(name).stem.split("_dirty_")[0] for name in part.names}
        assert len(part) == 3 * len(sources)


def test_a_folder_without_pictures_is_a_sentence(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / "empty"), str(tmp_path / "out")]) == 2
    assert "holds no picture" in capsys.readouterr().err
    assert main([str(tmp_path / "nowhere"), str(tmp_path / "out")]) == 2


def test_a_damaged_picture_is_reported_by_its_name_and_hidden_files_are_passed_over(clean, tmp_path, capsys):
    (clean / "._plate_00.png").write_bytes(b"\0\5\26\7")
    (clean / "plate_09.jpg").write_bytes((clean / "plate_01.JPG").read_bytes()[:300])
    assert main([str(clean), str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith(f"error: {clean / 'plate_09.jpg'} is damaged: ")
