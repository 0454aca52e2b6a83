"""The picture of the README is made by the project."""

import sys

import numpy as np
from PIL import Image

from trainable.data.generated import scene_picture


def test_the_picture_shows_every_domain_in_its_colours(tmp_path, monkeypatch):
    path = tmp_path / "scenes.png"
    monkeypatch.setattr(sys, "argv", ["scene_picture", str(path), "--seed", "1"])
    scene_picture.main()
    picture = np.asarray(Image.open(path).convert("RGB")).astype(int)
    assert picture.shape[1] > 1000
    rows = np.array_split(picture, 4)
    strongest = [np.median(row[(np.ptp(row, axis=-1) > 60)], axis=0).argmax() for row in rows]
    assert strongest[0] == 0
    assert strongest[1] == 1
    assert strongest[2] in (1, 2)
    assert strongest[3] in (0, 2)
