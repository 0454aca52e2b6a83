"""The documents' recommendations reach the configurations that a search of `moe` begins with."""

from dataclasses import asdict

import pytest

from search_spaces.builtin.moe import SPACE
from search_spaces.space import Situation
from search_spaces.stub_trials import given_or_middle
from trainable.config import from_params
from trainable.tasks.registry import get_task


def config_of(situation, **row):
    trial = given_or_middle(SPACE.defaults(situation) | row)
    return from_params(SPACE.suggest(trial, situation), get_task("moe").default_config())


@pytest.mark.parametrize(
    ("num_train_images", "max_lr", "warmup_epochs"),
    [(999, 5e-5, 3), (1_000, 1e-4, 5), (10_000, 1e-4, 5), (10_001, 2e-4, 10)],
)
def test_the_schedule_of_a_pretrained_backbone_and_its_data_size_is_tried_first(
    num_train_images, max_lr, warmup_epochs
):
    situation = Situation(num_train_images=num_train_images, pretrained=True)
    config = config_of(situation, **SPACE.recommended(situation)[-1])
    assert config.optimizer.max_lr == max_lr
    assert config.schedule.warmup_fraction * 100 == pytest.approx(warmup_epochs)
    assert config.schedule.min_lr_ratio * max_lr == pytest.approx(1e-6)
    assert config.optimizer.backbone_lr_ratio == 1


@pytest.mark.parametrize(
    ("memory_gb", "batch_size", "accumulation_steps"), [(8.5, 2, 8), (15.6, 4, 4), (25.4, 8, 2), (42.3, 16, 1)]
)
def test_sixteen_images_are_accumulated_as_the_gpu_has_room(memory_gb, batch_size, accumulation_steps):
    config = config_of(Situation(num_train_images=240, pretrained=True, gpu_memory_gb=memory_gb))
    assert (config.batch_size, config.accumulation_steps) == (batch_size, accumulation_steps)


def test_the_small_network_never_takes_less_than_its_own_micro_batch():
    for memory_gb in (None, 4.0, 8.5):
        assert config_of(Situation(num_train_images=240, pretrained=False, gpu_memory_gb=memory_gb)).batch_size == 8


@pytest.mark.parametrize(("row", "preset"), [(0, "epochs_50"), (1, "epochs_100"), (2, "epochs_200")])
def test_the_first_trials_ramp_up_their_augmentation_as_the_presets_say(row, preset):
    situation = Situation(num_train_images=240, pretrained=False)
    config = config_of(situation, **SPACE.recommended(situation)[row])
    task = get_task("moe")
    documented = task.presets[preset].over(task.default_config(), has_folder=False)
    assert asdict(config.augmentation) == pytest.approx(asdict(documented.augmentation))
