import pytest
import torch
from torch import nn

from trainable.models.output import ModelOutput
from trainable.supervision.base import EvaluatedBatch, Losses, Supervision
from trainable.techniques.test_time_augmentation import (
    AveragedViews,
    ClassViewsConfig,
    MaskViewsConfig,
    views,
)

FLIPS_ALONE = ClassViewsConfig(tta_crop_share=None)


class LeftLightMeansFirst(nn.Module):
    """Logits that depend on which side is light, so that a mirrored view says the opposite."""

    def forward(self, images):
        lean = 10 * (images[..., :4].mean(dim=(1, 2, 3)) - images[..., 4:].mean(dim=(1, 2, 3)))
        return ModelOutput(predictions=torch.stack([lean, torch.zeros_like(lean)], dim=1))


class CrossEntropy(Supervision):
    def losses(self, forward, images, targets):
        output = forward(images)
        return Losses(nn.functional.cross_entropy(output.predictions, targets), output)

    def evaluate(self, forward, images, targets):
        logits = forward(images).predictions
        return EvaluatedBatch(logits, logits.softmax(1), {"loss": nn.functional.cross_entropy(logits, targets)})


def half_light() -> torch.Tensor:
    images = torch.zeros(1, 3, 8, 8)
    images[..., :4] = 1.0
    return images


def test_probabilities_are_averaged_and_not_logits():
    logits = [torch.tensor([[10.0, 0.0]]), torch.tensor([[-2.0, 0.0]])]
    expected = torch.stack([one.softmax(1) for one in logits]).mean(0)
    answers = iter(logits)
    averaged = FLIPS_ALONE.average_views(lambda _: ModelOutput(predictions=next(answers)))(half_light()).predictions
    torch.testing.assert_close(averaged.exp(), expected)
    torch.testing.assert_close(averaged.softmax(1), expected)


def test_the_averaged_loss_is_that_of_the_averaged_probabilities():
    model, images, label = LeftLightMeansFirst(), half_light(), torch.tensor([0])
    single = CrossEntropy().evaluate(model, images, label)
    averaged = AveragedViews(CrossEntropy(), FLIPS_ALONE.average_views).evaluate(model, images, label)
    assert single.scores[0, 0] > 0.99
    torch.testing.assert_close(averaged.scores, torch.tensor([[0.5, 0.5]]))
    assert averaged.losses["loss"].item() == pytest.approx(0.6931, abs=1e-3)


def test_training_sees_each_image_once():
    images, label = half_light(), torch.tensor([0])
    supervised = AveragedViews(CrossEntropy(), FLIPS_ALONE.average_views).losses(LeftLightMeansFirst(), images, label)
    assert supervised.total.item() < 0.01


@pytest.mark.parametrize(
    ("config", "count"),
    [(FLIPS_ALONE, 2), (ClassViewsConfig(), 10), (ClassViewsConfig(tta_flips=False, tta_crop_share=0.75), 5)],
)
def test_views_are_the_image_its_crops_and_their_mirror_images(config, count):
    images = torch.rand(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    seen = list(views(images, config))
    assert len(seen) == count
    assert all(view.shape == images.shape for view in seen)
    assert torch.equal(seen[0], images)
    assert all(not torch.equal(a, b) for i, a in enumerate(seen) for b in seen[:i])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [({"tta_crop_share": 1.0}, "tta_crop_share is 1.0"), ({"tta_crop_share": None, "tta_flips": False}, "both off")],
)
def test_a_wrong_setting_is_a_sentence(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        ClassViewsConfig(**changes)


def test_each_of_several_tasks_is_averaged_by_itself():
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    weight = torch.randn(3 * 64, 5, generator=torch.Generator().manual_seed(1))

    def forward(images):
        return ModelOutput(predictions=images.flatten(1) @ weight)

    averaged = FLIPS_ALONE.average_views(forward, num_classes=[2, 3])(images).predictions
    for task in (slice(0, 2), slice(2, 5)):
        both = [forward(view).predictions[:, task].softmax(1) for view in (images, images.flip(-1))]
        torch.testing.assert_close(averaged[:, task].softmax(1), torch.stack(both).mean(0))


class BrightOnTheLeft(nn.Module):
    """Mask logits that depend on the place too, so that a mirrored view differs."""

    def forward(self, images):
        slope = torch.linspace(2, -2, images.shape[-1])
        return ModelOutput(predictions=5 * images.mean(1, keepdim=True) - 2 + slope)


def test_masks_are_mirrored_back_before_their_probabilities_are_averaged():
    images = torch.rand(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    net = BrightOnTheLeft()
    by_hand = (net(images).predictions.sigmoid() + net(images.flip(-1)).predictions.flip(-1).sigmoid()) / 2
    averaged = MaskViewsConfig().average_views(net)(images).predictions.sigmoid()
    torch.testing.assert_close(averaged, by_hand)
    assert not torch.allclose(averaged, net(images).predictions.sigmoid(), atol=0.1)


def test_masks_of_other_scales_are_brought_to_the_size_of_the_image():
    images = torch.rand(1, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    sizes = []

    def forward(images):
        sizes.append(tuple(images.shape[-2:]))
        return BrightOnTheLeft()(images)

    averaged = MaskViewsConfig(tta_flips=False, tta_scales=(0.5, 1.0, 1.5)).average_views(forward)(images).predictions
    small, same, large = (
        nn.functional.interpolate(images, scale_factor=scale, mode="bilinear", antialias=True)
        for scale in (0.5, 1.0, 1.5)
    )
    resized = [
        nn.functional.interpolate(BrightOnTheLeft()(one).predictions, size=(16, 24), mode="bilinear")
        for one in (small, same, large)
    ]
    torch.testing.assert_close(averaged.sigmoid(), torch.stack(resized).sigmoid().mean(0))
    assert sizes == [(8, 12), (16, 24), (24, 36)]


def test_a_pixel_that_every_view_is_sure_of_has_a_finite_logit():
    def sure(images):
        return ModelOutput(predictions=torch.full((1, 1, 4, 4), 200.0))

    logits = MaskViewsConfig().average_views(sure)(torch.zeros(1, 3, 4, 4)).predictions
    torch.testing.assert_close(logits, torch.full((1, 1, 4, 4), 200.0))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"tta_scales": ()}, "give one or more numbers from 0.25 to 4"),
        ({"tta_scales": (0.1, 1.0)}, "give one or more numbers from 0.25 to 4"),
        ({"tta_flips": False}, "set test_time_augmentation=None instead"),
    ],
)
def test_a_wrong_setting_of_mask_views_is_a_sentence(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        MaskViewsConfig(**changes)
