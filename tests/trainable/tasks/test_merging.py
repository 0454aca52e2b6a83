"""Every workload's metrics over ranks: what two parts of a split measured is, merged, what one process measures."""

from copy import deepcopy
from dataclasses import fields, is_dataclass, replace

import pytest
import torch

from trainable.tasks.registry import TASKS, get_task
from trainable.training_run import TrainingRun

COUNTS = ("num_train", "num_validation", "num_test", "num_unlabelled")


class OneOfTwo:
    """Two ranks one after the other in one process: the second, on the other batches, merges what the first had."""

    def __init__(self, first=None):
        self.first = first
        self.rank, self.size = (0 if first is None else 1), 2

    def merge(self, *accumulators):
        self.states = deepcopy([accumulator.state_dict() for accumulator in accumulators])
        if self.first is not None:
            for accumulator, *states in zip(accumulators, self.first.states, self.states, strict=True):
                accumulator.merge(states)


def small(config):
    """Few drawn images; the last batch is smaller, and where batches are large the second rank has none."""
    (drawn,) = (field.name for field in fields(config.data) if is_dataclass(getattr(config.data, field.name)))
    generator = getattr(config.data, drawn)
    counts = {field.name: 61 for field in fields(generator) if field.name in COUNTS}
    return replace(config, batch_size=8, data=replace(config.data, **{drawn: replace(generator, **counts)}))


@pytest.mark.parametrize("workload", TASKS)
def test_metrics_of_two_parts_merged_are_those_of_the_whole(workload, tmp_path):
    task = get_task(workload)
    config = small(task.default_config())
    splits = task.open_data(config, cache_dir=tmp_path)
    config = task.adapt_to_data(config, splits)
    trainer = TrainingRun(config, splits).trainer

    def judged(ranks=None):
        trainer.ranks = ranks
        batches = task.evaluation_batches(config, splits.validation, torch.device("cpu"))
        return trainer.evaluate(batches, metrics=task.build_metrics(config, final=True)).flat

    whole, first = judged(), OneOfTwo()
    of_the_first = judged(first)
    merged = judged(OneOfTwo(first))
    assert merged == pytest.approx(whole, rel=1e-6, abs=1e-9)
    assert {name.removeprefix("val/") for name in task.metric_names} <= merged.keys()
    assert workload == "retina" or of_the_first != pytest.approx(whole, rel=1e-6), "each measured a part"
