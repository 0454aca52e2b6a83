import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from trainable.losses.contrastive import dense_consistency, foreground_background_contrast, nt_xent


def test_nt_xent_of_orthogonal_images_has_its_hand_worked_value() -> None:
    views = torch.eye(2)
    expected = -math.log(math.exp(2) / (math.exp(2) + 2))
    assert nt_xent(views * 3, views * 5, temperature=0.5).item() == pytest.approx(expected)


def test_nt_xent_of_random_features_is_what_guessing_costs() -> None:
    first, second = (_noise(64, 256, seed=seed) for seed in (0, 1))
    assert nt_xent(first, second, temperature=1.0).item() == pytest.approx(math.log(2 * 64 - 1), abs=0.02)


def test_nt_xent_falls_as_partners_align() -> None:
    first, other = _noise(16, 32, seed=0), _noise(16, 32, seed=1)
    losses = [nt_xent(first, first * share + other * (1 - share)).item() for share in (0, 0.3, 0.6, 1)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.2 * losses[0]


def test_nt_xent_is_symmetric_in_its_views() -> None:
    first, second = _noise(8, 16, seed=0), _noise(8, 16, seed=1)
    torch.testing.assert_close(nt_xent(first, second), nt_xent(second, first))


def test_training_with_nt_xent_makes_images_recognisable_and_the_printed_formula_does_not() -> None:
    assert _retrieval_after_training(nt_xent) == 1
    assert _retrieval_after_training(_self_similarity_as_target) < 0.6


@pytest.mark.parametrize(
    ("images", "temperature", "sentence"), [(1, 0.1, "at least two images"), (4, 0.001, "must be 0.01 or more")]
)
def test_nt_xent_refuses_what_it_cannot_compare(images: int, temperature: float, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        nt_xent(_noise(images, 8), _noise(images, 8), temperature=temperature)


def test_all_are_computed_in_float32_under_autocast() -> None:
    first, second = _noise(6, 8, seed=0), _noise(6, 8, seed=1)
    maps, masks = _noise(2, 4, 6, 6), _half_masks(2, 24)
    plain = _all_losses(first, second, maps, masks)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under_autocast = _all_losses(first, second, maps, masks)
    assert torch.equal(plain, under_autocast)


def test_dense_consistency_counts_angles_and_not_lengths() -> None:
    anchor = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 1, 3)
    positive = torch.tensor([[2.0, 0.0, -3.0], [0.0, 1.0, 0.0]]).view(1, 2, 1, 3)
    assert dense_consistency(anchor, positive).item() == pytest.approx((0 + 1 + 2) / 3)


def test_dense_consistency_needs_the_geometry_undone() -> None:
    anchor = _noise(2, 4, 6, 6)
    flipped = anchor.flip(3)
    assert dense_consistency(anchor, flipped) > 0.5
    assert dense_consistency(anchor, flipped.flip(3)) < 1e-6


def test_dense_consistency_refuses_maps_without_a_direction() -> None:
    with pytest.raises(ValueError, match="two channels or more"):
        dense_consistency(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 4, 4))


def test_the_contrast_of_two_even_and_orthogonal_sides_is_worked_out_by_hand() -> None:
    masks = _half_masks(1, 8)
    embeddings = torch.cat([masks, 1 - masks], dim=1)
    # Every pixel is at cosine 1 to its own side and 0 to the other.
    expected = math.log1p(math.exp(-1 / 0.5))
    assert foreground_background_contrast(embeddings, masks, temperature=0.5).item() == pytest.approx(expected)
    assert foreground_background_contrast(masks.expand(1, 2, 8, 8) + 1, masks).item() == pytest.approx(math.log(2))


def test_contrast_separates_object_and_background_when_it_is_followed() -> None:
    masks = _half_masks(3, 16)
    embeddings = _noise(3, 8, 8, 8).requires_grad_()
    before = foreground_background_contrast(embeddings, masks)
    optimizer = torch.optim.SGD([embeddings], lr=50)
    for _ in range(30):
        optimizer.zero_grad()
        foreground_background_contrast(embeddings, masks).backward()
        optimizer.step()
    assert foreground_background_contrast(embeddings, masks) < 0.1 * before


def test_images_without_object_or_background_count_nothing_and_break_nothing() -> None:
    masks = torch.stack([torch.zeros(1, 8, 8), torch.ones(1, 8, 8), _half_masks(1, 8)[0]])
    embeddings = _noise(3, 4, 4, 4).requires_grad_()
    loss = foreground_background_contrast(embeddings, masks)
    loss.backward()
    alone = foreground_background_contrast(embeddings[2:], masks[2:])
    torch.testing.assert_close(loss, alone / 3)
    assert embeddings.grad.isfinite().all()
    assert embeddings.grad[:2].abs().max() == 0 < embeddings.grad[2].abs().max()


def test_pixel_losses_of_micro_batches_add_up_to_the_whole_batch() -> None:
    maps, others, masks = _noise(5, 4, 4, 4, seed=0), _noise(5, 4, 4, 4, seed=1), _half_masks(5, 8)
    parts = [slice(0, 2), slice(2, 4), slice(4, 5)]
    for loss, second in ((foreground_background_contrast, masks), (dense_consistency, others)):
        summed = sum(loss(maps[part], second[part]) * len(maps[part]) / 5 for part in parts)
        torch.testing.assert_close(summed, loss(maps, second))


def _self_similarity_as_target(first: Tensor, second: Tensor, *, temperature: float) -> Tensor:
    """The formula that is often printed: each view's label is itself."""
    views = F.normalize(torch.cat([first, second]), dim=1)
    return F.cross_entropy(views @ views.T / temperature, torch.arange(len(views)))


def _retrieval_after_training(loss: Callable[..., Tensor]) -> float:
    """Share of images whose changed view is nearest to them, under a linear encoder trained with the loss."""
    images, changed = _noise(32, 32, seed=2), _noise(32, 32, seed=2) + _noise(32, 32, seed=3)
    encoder = _noise(32, 4, seed=4).requires_grad_()
    for _ in range(50):
        (gradient,) = torch.autograd.grad(loss(images @ encoder, changed @ encoder, temperature=0.2), encoder)
        encoder = (encoder - 20 * gradient).detach().requires_grad_()
    similarity = F.normalize(images @ encoder) @ F.normalize(changed @ encoder).T
    return (similarity.argmax(1) == torch.arange(32)).float().mean().item()


def _all_losses(first: Tensor, second: Tensor, maps: Tensor, masks: Tensor) -> Tensor:
    losses = [
        nt_xent(first, second),
        dense_consistency(maps, maps.flip(3)),
        foreground_background_contrast(maps, masks),
    ]
    return torch.stack(losses)


def _noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _half_masks(images: int, size: int) -> Tensor:
    masks = torch.zeros(images, 1, size, size)
    masks[..., : size // 2] = 1
    return masks
