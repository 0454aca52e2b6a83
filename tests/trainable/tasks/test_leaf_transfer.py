"""With few labels, fine-tuning from the pre-trained encoder beats the same from scratch."""

from dataclasses import replace

import pytest
import torch

from trainable.run import run_epochs
from trainable.tasks.registry import get_task
from trainable.training_run import TrainingRun

pytestmark = pytest.mark.slow


def trained(name, cache_dir, **changes):
    task = get_task(name)
    config = task.default_config()
    config = replace(config, model=replace(config.model, **changes))
    splits = task.open_data(config, cache_dir=cache_dir)
    config = task.adapt_to_data(config, splits)
    run = TrainingRun(config, splits)
    validation = task.evaluation_batches(config, splits.validation, run.device)
    untrained = run.trainer.evaluate(validation, metrics=task.build_metrics(config, final=False)).flat
    results = run_epochs(run, on_epoch=lambda result: None)
    return run, untrained[task.measured_objective], results[-1].objective


@pytest.mark.timeout(600)
def test_pre_training_raises_the_probe_and_then_the_fine_tuned_classifier(tmp_path):
    run, before, after = trained("leaf_pretrain", tmp_path)
    assert after > before + 0.1
    torch.save(run.handed_over.weights, tmp_path / "weights.pt")
    _, _, from_scratch = trained("leaf", tmp_path)
    _, _, fine_tuned = trained("leaf", tmp_path, weights=str(tmp_path / "weights.pt"))
    assert fine_tuned > from_scratch + 0.1
