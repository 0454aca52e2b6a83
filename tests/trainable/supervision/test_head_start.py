"""A last layer that starts at a linear probe, against scikit-learn's own regression."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from trainable.config import from_params
from trainable.data.generated.fundus_images import FundusConfig
from trainable.models.output import as_model_output
from trainable.supervision.head_start import LEAST_LOGIT, STRENGTH, start_head
from trainable.tasks.registry import get_task
from trainable.training_run import TrainingRun

TASK = get_task("retina")
FEW = FundusConfig(image_size_px=48, num_train=32, num_validation=24, num_test=20)
STILL = {"head_start": "probe", "augmentation": False, "max_lr": 1e-12, "averaging": True}
"""Nothing moves after the start."""


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    default = TASK.default_config()
    config = replace(default, max_epochs=2, data=replace(default.data, fundus=FEW))
    splits = TASK.open_data(config, cache_dir=tmp_path_factory.mktemp("cache"))
    return TASK.adapt_to_data(config, splits), splits


def run_of(opened, **params):
    config, splits = opened
    return TrainingRun(from_params(params, config), splits)


@torch.no_grad()
def predicted(model, config, split):
    model.eval()
    batches = list(TASK.evaluation_batches(config, split, torch.device("cpu")))
    outputs = [as_model_output(model(images)) for images, _ in batches]
    labels = torch.cat([targets for _, targets in batches]).numpy()
    return *(
        torch.cat([getattr(one, name) for one in outputs]).numpy() for name in ("predictions", "embeddings")
    ), labels


def test_each_task_calls_what_a_regression_on_the_untrained_features_calls(opened):
    config, splits = opened
    run = run_of(opened)
    batches = TASK.evaluation_batches(config, splits.train, run.device)
    counts = [len(names) for names in config.classes.values()]
    start_head(run.trainer.model, batches, num_images=len(splits.train), num_classes=counts)
    logits, features, labels = predicted(run.trainer.model, config, splits.train)
    standard, at = StandardScaler().fit_transform(features), 0
    for own, count in zip(labels.T, counts, strict=True):
        known, ours = own >= 0, logits[:, at : at + count]
        reference = LogisticRegression(C=STRENGTH, max_iter=5000).fit(standard[known], own[known])
        np.testing.assert_allclose(
            torch.from_numpy(ours).softmax(-1).numpy()[:, reference.classes_],
            reference.predict_proba(standard),
            atol=2e-2,
        )
        at += count


def test_a_class_without_an_image_starts_low_but_within_reach(opened):
    model = run_of(opened).trainer.model
    images = torch.rand(8, 3, 48, 48)
    start_head(model, [(images, torch.zeros(8, 2, dtype=torch.long))], num_images=8, num_classes=[5, 3])
    assert model.head.bias.tolist() == [0.0, *[LEAST_LOGIT] * 4, 0.0, *[LEAST_LOGIT] * 2]


def test_training_and_average_start_there_and_a_checkpoint_continues_without_another_start(opened, tmp_path):
    run, random = run_of(opened, **STILL), run_of(opened, **STILL | {"head_start": "random"})
    first = run.run_epoch()
    assert first.metrics["val/raw_loss"] == pytest.approx(first.metrics["val/loss"], abs=0.05)
    assert first.metrics["val/loss"] < random.run_epoch().metrics["val/loss"]
    run.save(tmp_path / "run.pt")
    with torch.no_grad():
        run.trainer.model.head.weight.zero_()
    run.restore(tmp_path / "run.pt")
    restored = run.trainer.model.head.weight.clone()
    assert restored.abs().sum() > 0
    run.run_epoch()
    assert torch.equal(run.trainer.model.head.weight, restored)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"head_start": "zero"}, "head_start is 'zero'; give one of random, probe"),
        ({"head_start": "probe", "network": "torch.nn:Identity"}, "which layer is its head is not known"),
    ],
)
def test_what_cannot_be_is_a_sentence(opened, given, sentence):
    with pytest.raises(ValueError, match=sentence):
        from_params(given, opened[0])
