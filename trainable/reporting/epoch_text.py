"""The terminal lines of a standalone training: one per epoch, and why it ended."""

from trainable.config import flat_params
from trainable.configuration.run_config import RunConfig
from trainable.data.io.counted import counted
from trainable.reporting.number_text import duration_text, number_text
from trainable.run import EpochResult, Run, TrainedEpoch


def epoch_line(result: TrainedEpoch, *, objective: str, max_epochs: int) -> str:
    """`Epoch 3/10: Train Loss: 0.4123, Train Acc: 81.2%, Val Loss: 0.5034, Val Acc: 77.5%, ...` and the objective.

    What is measured on the validation split is left out of an epoch that was not validated.
    """
    metrics = result.metrics
    parts = []
    for split, title in (("train", "Train"), ("val", "Val")):
        if f"{split}/loss" in metrics:
            parts.append(f"{title} Loss: {number_text(metrics[f'{split}/loss'], 4)}")
        accuracy = metrics.get(f"{split}/accuracy", metrics.get(f"{split}/mean_accuracy"))
        if accuracy is not None:
            parts.append(f"{title} Acc: {accuracy:.1%}")
    left_seconds = (max_epochs - result.epoch) * result.seconds
    if isinstance(result, EpochResult):
        parts.append(f"{objective}: {number_text(result.objective, 4)}")
    if "train/lr" in metrics:
        parts.append(f"lr {metrics['train/lr']:.2e}")
    parts.append(f"{result.seconds:.1f} s")
    return f"Epoch {result.epoch}/{max_epochs}: {', '.join(parts)}, about {duration_text(left_seconds)} left"


def why_ended(run: Run) -> str:
    """Describes why a finished training ended, with its numbers, and which epoch's weights are exported."""
    ending = run.ending
    assert ending is not None, "the training is over"
    numbers = ending.numbers
    reason = f"{ending.outcome.replace('_', ' ')} ({', '.join(f'{name} {value}' for name, value in numbers.items())})"
    if ending.outcome == "completed":
        reason = "all planned epochs are trained"
    if ending.outcome == "plateaued":
        best = number_text(float(numbers["best"]), 4)
        reason = (
            f"no improvement over {run.monitor.name} {best} of epoch {numbers['best_epoch']} in "
            f"{counted(int(numbers['patience_epochs']), 'epoch')} (early stopping)"
        )
    handed_over, weights = run.handed_over, "the weights are its own"
    if handed_over.value is not None:
        value = f"{run.monitor.name} ({number_text(handed_over.value, 4)})"
        weights = f"the weights are those of epoch {handed_over.epoch}, the best by {value}"
    began = run.constant_since
    warning = "" if began is None else f" Predictions have been constant since epoch {began}."
    return f"Ended after epoch {run.epoch}: {reason}; {weights}.{warning}"


def changes_line(before: RunConfig, after: RunConfig) -> str:
    """Lists parameters that differ, such as `max_epochs 12 -> 20, seed 0 -> 1`; empty if none does."""
    old, new = flat_params(before), flat_params(after)
    names = [*new, *(name for name in old if name not in new)]
    return ", ".join(
        f"{name} {old.get(name, 'off')} -> {new.get(name, 'off')}" for name in names if old.get(name) != new.get(name)
    )
