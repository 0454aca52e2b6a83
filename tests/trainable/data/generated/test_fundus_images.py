"""Promises of the drawn fundus photographs: repeatable, graded by their lesions, patients kept together."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from trainable.data.classes.labelled_images import MISSING
from trainable.data.generated.fundus_drawing import draw_fundus, place_eye
from trainable.data.generated.fundus_images import JOINT_SHARES, FundusConfig, fundus_splits, grade_counts

CONFIG = FundusConfig(image_size_px=48, num_train=40, num_validation=21, num_test=20)
SIZE_PX = 128


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    return fundus_splits(CONFIG, tmp_path_factory.mktemp("cache"))


def lesions(seed, *, retinopathy, edema):
    """The difference that the lesions make, (H, W, 3): the same numbers are drawn whatever the contrast."""
    shown, hidden = (
        draw_fundus(
            np.random.default_rng(seed),
            SIZE_PX,
            retinopathy=retinopathy,
            edema=edema,
            is_left=True,
            contrast=contrast,
        ).astype(int)
        for contrast in (1.0, 0.0)
    )
    return shown - hidden


def spots(changed):
    return ndimage.label(changed)[1]


def test_another_opening_gives_the_same_photographs_and_another_seed_gives_others(splits, tmp_path):
    again = fundus_splits(CONFIG, tmp_path)
    other = fundus_splits(
        FundusConfig(image_size_px=48, num_train=40, num_validation=21, num_test=20, seed=1), tmp_path
    )
    assert again.fingerprint == splits.fingerprint
    assert other.fingerprint["train"] != splits.fingerprint["train"]
    np.testing.assert_array_equal(again.test.images, splits.test.images)


def test_every_split_has_about_the_published_shares_of_both_grades(splits):
    for count in (20, 40, 161):
        counts = grade_counts(count)
        assert counts.sum() == count
        assert np.abs(counts - count * JOINT_SHARES).max() <= 1
    labels = splits.test.labels
    both = np.zeros((5, 3), int)
    np.add.at(both, (labels[:, 0], labels[:, 1]), 1)
    np.testing.assert_array_equal(both, grade_counts(20))


def test_a_patient_has_two_eyes_in_one_split_alike_in_their_grades(splits):
    patients = {name.split("_")[1] for name in splits.test.names}
    assert len(patients) == 10
    first, second = splits.test.labels[0::2], splits.test.labels[1::2]
    assert (first == second).all(axis=1).mean() >= 0.5
    assert [name.rsplit("_", 1)[1] for name in splits.test.names] == ["left", "right"] * 10


def test_labels_are_missing_in_training_alone(splits):
    assert 0 < (splits.train.labels == MISSING).mean() < 0.4
    for split in ("validation", "test"):
        assert (getattr(splits, split).labels != MISSING).all()


def test_nothing_is_drawn_on_a_healthy_eye():
    assert not any(lesions(seed, retinopathy=0, edema=0).any() for seed in range(8))


def test_a_higher_grade_shows_more_dark_spots():
    def dark_spots(grade):
        counts = [spots(lesions(seed, retinopathy=grade, edema=0)[..., 0] < -15) for seed in range(12)]
        return np.mean(counts)

    shown = [dark_spots(grade) for grade in range(4)]
    assert all(fewer + 1 < more for fewer, more in pairwise(shown))


def test_exudates_lie_within_a_discs_width_of_the_macula_or_farther_away():
    pixel = (np.arange(SIZE_PX) + 0.5) / SIZE_PX
    for seed in range(12):
        macula = place_eye(np.random.default_rng(seed), is_left=True).macula
        distance = np.hypot(pixel[None, :] - macula[0], pixel[:, None] - macula[1])
        nearest = {edema: distance[lesions(seed, retinopathy=0, edema=edema)[..., 1] > 40].min() for edema in (1, 2)}
        assert nearest[2] < 0.15 < nearest[1]


def test_left_and_right_eyes_are_mirrored():
    for seed in range(6):
        left, right = (place_eye(np.random.default_rng(seed), is_left=is_left) for is_left in (True, False))
        assert left.optic_disc[0] < left.macula[0]
        assert right.optic_disc[0] > right.macula[0]


def test_progress_counts_every_photograph_once(tmp_path):
    seen = []
    fundus_splits(
        FundusConfig(image_size_px=48, num_train=20, num_validation=20, num_test=20),
        tmp_path,
        lambda done, total: seen.append((done, total)),
    )
    assert seen == [(done, 60) for done in range(1, 61)]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"image_size_px": 16}, "image_size_px is 16; it must be from 48 to 1024"),
        ({"num_train": 5}, "num_train is 5; it must be 20 or more"),
        ({"lesion_contrast": 1.5}, "lesion_contrast is 1.5; it must be from 0 to 1"),
        ({"unlabelled_share": 1.0}, "unlabelled_share is 1.0; it must be from 0 to 0.9"),
    ],
)
def test_wrong_settings_are_refused_with_a_sentence(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        FundusConfig(**settings)
