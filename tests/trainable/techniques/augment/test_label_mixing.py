import pytest
import torch

from trainable.techniques.augment.image_warp import box_masks
from trainable.techniques.augment.label_mixing import LabelMixing, MixingConfig, cutmix, mixup

ONE_HOT = torch.eye(3)


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def plain_images(*values: float) -> torch.Tensor:
    return torch.tensor(values)[:, None, None, None].expand(-1, 3, 10, 20).clone()


def test_mixup_blends_pixels_and_labels_by_the_same_share():
    images, labels = mixup(
        plain_images(0.0, 1.0, 0.5), ONE_HOT, torch.tensor([0.75, 0.5, 1.0]), torch.tensor([1, 2, 0])
    )
    assert images[:, 0, 0, 0].tolist() == pytest.approx([0.25, 0.75, 0.5])
    torch.testing.assert_close(labels, torch.tensor([[0.75, 0.25, 0], [0, 0.5, 0.5], [0, 0, 1.0]]))


def test_cutmix_labels_count_the_pixels_that_really_changed_hands():
    # A box of 4 x 8 pixels in the middle, the same half outside, and three quarters outside in a corner.
    middle = torch.tensor([[0.5, 0.5], [0.0, 0.5], [1.0, 1.0]])
    boxes = box_masks(torch.full((3,), 0.16), middle, torch.zeros(3), (10, 20))
    images, labels = cutmix(plain_images(0.0, 1.0, 2.0), ONE_HOT, boxes, torch.tensor([1, 2, 0]))
    taken = [(images[row, 0] == partner).float().mean().item() for row, partner in enumerate((1.0, 2.0, 0.0))]
    assert boxes.flatten(1).sum(1).tolist() == [32, 16, 8]
    assert [labels[row, partner].item() for row, partner in enumerate((1, 2, 0))] == pytest.approx(taken)
    assert labels.sum(1).tolist() == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("alphas", [(0.8, 0.0), (0.0, 1.0), (0.8, 1.0)], ids=["mixup", "cutmix", "both"])
def test_soft_labels_say_what_each_image_shows_and_the_callers_batch_stays(alphas):
    config = MixingConfig(mixup_alpha=alphas[0], cutmix_alpha=alphas[1], mixing_probability=1.0)
    mixing = LabelMixing(config, num_classes=3, generator=stream())
    for _ in range(20):
        images, labels = plain_images(0.0, 1.0, 4.0), torch.tensor([0, 1, 2])
        mixed, soft = mixing.apply(images, labels)
        assert torch.equal(images, plain_images(0.0, 1.0, 4.0))
        assert torch.equal(labels, torch.tensor([0, 1, 2]))
        expected = (soft * torch.tensor([0.0, 1.0, 4.0])).sum(1)
        torch.testing.assert_close(mixed.mean(dim=(1, 2, 3)), expected, atol=1e-5, rtol=0)


def test_mixing_happens_as_often_as_its_probability_whatever_alpha_is():
    for alpha in (0.1, 8.0):
        config = MixingConfig(mixup_alpha=alpha, cutmix_alpha=0.0, mixing_probability=0.3)
        mixing = LabelMixing(config, num_classes=3, generator=stream())
        images = plain_images(0.0, 1.0, 4.0)
        times = sum(mixing.apply(images, torch.arange(3))[0] is not images for _ in range(1000))
        assert times == pytest.approx(300, abs=50)


def test_shares_follow_the_beta_distribution():
    mixing = LabelMixing(MixingConfig(), num_classes=3, generator=stream())
    for alpha in (0.2, 0.8, 4.0):
        shares = mixing._beta(alpha, 20_000)
        assert shares.mean().item() == pytest.approx(0.5, abs=0.01)
        assert shares.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), abs=0.005)


def test_a_batch_of_one_keeps_its_image_and_gets_the_soft_form_of_its_label():
    mixing = LabelMixing(MixingConfig(mixing_probability=1.0), num_classes=3, generator=stream())
    images = plain_images(0.5)
    mixed, soft = mixing.apply(images, torch.tensor([2]))
    assert mixed is images
    assert soft.tolist() == [[0, 0, 1]]


def test_labels_that_are_soft_already_are_mixed_on():
    mixing = LabelMixing(MixingConfig(mixing_probability=1.0), num_classes=3, generator=stream())
    _, soft = mixing.apply(plain_images(0.0, 1.0), torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]))
    assert soft.sum(1).tolist() == pytest.approx([1, 1])
    assert (soft > 0).sum() > 3


def test_the_saved_state_draws_what_would_have_been_drawn():
    first, second = (LabelMixing(MixingConfig(), num_classes=3, generator=stream(seed)) for seed in (0, 1))
    batch = plain_images(0.0, 1.0, 2.0), torch.arange(3)
    first.apply(*batch)
    second.load_state_dict(first.state_dict())
    for _ in range(5):
        torch.testing.assert_close(second.apply(*batch), first.apply(*batch))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"mixup_alpha": -0.1}, "mixup_alpha is -0.1"),
        ({"mixup_alpha": 0.0, "cutmix_alpha": 0.0}, "both 0"),
        ({"mixing_probability": 0.0}, r"must lie in \(0, 1\]"),
        ({"mixing_probability": 1.5}, r"must lie in \(0, 1\]"),
    ],
)
def test_a_wrong_setting_is_a_sentence(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        MixingConfig(**changes)
