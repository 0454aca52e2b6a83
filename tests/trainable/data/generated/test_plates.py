import numpy as np
import pytest

from trainable.data.drawing.dirt import SEVERITIES, soil
from trainable.data.generated.plates import PlateConfig, draw_plate, plate_splits

SMALL = PlateConfig(plate_size_px=32, num_train=20, num_validation=10, num_test=10)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_every_split_has_its_share_of_dirty_plates(tmp_path):
    splits = plate_splits(SMALL, tmp_path)
    parts = (splits.train, splits.validation, splits.test)
    assert [part.class_counts() for part in parts] == [(16, 4), (8, 2), (8, 2)]
    for part in parts:
        assert [name.split("/")[1] for name in part.names] == [part.class_names[label] for label in part.labels]


def test_the_same_configuration_gives_the_same_plates_and_another_seed_others(tmp_path):
    again, other = (
        PlateConfig(plate_size_px=32, num_train=20, num_validation=10, num_test=10),
        PlateConfig(plate_size_px=32, num_train=20, num_validation=10, num_test=10, plate_seed=1),
    )
    first, second, third = (
        plate_splits(config, tmp_path / str(number)).fingerprint for number, config in enumerate((SMALL, again, other))
    )
    assert first == second
    assert first["all"] != third["all"]


def test_more_plates_leave_the_first_ones_as_they_are(tmp_path):
    few, many = (
        plate_splits(SMALL, tmp_path / "few"),
        plate_splits(PlateConfig(plate_size_px=32, num_train=30, num_validation=10, num_test=10), tmp_path / "many"),
    )
    assert np.array_equal(few.train.images, many.train.images[:20])


def test_leftovers_are_drawn_inside_the_plate_and_show_with_their_contrast():
    """The same numbers draw the same plate; what differs is the dirt and the noise that comes after it."""
    changes = []
    for contrast in (0.3, 0.9):
        config = PlateConfig(plate_size_px=64, dirt_contrast=contrast, noise=0.0)
        clean, dirty = (draw_plate(config, rng(3), is_dirty=is_dirty).astype(int) for is_dirty in (False, True))
        changed = np.abs(dirty - clean).max(axis=2)
        assert changed[:4].max() == changed[-4:].max() == 0
        changes.append(changed.mean())
    assert changes[1] > 2 * changes[0] > 0


@pytest.mark.parametrize("bad", [{"plate_size_px": 16}, {"num_train": 5}, {"dirty_share": 0.0}, {"dirt_contrast": 0.0}])
def test_impossible_plates_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        PlateConfig(**bad)


def test_heavier_dirt_covers_more():
    plates = [draw_plate(SMALL, rng(seed), is_dirty=False) for seed in range(12)]
    covered = {
        severity: np.mean(
            [
                np.abs(soil(plate, rng(seed), severity=severity).astype(int) - plate).max(axis=2) > 20
                for seed, plate in enumerate(plates)
            ]
        )
        for severity in SEVERITIES
    }
    assert 0 < covered["light"] < covered["medium"] / 1.5 < covered["heavy"] / 2.25


def test_dirt_stays_within_its_reach_and_leaves_the_original_alone():
    plate = draw_plate(PlateConfig(plate_size_px=64), rng(), is_dirty=False)
    before = plate.copy()
    changed = (soil(plate, rng(), severity="light", reach=0.1) != plate).any(axis=2)
    assert changed.any()
    assert not changed[:10].any()
    assert np.array_equal(plate, before)


def test_an_image_that_is_not_square_keeps_its_shape_and_gets_dirty_in_the_middle():
    plate = np.full((40, 80, 3), 230, np.uint8)
    changed = (soil(plate, rng(), severity="heavy", reach=0.1) != plate).any(axis=2)
    assert changed.shape == (40, 80)
    assert changed[:, 30:50].any()
    assert not changed[:, :8].any()
