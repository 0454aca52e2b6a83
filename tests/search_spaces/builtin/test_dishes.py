"""The documents' values for `dishes` are among its first trials; their grid has eighteen points."""

from search_spaces.builtin import dishes, dishes_grid
from search_spaces.pinning import PinnedSpace
from search_spaces.space import Situation
from search_spaces.stub_trials import StubTrial
from trainable.config import from_params
from trainable.tasks.registry import get_task

SITUATION = Situation(num_train_images=240, pretrained=False, max_batch_size=32)


def configs_of(space):
    pinned = PinnedSpace(space, SITUATION)
    for point in pinned.points_to_evaluate():
        trial = StubTrial(lambda name, distribution, point=point: point[name])
        yield from_params(pinned(trial), get_task("dishes").default_config())


def test_the_default_is_the_documented_strategy_for_balance():
    default = next(configs_of(dishes.SPACE))
    assert (default.optimizer.max_lr, default.optimizer.weight_decay) == (1e-3, 1e-4)
    assert default.batch_size * default.accumulation_steps == 16
    assert default.loss.class_weights == "inverse"
    assert default.augmentation.severity == "photograph"


def test_the_remedies_against_overfitting_are_tried_early():
    *_, remedies = configs_of(dishes.SPACE)
    assert (remedies.model.dropout, remedies.loss.label_smoothing, remedies.optimizer.weight_decay) == (0.5, 0.1, 1e-3)
    assert remedies.mixing.mixup_alpha == 0.2
    assert remedies.batch_size * remedies.accumulation_steps == 8


def test_the_grid_is_eighteen_configurations_of_the_documented_values():
    grid = list(configs_of(dishes_grid.SPACE))
    assert len(grid) == len({(c.optimizer.max_lr, c.optimizer.weight_decay, c.optimizer.algorithm) for c in grid}) == 18
    assert {config.optimizer.max_lr for config in grid} == {0.001, 0.003, 0.01}
    assert {config.optimizer.weight_decay for config in grid} == {1e-4, 1e-3, 1e-2}
    assert {config.optimizer.algorithm for config in grid} == {"adam", "sgd"}
    assert {config.schedule.schedule_kind for config in grid} == {"constant"}
    assert all(config.augmentation is None and config.loss.class_weights == "none" for config in grid)


def test_the_grid_trains_on_what_the_search_trains_on():
    search, grid = next(configs_of(dishes.SPACE)), next(configs_of(dishes_grid.SPACE))
    assert (grid.data, grid.dirty_variants, grid.max_epochs) == (search.data, search.dirty_variants, search.max_epochs)
    assert (dishes_grid.SPACE.max_epochs, dishes_grid.SPACE.objective) == (
        dishes.SPACE.max_epochs,
        dishes.SPACE.objective,
    )
