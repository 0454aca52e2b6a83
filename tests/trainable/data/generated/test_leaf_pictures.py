"""The embedded leaves: the same for ever, few with labels, and not to be told apart by their mean colour."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from trainable.data.classes.labelled_images import MISSING
from trainable.data.classes.probe_set import ProbeBatches, ProbeSet
from trainable.data.generated.leaf_pictures import CONDITIONS, LeafPictureConfig, draw_leaf, leaf_splits
from trainable.metrics.probes import knn_calls, standardise

SMALL = LeafPictureConfig(num_train=10, num_unlabelled=6, num_validation=5, num_test=5)


def test_the_same_configuration_draws_the_same_leaves_and_another_seed_others(tmp_path):
    first, again = (leaf_splits(SMALL, tmp_path / name) for name in ("one", "two"))
    other = leaf_splits(replace(SMALL, picture_seed=1), tmp_path / "one")
    assert first.fingerprint == again.fingerprint
    assert set(first.fingerprint.values()).isdisjoint(other.fingerprint.values())


def test_labels_are_balanced_and_those_of_the_further_leaves_are_missing(tmp_path):
    splits = leaf_splits(SMALL, tmp_path)
    assert splits.train.class_names == CONDITIONS
    assert splits.train.class_counts() == (2, 2, 2, 2, 2)
    assert splits.train.labels[10:].tolist() == [MISSING] * 6
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [16, 5, 5]


def test_the_second_opening_draws_nothing(tmp_path):
    reported = []
    for _ in range(2):
        leaf_splits(SMALL, tmp_path, lambda done, total: reported.append((done, total)))
    assert reported == [(done, 26) for done in range(1, 27)]


def test_mean_colours_hardly_tell_the_conditions_apart_while_patterns_are_seen():
    labels = torch.arange(300) % 5
    pictures = [
        draw_leaf(LeafPictureConfig(), np.random.default_rng([7, i]), CONDITIONS[i % 5]).astype(np.float32)
        for i in range(300)
    ]
    colours = torch.tensor(np.stack([picture.mean(axis=(0, 1)) for picture in pictures]))
    bank, queries = standardise(colours[:200], colours[200:])
    by_colour = (knn_calls(bank, labels[:200], queries, num_classes=5) == labels[200:]).float().mean()
    assert by_colour < 0.45, "guessing gives 0.2"
    edges = [np.abs(np.diff(picture.mean(axis=2), axis=0))[12:36, 12:36].mean() for picture in pictures]
    means = [np.mean(edges[k::5]) for k in range(5)]
    assert means[0] == min(means)
    assert means[1] == max(means)


def test_a_probes_batches_are_the_bank_and_then_the_queries_each_image_once(tmp_path):
    splits = leaf_splits(SMALL, tmp_path)
    batches = ProbeBatches(ProbeSet(bank=splits.train, queries=splits.test), batch_size=4, device=torch.device("cpu"))
    seen = list(batches)
    assert len(batches) == len(seen) == 5
    assert all(len(images) >= 4 for images, _ in seen)
    images = torch.cat([images for images, _ in seen])
    stored = np.concatenate([splits.train.images, splits.test.images])
    np.testing.assert_allclose(images.permute(0, 2, 3, 1).numpy() * 255, stored, atol=1e-3)
    assert torch.cat([targets["is_query"] for _, targets in seen]).tolist() == [False] * 16 + [True] * 5


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"picture_px": 16}, "picture_px is 16"),
        ({"num_train": 3}, "num_train is 3"),
        ({"num_unlabelled": -1}, "num_unlabelled is -1"),
        ({"lesion_contrast": 0.0}, "lesion_contrast is 0.0"),
        ({"pixel_noise": 0.5}, "pixel_noise is 0.5"),
    ],
)
def test_a_wrong_setting_is_a_sentence(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        LeafPictureConfig(**changes)
