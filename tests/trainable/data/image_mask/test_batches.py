import numpy as np
import pytest
import torch

from trainable.data.image_mask.batches import CropConfig, EvaluationBatches, TrainingBatches
from trainable.data.image_mask.image_mask_set import ImageMaskSet

CPU = torch.device("cpu")


def coordinates(count=6, height=40, width=48) -> ImageMaskSet:
    """Images whose pixels say where they are: red is the row, green the column, blue the image."""
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    images = np.stack([np.stack([rows, columns, np.full_like(rows, i)], axis=-1) for i in range(count)])
    masks = ((rows + columns) % 7 == 0).astype(np.uint8)[None].repeat(count, axis=0)
    return ImageMaskSet.of_arrays(images, masks, [f"image_{i}" for i in range(count)])


def epoch_of(batches, epoch):
    batches.set_epoch(epoch)
    return list(batches)


def where(images):
    """Row, column and image number of every pixel of a batch."""
    return (images * 255).round().long().unbind(dim=1)


@pytest.mark.parametrize("crop", [None, CropConfig(crop_px=16, crops_per_image=2)])
def test_image_and_mask_stay_together_through_crop_and_flip(crop):
    for images, masks in epoch_of(TrainingBatches(coordinates(), batch_size=4, seed=0, device=CPU, crop=crop), 0):
        rows, columns, _ = where(images)
        assert torch.equal(((rows + columns) % 7 == 0).float(), masks[:, 0])


def test_an_epoch_holds_every_image_once_and_has_a_length():
    batches = TrainingBatches(coordinates(6), batch_size=4, seed=0, device=CPU)
    epoch = epoch_of(batches, 0)
    assert len(epoch) == len(batches) == 2
    assert sorted(int(n) for images, _ in epoch for n in where(images)[2][:, 0, 0]) == list(range(6))


@pytest.mark.parametrize("crop", [None, CropConfig(crop_px=16, crops_per_image=1)])
def test_no_image_is_alone_in_a_training_batch(crop):
    batches = TrainingBatches(coordinates(5), batch_size=4, seed=0, device=CPU, crop=crop)
    assert [len(images) for images, _ in epoch_of(batches, 0)] == [3, 2]


def test_crops_make_the_epoch_longer():
    crop = CropConfig(crop_px=16, crops_per_image=3)
    batches = TrainingBatches(coordinates(6), batch_size=4, seed=0, device=CPU, crop=crop)
    numbers = [int(n) for images, _ in epoch_of(batches, 0) for n in where(images)[2][:, 0, 0]]
    assert sorted(numbers) == sorted([*range(6)] * 3)
    assert len(batches) == 5


def test_an_epoch_depends_on_seed_and_number_alone():
    def pixels(seed, epoch, visited=()):
        batches = TrainingBatches(coordinates(), batch_size=4, seed=seed, device=CPU)
        for other in visited:
            epoch_of(batches, other)
        return torch.cat([images for images, _ in epoch_of(batches, epoch)])

    assert torch.equal(pixels(0, 5), pixels(0, 5, visited=(0, 1, 2)))
    assert not torch.equal(pixels(0, 5), pixels(0, 6))
    assert not torch.equal(pixels(0, 5), pixels(1, 5))


def test_crops_on_the_object_contain_it():
    data = coordinates(4, 64, 64)
    masks = np.zeros((4, 64, 64), np.uint8)
    masks[:, 50, 10] = 1
    data = ImageMaskSet.of_arrays(data.images, masks, data.names)
    crop = CropConfig(crop_px=16, crops_per_image=8, foreground_share=1.0)
    for _, cropped in epoch_of(TrainingBatches(data, batch_size=8, seed=0, device=CPU, crop=crop), 0):
        assert (cropped.sum(dim=(1, 2, 3)) == 1).all()


def test_images_without_an_object_are_cropped_anywhere():
    data = coordinates(2, 64, 64)
    data = ImageMaskSet.of_arrays(data.images, np.zeros((2, 64, 64), np.uint8), data.names)
    crop = CropConfig(crop_px=16, foreground_share=1.0)
    assert len(epoch_of(TrainingBatches(data, batch_size=2, seed=0, device=CPU, crop=crop), 0)) == 3


def test_images_are_floats_from_0_to_1_in_channels_last_memory():
    images, masks = epoch_of(TrainingBatches(coordinates(), batch_size=4, seed=0, device=CPU), 0)[0]
    assert images.shape == (4, 3, 40, 48)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert images.max() <= 1.0
    assert set(masks.unique().tolist()) == {0.0, 1.0}


def test_evaluation_keeps_order_and_gives_each_mask_at_its_own_size():
    data = coordinates(5)
    epoch = list(EvaluationBatches(data, batch_size=2, device=CPU))
    assert [int(n) for images, _ in epoch for n in where(images)[2][:, 0, 0]] == [0, 1, 2, 3, 4]
    assert torch.equal(torch.cat([m for _, m in epoch])[:, 0], torch.from_numpy(data.masks).float())


def test_evaluation_batches_are_as_large_as_each_other_instead_of_leaving_one_image_over():
    assert [len(images) for images, _ in EvaluationBatches(coordinates(7), batch_size=3, device=CPU)] == [3, 2, 2]


def test_the_read_only_cache_is_never_written_to():
    data = coordinates()
    data.images.flags.writeable = data.masks.flags.writeable = False
    for images, masks in TrainingBatches(data, batch_size=4, seed=0, device=CPU):
        images.zero_()
        masks.zero_()
    for images, masks in EvaluationBatches(data, batch_size=4, device=CPU):
        images.zero_()
        masks.zero_()
    assert data.images.any()
    assert data.masks.any()


def test_a_crop_larger_than_the_images_is_refused():
    with pytest.raises(ValueError, match="crop_px is 96, larger than the images, 48x40"):
        TrainingBatches(coordinates(), batch_size=4, seed=0, device=CPU, crop=CropConfig(crop_px=96))


@pytest.mark.parametrize("bad", [{"crop_px": 8}, {"crops_per_image": 0}, {"foreground_share": 1.5}])
def test_impossible_crops_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        CropConfig(**bad)
