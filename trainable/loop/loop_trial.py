"""The handle that a loop of the user's own is given: which epochs to train, and where to report."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trainable.loop.loop_error import LoopError
from trainable.loop.state import check_states, restore_state
from trainable.loop.stepped_function import Unwound
from trainable.techniques.checkpoint import restore_random_state


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochEnd:
    """An epoch that a loop has trained and reported."""

    epoch: int
    """Epochs completed."""
    metrics: dict[str, float]
    states: Mapping[str, Any]
    """Current states that the loop named in `epochs`."""


class LoopTrial:
    """One trial, for the loop that trains it.

    Args:
        data: the folder of `--data`; None without.
        objective: the metric that every report must hold.
        checkpoint: where the loop goes on; None at the start.
        pause: waits at the end of an epoch until the next is wanted; ends the loop by an exception where none is.
    """

    def __init__(
        self,
        *,
        seed: int,
        device: torch.device,
        max_epochs: int,
        data: Path | None,
        objective: str,
        checkpoint: Mapping[str, Any] | None,
        pause: Callable[[EpochEnd], None],
    ) -> None:
        self.seed = seed
        """Seeds weights and order; torch, NumPy and random are seeded with it already."""
        self.device = device
        """Device to train on."""
        self.max_epochs = max_epochs
        """Epochs of a full training, for a learning rate that falls with them."""
        self.data = data
        """The folder of `--data`, or None."""
        self.unfinished: EpochEnd | None = None
        """An epoch that was reported when the loop ended by itself."""
        self._objective, self._checkpoint, self._pause = objective, checkpoint, pause
        self._states: Mapping[str, Any] | None = None
        self._epoch: int | None = None

    @property
    def has_begun(self) -> bool:
        """Whether `epochs` was called."""
        return self._states is not None

    def epochs(self, **states: Any) -> Iterator[int]:
        """The epochs to train, counted from 0; on a resume, those after the checkpoint.

        Args:
            states: all that training changes, by name: `model=`, `optimizer=`, ... Restored here, saved after each
                epoch with the random generators of torch, NumPy, Python and the GPU. The weights of `model` are
                exported.

        Raises:
            LoopError: called twice, or a state can't be saved.
        """
        if self.has_begun:
            raise LoopError("epochs() is called twice; call it once, and name all states there.")
        check_states(states)
        self._states, first = states, 0
        if self._checkpoint is not None:
            first = self.max_epochs if self._checkpoint["has_returned"] else self._checkpoint["epoch"]
            self._restore(self._checkpoint)
        return self._each(first)

    def report(self, metrics: Mapping[str, Any]) -> None:
        """Takes the numbers of the epoch, such as `{"val/accuracy": 0.9}`, once in each.

        Raises:
            LoopError: outside the loop, for the second time in an epoch, without the objective, or not numbers.
        """
        if self._epoch is None:
            raise LoopError("report() is called outside the loop; call it once in each epoch of epochs().")
        if self.unfinished is not None:
            raise LoopError(f"epoch {self._epoch} is reported twice; report all its numbers at once.")
        if not isinstance(metrics, Mapping):
            raise LoopError(f'report() is given {metrics!r:.80}; give numbers by name: {{"{self._objective}": 0.9}}.')
        if self._objective not in metrics:
            found = ", ".join(map(str, metrics)) or "nothing"
            raise LoopError(f"the report of epoch {self._epoch} lacks the objective {self._objective}: it has {found}.")
        numbers = {str(name): _number(name, value) for name, value in metrics.items()}
        self.unfinished = EpochEnd(epoch=self._epoch + 1, metrics=numbers, states=self._states or {})

    def _each(self, first: int) -> Iterator[int]:
        for epoch in range(first, self.max_epochs):
            self._epoch = epoch
            yield epoch
            if self.unfinished is None:
                raise LoopError(f"epoch {epoch} ended without a report; call trial.report in each epoch.")
            # Not in report(): what the loop does after it is part of the epoch, and of the state that is saved.
            reported, self.unfinished = self.unfinished, None
            self._pause(reported)
        self._epoch = None

    def _restore(self, checkpoint: Mapping[str, Any]) -> None:
        saved, states = checkpoint["states"], self._states or {}
        if saved.keys() != states.keys():
            now, then = (", ".join(names) or "nothing" for names in (states, saved))
            raise LoopError(
                f"epochs() names {now}, the checkpoint holds {then}; resume with the code that wrote it, or start over."
            )
        for name, state in states.items():
            restore_state(state, saved[name])
        restore_random_state(checkpoint["random"], self.device)


class UntrainedTrial(LoopTrial):
    """A trial that ends its loop before the first epoch."""

    states: Mapping[str, Any]
    """States that the loop named."""

    def epochs(self, **states: Any) -> Iterator[int]:
        super().epochs(**states)
        self.states = states
        raise Unwound


def _number(name: object, value: Any) -> float:
    if not isinstance(value, str):
        try:
            return float(value.detach() if isinstance(value, torch.Tensor) else value)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            pass
    raise LoopError(f"{name} is {value!r:.200}; report a number.")
