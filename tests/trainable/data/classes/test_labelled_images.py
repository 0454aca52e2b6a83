import numpy as np
import pytest
import torch

from trainable.data.classes.batches import LabelledEvaluationBatches, LabelledTrainingBatches
from trainable.data.classes.labelled_images import LabelledImages, LabelledSample, open_labelled, write_labelled

CPU = torch.device("cpu")


def sample(number, label):
    return LabelledSample(name=f"image_{number}", image=np.full((4, 6, 3), number, np.uint8), label=label)


def numbered(count, labels=None) -> LabelledImages:
    """Images all of whose bytes are their number, labelled with its remainder of 3."""
    images = np.arange(count, dtype=np.uint8)[:, None, None, None].repeat(4, 1).repeat(6, 2).repeat(3, 3)
    labels = np.arange(count) % 3 if labels is None else labels
    names = tuple(f"image_{number}" for number in range(count))
    return LabelledImages(images=images, labels=labels, names=names, class_names=("a", "b", "c"))


def epoch_of(batches, epoch):
    batches.set_epoch(epoch)
    return list(batches)


def numbers(batches):
    return [round(value * 255) for images, _ in batches for value in images[:, 0, 0, 0].tolist()]


def test_what_was_written_is_mapped_again_split_by_split(tmp_path):
    splits = {"train": [sample(1, 0), sample(2, 1)], "validation": [sample(3, -1)], "test": [sample(4, 1)]}
    write_labelled(tmp_path, splits, (4, 6), ("clean", "dirty"))
    opened = open_labelled(tmp_path)
    assert opened.train.names == ("image_1", "image_2")
    assert opened.train.images[:, 0, 0, 0].tolist() == [1, 2]
    assert (opened.validation.labels.tolist(), opened.test.labels.tolist()) == ([-1], [1])
    assert opened.train.class_names == ("clean", "dirty")
    assert opened.train.class_counts() == (1, 1)
    assert opened.validation.class_counts() == (0, 0)


def test_several_tasks_have_a_label_and_names_each(tmp_path):
    names = (("none", "mild", "severe"), ("no", "yes"))
    splits = {"train": [sample(1, (2, -1)), sample(2, (0, 1))], "validation": [], "test": []}
    write_labelled(tmp_path, splits, (4, 6), names)
    train = open_labelled(tmp_path).train
    assert train.labels.tolist() == [[2, -1], [0, 1]]
    assert train.class_names == names
    assert (train.class_counts(0), train.class_counts(1)) == ((1, 0, 1), (0, 1))


def test_the_fingerprint_follows_the_labels_of_its_split_alone(tmp_path):
    def written(folder, label):
        folder.mkdir()
        splits = {"train": [sample(1, label)], "validation": [sample(2, 0)], "test": [sample(3, 0)]}
        write_labelled(folder, splits, (4, 6), ("a", "b"))
        return open_labelled(folder).fingerprint

    first, second = written(tmp_path / "one", 0), written(tmp_path / "two", 1)
    assert first["train"] != second["train"]
    assert first["all"] != second["all"]
    assert first["validation"] == second["validation"]


def test_an_epoch_holds_every_image_once_with_its_own_label():
    batches = LabelledTrainingBatches(numbered(7), batch_size=3, seed=0, device=CPU)
    epoch = epoch_of(batches, 0)
    assert sorted(numbers(epoch)) == list(range(7))
    assert len(epoch) == len(batches) == 3
    assert [number % 3 for number in numbers(epoch)] == torch.cat([labels for _, labels in epoch]).tolist()


def test_the_order_depends_on_seed_and_epoch_alone():
    def order(seed, epoch, visited=()):
        batches = LabelledTrainingBatches(numbered(20), batch_size=4, seed=seed, device=CPU)
        for other in visited:
            epoch_of(batches, other)
        return numbers(epoch_of(batches, epoch))

    assert order(0, 3) == order(0, 3, visited=(0, 1))
    assert order(0, 3) != order(0, 4)
    assert order(0, 3) != order(1, 3)


def test_a_limit_of_batches_shortens_the_epoch_and_selects_anew_each_time():
    batches = LabelledTrainingBatches(numbered(20), batch_size=4, seed=0, device=CPU, max_batches=2)
    first, second = numbers(epoch_of(batches, 0)), numbers(epoch_of(batches, 1))
    assert len(batches) == 2
    assert len(first) == len(second) == 8
    assert set(first) != set(second)
    assert len(LabelledTrainingBatches(numbered(20), batch_size=4, seed=0, device=CPU, max_batches=99)) == 5


def test_batch_normalisation_of_pooled_features_trains_on_every_batch_of_an_epoch():
    batches = LabelledTrainingBatches(numbered(7), batch_size=3, seed=0, device=CPU)
    normalise = torch.nn.BatchNorm1d(3)
    assert [len(normalise(images.mean(dim=(2, 3)))) for images, _ in epoch_of(batches, 0)] == [3, 2, 2]


def test_a_limit_of_whole_batches_keeps_them_whole_where_one_image_is_left():
    batches = LabelledTrainingBatches(numbered(9), batch_size=4, seed=0, device=CPU, max_batches=2)
    assert [len(images) for images, _ in epoch_of(batches, 0)] == [4, 4]


def test_evaluation_keeps_the_order_and_images_are_channels_last_in_0_to_1():
    batches = list(LabelledEvaluationBatches(numbered(5), batch_size=2, device=CPU))
    assert numbers(batches) == [0, 1, 2, 3, 4]
    images, labels = batches[0]
    assert images.shape == (2, 3, 4, 6)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert labels.dtype == torch.int64


def test_the_read_only_cache_is_never_written_to():
    data = numbered(5)
    data.images.flags.writeable = data.labels.flags.writeable = False
    for images, labels in LabelledTrainingBatches(data, batch_size=2, seed=0, device=CPU):
        images.zero_()
        labels.zero_()
    assert data.images.any()
    assert data.labels.any()


@pytest.mark.parametrize("bad", [{"batch_size": 0}, {"batch_size": 2, "max_batches": 0}])
def test_impossible_batches_are_refused(bad):
    with pytest.raises(ValueError, match="it must be 1 or more"):
        LabelledTrainingBatches(numbered(5), seed=0, device=CPU, **bad)
