"""What a standalone training says on the terminal: a line for each epoch, and why it ended."""

import time

from trainable.config import TrialConfig, flat_params
from trainable.training_run import Ending, EpochResult


def epoch_line(result: EpochResult, *, objective: str, max_epochs: int) -> str:
    """`Epoch 3/10: Train Loss: 0.4123, Train Acc: 81.2%, Val Loss: 0.5034, Val Acc: 77.5%, ...` and the objective."""
    metrics = result.metrics
    parts = []
    for split, title in (("train", "Train"), ("val", "Val")):
        if f"{split}/loss" in metrics:
            parts.append(f"{title} Loss: {metrics[f'{split}/loss']:.4f}")
        accuracy = metrics.get(f"{split}/accuracy", metrics.get(f"{split}/mean_accuracy"))
        if accuracy is not None:
            parts.append(f"{title} Acc: {accuracy:.1%}")
    left_seconds = (max_epochs - result.epoch) * result.seconds
    clock = time.strftime("%M:%S" if left_seconds < 3600 else "%H:%M:%S", time.gmtime(left_seconds))
    parts += [f"{objective}: {result.objective:.4f}", f"lr {metrics['train/lr']:.2e}", f"{result.seconds:.1f} s"]
    return f"Epoch {result.epoch}/{max_epochs}: {', '.join(parts)}, about {clock} left"


def ending_line(ending: Ending, *, epoch: int) -> str:
    """Why the training ended, with the numbers behind it."""
    numbers = ending.numbers
    if ending.outcome == "completed":
        return f"Ended after epoch {epoch}: all planned epochs are trained."
    if ending.outcome == "plateaued":
        return (
            f"Ended after epoch {epoch}: no improvement over {numbers['best']:.4f} of epoch {numbers['best_epoch']} in "
            f"{numbers['patience_epochs']} epochs (early stopping)."
        )
    shown = ", ".join(f"{name} {value}" for name, value in numbers.items())
    return f"Ended after epoch {epoch}: {ending.outcome.replace('_', ' ')} ({shown})."


def changes_line(before: TrialConfig, after: TrialConfig) -> str:
    """Parameters that differ, `max_epochs 12 -> 20, seed 0 -> 1`; empty where none does."""
    old, new = flat_params(before), flat_params(after)
    names = [*new, *(name for name in old if name not in new)]
    return ", ".join(
        f"{name} {old.get(name, 'off')} -> {new.get(name, 'off')}" for name in names if old.get(name) != new.get(name)
    )
