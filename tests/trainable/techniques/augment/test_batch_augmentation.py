import pytest
import torch

from trainable.techniques.augment.batch_augmentation import Compose, change_rows, with_rows
from trainable.techniques.augment.image_augmentation import ImageAugmentationConfig
from trainable.techniques.augment.label_mixing import LabelMixing, MixingConfig

ORDERS = [torch.contiguous_format, torch.channels_last]


def images_of(count: int = 4) -> torch.Tensor:
    return torch.rand(count, 3, 5, 6, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("order", ORDERS)
def test_each_row_goes_through_its_own_changes_one_step_after_the_other(order):
    images = images_of().contiguous(memory_format=order)
    before = images.clone()
    double, add_one, mirror = (lambda image: 2 * image), (lambda image: image + 1), (lambda image: image.flip(-1))
    changed = change_rows(images, {1: double, 3: add_one}, {1: add_one, 2: mirror})
    expected = torch.stack([before[0], 2 * before[1] + 1, before[2].flip(-1), before[3] + 1])
    assert torch.equal(changed, expected)
    assert torch.equal(images, before)
    assert changed.is_contiguous(memory_format=order)


def test_without_a_change_the_very_batch_comes_back():
    images = images_of()
    assert change_rows(images, {}, {}) is images


@pytest.mark.parametrize("order", ORDERS)
def test_rows_take_the_places_they_are_given(order):
    images, others = images_of().contiguous(memory_format=order), 2 + images_of(2)
    result = with_rows(images, [3, 1], others)
    assert torch.equal(result, torch.stack([images[0], others[1], images[2], others[0]]))
    assert result.is_contiguous(memory_format=order)


def test_a_row_without_its_image_is_refused():
    with pytest.raises(ValueError, match="shorter"):
        with_rows(images_of(), [0, 1], images_of(1))


def parts(*kinds):
    made = {
        "mixing": lambda: LabelMixing(MixingConfig(), num_classes=3, generator=torch.Generator().manual_seed(5)),
        "image": lambda: ImageAugmentationConfig(severity="light").build(4, seed=5),
    }
    return Compose([made[kind]() for kind in kinds])


def stream(part):
    return part.generator.get_state().tolist()


@pytest.mark.parametrize(
    ("now", "is_older"),
    [
        (("image", "mixing"), False),
        (("mixing", "image"), False),
        (("mixing",), False),
        # An older state does not say whose it is.
        (("image", "mixing"), True),
    ],
)
def test_an_added_part_starts_fresh_and_the_others_continue(now, is_older):
    saved, restored, fresh = parts("image"), parts(*now), parts(*now)
    saved.apply(images_of(), torch.zeros(4, dtype=torch.int64))
    state = saved.state_dict()
    if is_older:
        state["0"].pop("kind")
    restored.load_state_dict(state)
    for part, begun in zip(restored.parts, fresh.parts, strict=True):
        assert stream(part) == stream(begun if isinstance(part, LabelMixing) else saved.parts[0])
