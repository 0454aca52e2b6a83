from dataclasses import replace

import pytest
import torch

from trainable.data.image_mask.batches import CropConfig
from trainable.tasks.registry import get_task
from trainable.techniques.contrastive_term import ContrastiveConfig
from trainable.techniques.memory import MicroBatchCaps, MicroBatches, can_be_halved, halve_micro_batch
from trainable.techniques.optim.averaging import AveragingConfig
from trainable.techniques.optim.unfreezing import UnfreezingConfig
from trainable.training_run import TrainingRun


@pytest.mark.parametrize(
    ("given", "expected"),
    [((16, 1), (8, 2)), ((6, 2), (3, 4)), ((9, 1), (3, 3)), ((5, 3), (1, 15)), ((2, 4), (1, 8))],
)
def test_half_the_micro_batch_keeps_the_effective_batch(given, expected):
    assert halve_micro_batch(*given) == expected
    assert given[0] * given[1] == expected[0] * expected[1]


def test_one_image_cannot_be_halved():
    with pytest.raises(ValueError, match="The micro-batch is 1"):
        halve_micro_batch(1, 4)


@pytest.mark.parametrize(
    ("batch_size", "least", "expected"), [(8, 1, True), (1, 1, False), (2, 2, False), (4, 2, True), (9, 4, False)]
)
def test_a_loss_that_needs_images_side_by_side_keeps_them(batch_size, least, expected):
    assert can_be_halved(batch_size, least) is expected


def test_a_pre_training_of_two_images_that_does_not_fit_is_short_of_memory_and_no_wrong_setting():
    config = replace(get_task("leaf_pretrain").default_config(), batch_size=2)
    assert not can_be_halved(config.batch_size, config.min_batch_size)


def share_their_limit(first, second) -> bool:
    """Whether what did not fit in the first training is not tried in the second."""
    caps = MicroBatchCaps()
    MicroBatches(first, caps).halve(epoch=1)
    size = MicroBatches(second, caps).size
    assert size in (first.batch_size, first.batch_size // 2)
    return size < first.batch_size


@pytest.mark.parametrize(
    "change",
    [
        {"crop": CropConfig()},
        {"contrastive": ContrastiveConfig()},
        {"gradient_checkpointing": True},
        {"compile_backend": "inductor"},
        {"precision": "bf16"},
        {"unfreezing": UnfreezingConfig()},
    ],
)
def test_trainings_whose_images_take_other_memory_share_no_limit(change):
    default = get_task("moe").default_config()
    assert not share_their_limit(default, replace(default, **change))


def test_trainings_that_weigh_their_losses_otherwise_share_no_limit():
    default = get_task("retina").default_config()
    other = replace(default, loss_weighting=replace(default.loss_weighting, weighting="dynamic"))
    assert not share_their_limit(default, other)


def test_trainings_that_differ_in_seed_and_rate_share_their_limit():
    default = get_task("moe").default_config()
    other = replace(default, seed=3, optimizer=replace(default.optimizer, max_lr=1e-5))
    assert share_their_limit(default, other)


def test_what_fitted_limits_later_trainings_with_larger_micro_batches_alone():
    config, caps = replace(get_task("moe").default_config(), batch_size=8, accumulation_steps=1), MicroBatchCaps()
    MicroBatches(config, caps).halve(epoch=1)
    for given, expected in (((16, 1), (4, 4)), ((2, 8), (2, 8))):
        batches = MicroBatches(replace(config, batch_size=given[0], accumulation_steps=given[1]), caps)
        assert (batches.size, batches.accumulation_steps) == expected


@pytest.fixture
def small_memory():
    """A device on which training batches of more than `limit` images, met after `calls` of them, do not fit."""

    def fitted_with(run: TrainingRun, *, limit: int, calls: int = 0) -> TrainingRun:
        seen = []

        def look(module, inputs):
            seen.append(len(inputs[0]))
            if module.training and len(seen) > calls and len(inputs[0]) > limit:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")

        run.trainer.model.register_forward_pre_hook(look)
        return run

    return fitted_with


@pytest.fixture
def open_run(disc_config):
    config = replace(
        disc_config, batch_size=8, accumulation_steps=1, augmentation=None, load_balance=None, collapse=None
    )
    splits = get_task("moe").open_data(config)
    return lambda caps=None, **changes: TrainingRun(replace(config, **changes), splits, caps=caps)


def test_out_of_memory_in_the_middle_of_an_epoch_the_training_is_that_of_the_smaller_micro_batch(
    open_run, small_memory, caplog
):
    expected = open_run(batch_size=2, accumulation_steps=4).run_epoch().metrics
    run = small_memory(open_run(), limit=2, calls=1)
    metrics = run.run_epoch().metrics
    assert {name: metrics[name] for name in metrics if name.startswith("train/")} == {
        name: expected[name] for name in expected if name.startswith("train/")
    }
    assert metrics == pytest.approx(expected)
    assert (run.micro_batches.size, run.micro_batches.accumulation_steps, run.config.batch_size) == (2, 4, 8)
    assert "out of memory with micro-batches of 8: restarting epoch 1 with 4, accumulating 2 per update" in caplog.text


def test_an_epoch_that_runs_short_twice_begins_each_time_where_it_stood(open_run, tmp_path):
    """Each time after an update, in the second epoch, when the optimizer has moments to go back to."""
    run, smaller = open_run(), open_run(batch_size=2, accumulation_steps=4)
    run.run_epoch()
    run.save(tmp_path / "checkpoint.pt")
    smaller.restore(tmp_path / "checkpoint.pt")
    seen = []

    def look(module, inputs):
        seen.append(len(inputs[0]))
        if seen in ([8, 6], [8, 6, 4, 4, 4]):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")

    run.trainer.model.register_forward_pre_hook(look)
    run.run_epoch()
    smaller.run_epoch()
    assert seen[5:12] == [2] * 7
    expected = smaller.trainer.model.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in run.trainer.model.state_dict().items())


def test_a_resume_continues_with_the_micro_batch_that_fitted_to_the_same_curve(open_run, small_memory, tmp_path):
    whole, resumed = small_memory(open_run(), limit=4), open_run(MicroBatchCaps())
    whole.run_epoch()
    whole.save(tmp_path / "checkpoint.pt")
    resumed.restore(tmp_path / "checkpoint.pt")
    assert (resumed.micro_batches.size, resumed.micro_batches.accumulation_steps) == (4, 2)
    assert resumed.run_epoch().metrics == whole.run_epoch().metrics


@pytest.mark.parametrize(("saved", "configured"), [(4, 8), (8, 4)])
def test_a_resume_takes_the_configured_micro_batch_where_none_was_halved(open_run, tmp_path, saved, configured):
    run, resumed = open_run(batch_size=saved), open_run(batch_size=configured)
    run.run_epoch()
    run.save(tmp_path / "checkpoint.pt")
    resumed.restore(tmp_path / "checkpoint.pt")
    assert resumed.micro_batches.size == configured


@pytest.fixture
def short_evaluation():
    """A device on which batches of more than two images can be trained on and not evaluated; all sizes are kept."""

    def watched(run: TrainingRun) -> tuple[list[int], list[int]]:
        trained, evaluated = [], []

        def look(module, inputs):
            (trained if module.training else evaluated).append(len(inputs[0]))
            if not module.training and len(inputs[0]) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")

        run.trainer.model.register_forward_pre_hook(look)
        return trained, evaluated

    return watched


def test_a_validation_that_does_not_fit_is_repeated_in_smaller_batches_and_the_trained_epoch_stands(
    open_run, short_evaluation
):
    """On a CPU, validation batches are larger than training batches unless memory runs out."""
    expected, run = (open_run(batch_size=4, averaging=AveragingConfig()) for _ in range(2))
    trained, evaluated = short_evaluation(run)
    metrics = run.run_epoch().metrics
    assert metrics == pytest.approx(expected.run_epoch().metrics)
    assert sum(trained) == 14
    assert (run.micro_batches.size, evaluated[0]) == (4, 5)
    assert set(evaluated[1:]) == {1, 2}
    run.run_epoch()
    assert 5 not in evaluated[1:]


def test_a_test_that_does_not_fit_is_repeated_in_smaller_batches(open_run, short_evaluation):
    run = open_run(batch_size=4)
    expected = run.test()
    _, evaluated = short_evaluation(run)
    assert run.test() == pytest.approx(expected)
    assert (evaluated[0], set(evaluated[1:])) == (5, {1, 2})


def test_a_validation_of_single_images_that_do_not_fit_ends_the_training(open_run):
    run = open_run(batch_size=4)
    run.trainer.evaluate = shortage
    with pytest.raises(torch.OutOfMemoryError, match="Tried to allocate"):
        run.run_epoch()


def shortage(*_, **__):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")


def test_later_trainings_of_the_size_in_the_same_process_begin_with_what_fitted(open_run, small_memory):
    caps = MicroBatchCaps()
    small_memory(open_run(caps), limit=4).run_epoch()
    assert open_run(caps).micro_batches.size == 4
    assert open_run(caps, precision="bf16").micro_batches.size == 8


def test_trainings_that_share_nothing_do_not_know_of_each_other(open_run, small_memory):
    small_memory(open_run(), limit=4).run_epoch()
    assert open_run().micro_batches.size == 8
    assert open_run(MicroBatchCaps()).micro_batches.size == 8


def test_an_image_that_does_not_fit_alone_ends_the_training(open_run, small_memory):
    with pytest.raises(torch.OutOfMemoryError, match="Tried to allocate"):
        small_memory(open_run(), limit=0).run_epoch()
