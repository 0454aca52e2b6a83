import pytest
import torch
from torch import nn

from trainable.models.output import ModelOutput
from trainable.supervision.base import Judged, Losses, Supervision
from trainable.techniques.test_time_augmentation import (
    AveragedLooks,
    AveragedLooksConfig,
    log_mean_probabilities,
    looks,
)

FLIPS_ALONE = AveragedLooksConfig(tta_crop_share=None)


class LeftLightMeansFirst(nn.Module):
    """Logits that depend on which side is light, so that a mirrored look says the opposite."""

    def forward(self, images):
        lean = 10 * (images[..., :4].mean(dim=(1, 2, 3)) - images[..., 4:].mean(dim=(1, 2, 3)))
        return ModelOutput(predictions=torch.stack([lean, torch.zeros_like(lean)], dim=1))


class CrossEntropy(Supervision):
    def losses(self, forward, images, targets):
        output = forward(images)
        return Losses(nn.functional.cross_entropy(output.predictions, targets), output)

    def judged(self, forward, images, targets):
        logits = forward(images).predictions
        return Judged(logits, logits.softmax(1), {"loss": nn.functional.cross_entropy(logits, targets)})


def half_light() -> torch.Tensor:
    images = torch.zeros(1, 3, 8, 8)
    images[..., :4] = 1.0
    return images


def test_probabilities_are_averaged_and_not_logits():
    logits = [torch.tensor([[10.0, 0.0]]), torch.tensor([[-2.0, 0.0]])]
    expected = torch.stack([one.softmax(1) for one in logits]).mean(0)
    torch.testing.assert_close(log_mean_probabilities(logits).exp(), expected)
    torch.testing.assert_close(log_mean_probabilities(logits).softmax(1), expected)


def test_the_averaged_loss_is_that_of_the_averaged_probabilities():
    model, images, label = LeftLightMeansFirst(), half_light(), torch.tensor([0])
    single = CrossEntropy().judged(model, images, label)
    averaged = AveragedLooks(CrossEntropy(), FLIPS_ALONE).judged(model, images, label)
    assert single.scores[0, 0] > 0.99
    torch.testing.assert_close(averaged.scores, torch.tensor([[0.5, 0.5]]))
    assert averaged.losses["loss"].item() == pytest.approx(0.6931, abs=1e-3)


def test_training_sees_each_image_once():
    images, label = half_light(), torch.tensor([0])
    supervised = AveragedLooks(CrossEntropy(), FLIPS_ALONE).losses(LeftLightMeansFirst(), images, label)
    assert supervised.total.item() < 0.01


@pytest.mark.parametrize(
    ("config", "count"),
    [(FLIPS_ALONE, 2), (AveragedLooksConfig(), 10), (AveragedLooksConfig(tta_flips=False, tta_crop_share=0.75), 5)],
)
def test_looks_are_the_image_its_crops_and_their_mirror_images(config, count):
    images = torch.rand(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    seen = list(looks(images, config))
    assert len(seen) == count
    assert all(look.shape == images.shape for look in seen)
    assert torch.equal(seen[0], images)
    assert all(not torch.equal(a, b) for i, a in enumerate(seen) for b in seen[:i])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [({"tta_crop_share": 1.0}, "tta_crop_share is 1.0"), ({"tta_crop_share": None, "tta_flips": False}, "both off")],
)
def test_a_wrong_setting_is_a_sentence(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        AveragedLooksConfig(**changes)
