"""Linear layers on frozen features, against scikit-learn itself and on features that say what they hold."""

import math
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from trainable.config import from_params
from trainable.data.classes.labelled_images import LabelledImages
from trainable.data.io.splits import Splits
from trainable.metrics.camouflage import CamouflageMetrics
from trainable.metrics.classification import ClassificationMetrics
from trainable.metrics.grading import GradingMetrics
from trainable.models.backbones.backbone import Backbone
from trainable.supervision.linear_probe import (
    STRENGTHS,
    LabelProbe,
    features_of,
    fit_heads,
    measure_probe,
    thin,
)
from trainable.supervision.pixel_probe import PixelProbe
from trainable.tasks.registry import default_config, get_task
from trainable.workloads.registry import get_workload


def clusters(labels, *, seed=0, width=5, spread=1.0):
    """Features (N, D) around a centre for each class; the last one is constant."""
    centres = np.random.default_rng(99).normal(size=(10, width))
    noise = np.random.default_rng(seed).normal(size=(len(labels), width))
    features = (3 + centres[labels] + spread * noise).astype(np.float32)
    features[:, -1] = 7.0
    return features


def batches(features, labels, size=16):
    return [(torch.from_numpy(features[at : at + size]), labels[at : at + size]) for at in range(0, len(labels), size)]


@pytest.mark.parametrize("num_classes", [2, 3])
def test_each_head_gives_the_probabilities_of_scikit_learn(num_classes):
    labels = np.random.default_rng(1).integers(num_classes, size=90)
    features = clusters(labels)
    scaler = StandardScaler().fit(features)
    for strength, head in zip(STRENGTHS, fit_heads(features, labels, num_classes), strict=True):
        reference = LogisticRegression(C=strength, max_iter=5000).fit(scaler.transform(features), labels)
        expected = reference.predict_proba(scaler.transform(features))
        np.testing.assert_allclose(head(torch.from_numpy(features)).softmax(-1).numpy(), expected, atol=2e-3)


def test_a_class_without_a_training_image_is_never_called():
    labels = np.array([0, 3] * 20)
    head = fit_heads(clusters(labels), labels, 4)[-1]
    called = head(torch.from_numpy(clusters(np.arange(4).repeat(9)))).argmax(-1)
    assert set(called.tolist()) == {0, 3}
    (alone,) = set(fit_heads(clusters(labels), np.full(40, 2), 4)[0](torch.zeros(6, 5)).argmax(-1).tolist())
    assert alone == 2


def classes_measured(train, validation, test, *, on_test):
    def split(labels, seed):
        labels = np.asarray(labels)
        return batches(clusters(labels, seed=seed, spread=2.0), torch.from_numpy(labels))

    return measure_probe(
        LabelProbe(lambda features: features, [3]),
        train=split(train, 1),
        num_images=len(train),
        validation=split(validation, 2),
        test=split(test, 3) if on_test else None,
        new_metrics=lambda: ClassificationMetrics(["a", "b", "c"]),
        better=lambda metrics: metrics["macro_f1"],
    )


def test_the_strength_is_the_best_on_validation_whatever_the_test_split_holds():
    train, validation, test = [0, 1, 2] * 10, [0, 1, 2] * 30, [2, 1, 0] * 30
    features = clusters(np.array(validation), seed=2, spread=2.0)
    heads = fit_heads(clusters(np.array(train), seed=1, spread=2.0), np.array(train), 3)
    scores = []
    for head in heads:
        metrics = ClassificationMetrics(["a", "b", "c"])
        metrics.update(head(torch.from_numpy(features)).softmax(-1), torch.tensor(validation))
        scores.append(metrics.compute())
    best = max(scores, key=lambda one: one["macro_f1"])
    assert len({one["macro_f1"] for one in scores}) > 1
    assert classes_measured(train, validation, test, on_test=False) == pytest.approx(best)

    chosen = heads[scores.index(best)]
    metrics = ClassificationMetrics(["a", "b", "c"])
    metrics.update(
        chosen(torch.from_numpy(clusters(np.array(test), seed=3, spread=2.0))).softmax(-1), torch.tensor(test)
    )
    assert classes_measured(train, validation, test, on_test=True) == pytest.approx(metrics.compute())


def test_a_missing_grade_teaches_nothing_and_each_task_has_its_own_layer():
    rng = np.random.default_rng(4)
    labels = np.stack([rng.integers(2, size=80), rng.integers(3, size=80)], axis=1)
    features = np.concatenate([clusters(labels[:, 0]), clusters(labels[:, 1] + 4)], axis=1)
    known = labels.copy()
    known[::2, 0] = -1
    wrong = labels.copy()
    wrong[::2, 0] = 1 - wrong[::2, 0]
    accuracy = {}
    for name, taught in (("known", known), ("wrong", wrong)):
        measured = measure_probe(
            LabelProbe(lambda features: features, [2, 3]),
            train=batches(features, torch.from_numpy(taught)),
            num_images=80,
            validation=batches(features, torch.from_numpy(labels)),
            test=None,
            new_metrics=lambda: GradingMetrics({"one": ("no", "yes"), "two": ("a", "b", "c")}),
            better=lambda metrics: metrics["mean_kappa"],
        )
        accuracy[name] = measured["one_accuracy"], measured["two_accuracy"]
    assert accuracy["known"][0] > 0.85 > accuracy["wrong"][0]
    assert accuracy["known"][1] > 0.6


class ColourBackbone(Backbone):
    """Four maps of which the finest is the image's colour at stride 4."""

    def __init__(self):
        super().__init__([nn.Identity()] * 4, (3, 3, 3, 3), lambda images, moments: images)

    def forward(self, images, moments=None):
        return [nn.functional.avg_pool2d(images, stride) for stride in (4, 8, 16, 32)]


class ColourNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = ColourBackbone()


def coloured(masks, seed):
    noise = 0.1 * torch.randn(len(masks), 3, 64, 64, generator=torch.Generator().manual_seed(seed))
    return [((0.4 + 0.2 * masks + noise).clamp(0, 1), masks)]


def squares(places):
    masks = torch.zeros(len(places), 1, 64, 64)
    for mask, place in zip(masks, places, strict=True):
        mask[:, place : place + 16, place : place + 16] = 1
    return masks


def masks_measured(train, validation):
    return measure_probe(
        PixelProbe.of(ColourNet()),
        train=train,
        num_images=6,
        validation=validation,
        test=None,
        new_metrics=CamouflageMetrics,
        better=lambda metrics: metrics["s_measure"],
    )


def test_pixels_that_differ_in_their_features_are_found():
    found = masks_measured(coloured(squares(range(0, 48, 8)), 0), coloured(squares([4, 12, 36]), 1))
    assert found["iou"] > 0.8


def test_masks_of_noise_are_not_found():
    def noise(seed, count):
        generator = torch.Generator().manual_seed(seed)
        return (torch.rand(count, 1, 64, 64, generator=generator) < 0.1).float()

    images, _ = coloured(squares(range(0, 48, 8)), 0)[0]
    found = masks_measured([(images, noise(1, 6))], [(images[:3], noise(2, 3))])
    assert found["iou"] < 0.11


def test_a_probability_is_that_of_all_pixels_although_half_of_the_sample_is_object():
    """If all features are equal, the probability is the share of object pixels, 1 in 16."""
    masks = squares(range(0, 48, 8))
    flat = [(torch.full((6, 3, 64, 64), 0.5), masks)]
    candidates = PixelProbe.of(ColourNet()).fit(flat, 6)
    probabilities = candidates[-1](torch.full((1, 12, 16, 16), 0.5), masks[:1])
    assert probabilities.shape == (1, 1, 64, 64)
    assert probabilities.mean().item() == pytest.approx(1 / 16, rel=0.05)


def test_of_many_images_every_nth_is_taken_over_all_batches():
    given = [(torch.arange(start, start + 7), torch.arange(start, start + 7)) for start in range(0, 70, 7)]
    taken = [number for images, _ in thin(given, 70, most=20) for number in images.tolist()]
    assert taken == list(range(0, 70, 4))
    assert sum(len(images) for images, _ in thin(given, 70, most=70)) == 70


def test_without_scikit_learn_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(ValueError, match="needs scikit-learn, which is not installed: pip install scikit-learn"):
        fit_heads(np.eye(4, dtype=np.float32), np.array([0, 1, 0, 1]), 2)


@pytest.mark.parametrize("name", ["dishes", "leaf", "retina", "leaf_pretrain", "moe_pretrain"])
def test_frozen_features_are_what_the_head_of_each_network_reads(name):
    task = get_task(name)
    config = task.default_config()
    model = task.build_model(config).eval()
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    given = torch.stack([images, images], dim=1) if name == "moe_pretrain" else images
    with torch.no_grad():
        features = model(images).embeddings
        torch.testing.assert_close(features_of(model)(images), features)
        encoded = task.linear_probe(config, model).encode(given)
    torch.testing.assert_close(encoded[:, 0] if name == "moe_pretrain" else encoded, features)


def test_the_probe_of_masks_is_on_the_backbone_of_the_network():
    task = get_task("moe")
    config = task.default_config()
    model = task.build_model(config).eval()
    with torch.no_grad():
        features = task.linear_probe(config, model).encode(torch.rand(2, 3, 64, 96))
    assert features.shape == (2, sum(model.backbone.channels), 16, 24)


def test_without_a_probe_a_clause_says_why():
    def why(name, **changes):
        config = default_config(name)
        return get_workload(name).no_linear_probe(replace(config, **changes))

    assert why("moe") == "the network starts from scratch; give trained weights by --init or --set weights=..."
    assert why("moe", init_weights="weights.pt") is None
    assert "proposes no boxes" in why("agroforestry", init_weights="weights.pt")
    with pytest.raises(ValueError, match="No linear probe: a linear probe proposes no boxes"):
        get_task("agroforestry").linear_probe(default_config("agroforestry"), nn.Identity())
    with pytest.raises(ValueError, match="No linear probe: Identity has no method features"):
        get_task("dishes").linear_probe(default_config("dishes"), nn.Identity())
    with pytest.raises(ValueError, match="No linear probe: Identity has no backbone"):
        get_task("moe").linear_probe(default_config("moe"), nn.Identity())


def test_a_module_called_features_is_not_taken_for_the_method():
    network = nn.Module()
    network.features = nn.Sequential(nn.Conv2d(3, 4, 1))
    with pytest.raises(ValueError, match="No linear probe: Module has no method features"):
        features_of(network)


def labelled(count, seed):
    """Plates whose second class has a brighter centre."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = rng.integers(60, 120, size=(count, 48, 48, 3), dtype=np.uint8)
    images[labels == 1, 12:36, 12:36] += 100
    names = tuple(f"{seed}-{number}" for number in range(count))
    return LabelledImages(images=images, labels=labels, names=names, class_names=("clean", "dirty"))


def test_a_workload_measures_the_network_as_it_starts_and_leaves_the_random_streams_alone(tmp_path):
    workload, task = get_workload("dishes"), get_task("dishes")
    splits = Splits(train=labelled(60, 0), validation=labelled(20, 1), test=labelled(40, 2), fingerprint={})
    config = task.adapt_to_data(task.default_config(), splits)
    torch.manual_seed(0)
    torch.save(task.build_model(config).state_dict(), tmp_path / "weights.pt")
    config = from_params({"weights": str(tmp_path / "weights.pt")}, config)
    before = torch.get_rng_state()
    validation, test = (workload.linear_probe(config, splits, split) for split in ("validation", "test"))
    assert torch.equal(torch.get_rng_state(), before)
    assert workload.linear_probe(config, splits, "test") == test
    # Bright and dark plates are told apart by almost any features.
    assert min(validation["macro_f1"], test["macro_f1"]) > 0.85
    shuffled = replace(
        splits, train=replace(splits.train, labels=np.random.default_rng(0).permutation(splits.train.labels))
    )
    assert workload.linear_probe(config, shuffled, "test")["macro_f1"] < 0.8


class Correlation(ClassificationMetrics):
    """Of the called class with the true one: not defined where either is constant."""

    def __init__(self):
        super().__init__(["clean", "dirty"])
        self.called, self.labels = [], []

    def update(self, scores, targets):
        super().update(scores, targets)
        self.called += scores.argmax(-1).tolist()
        self.labels += targets.tolist()

    def compute(self):
        with np.errstate(invalid="ignore"):
            return super().compute() | {"macro_f1": float(np.corrcoef(self.called, self.labels)[0, 1])}


class CorrelatedPlates(type(get_task("dishes"))):
    def build_metrics(self, config, *, final):
        return Correlation()


def test_where_the_objective_is_not_finite_there_is_no_baseline():
    task = CorrelatedPlates()
    one_class = replace(labelled(20, 1), labels=np.zeros(20, np.int64))
    splits = Splits(train=labelled(60, 0), validation=labelled(20, 1), test=one_class, fingerprint={})
    config = task.adapt_to_data(task.default_config(), splits)
    probe = task.linear_probe(config, task.build_model(config).eval())
    assert task.probe_metrics(config, splits, "validation", probe)["macro_f1"] > 0
    with pytest.raises(ValueError, match="No linear probe: its macro_f1 on the test split is not finite"):
        task.probe_metrics(config, splits, "test", probe)
    floor = task.trivial_floor(config, splits, "validation")
    assert (floor.name, math.isfinite(floor.objective)) == ("random classes", True)
    assert task.trivial_floor(config, splits, "test") is None


@pytest.mark.parametrize("values", [(math.nan, 0.2, 0.4), (0.4, math.nan, 0.2), (0.2, 0.4, math.nan)])
def test_a_probe_without_a_finite_value_is_never_the_best(values):
    class Heads:
        def fit(self, train, num_images):
            return values

    class Value:
        def __init__(self):
            self.value = next(measured)

        def compute(self):
            return {"score": self.value}

    measured = iter(values)
    found = measure_probe(
        Heads(), train=[], num_images=1, validation=[], test=None, new_metrics=Value, better=lambda one: one["score"]
    )
    assert found == {"score": 0.4}
