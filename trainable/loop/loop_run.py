"""A run of a loop of the user's own, in the interface of every run."""

import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from trainable.loop.loop_config import LoopConfig
from trainable.loop.loop_error import LoopError, ReturnedError, as_loop_error
from trainable.loop.loop_trial import EpochEnd, LoopTrial, UntrainedTrial
from trainable.loop.state import check_plain, state_of
from trainable.loop.stepped_function import Raised, Returned, SteppedFunction
from trainable.run import Ending, EpochResult, HandedOver
from trainable.techniques.best_epoch import Monitor
from trainable.techniques.checkpoint import (
    CheckpointError,
    random_state,
    read_checkpoint,
    restore_random_state,
    write_checkpoint,
)
from trainable.techniques.memory import as_shortage, copy_to_cpu, forget_peak, peak_gib
from trainable.techniques.optim.gradient_update import DivergedError, check_finite
from trainable.techniques.parallel.random_streams import seed_everything

Train = Callable[[Any, LoopTrial], Mapping[str, Any] | None]
"""The user's function: parameters and the handle; returns metrics on the test split, or nothing."""
Handle = TypeVar("Handle", bound=LoopTrial)
MODEL = "model"
"""The state whose weights are handed over."""


@dataclass(frozen=True, slots=True)
class _Finished:
    """The return value of the function, perhaps from before the end of its last epoch."""

    value: Any
    unfinished: EpochEnd | None


class LoopRun:
    """A loop that is paused after `epoch` completed epochs; it starts at the first `run_epoch`.

    Args:
        config: the complete configuration.
        train: the user's function.
        params: what it is called with: the parameters of `config`, or the user's dataclass of them.
        data: the folder of `--data`; None without.
        monitor: the objective, which every report must hold.
    """

    constant_since: int | None = None
    """Nobody looks at a loop's predictions."""
    is_at_best_epoch = False
    """Only the last epoch is kept."""

    def __init__(
        self,
        config: LoopConfig,
        train: Train,
        params: Any,
        *,
        data: Path | None,
        monitor: Monitor,
        device: torch.device | str = "cpu",
    ) -> None:
        self.config, self.monitor, self.objective = config, monitor, monitor.name
        self.device = torch.device(device)
        self.summary = f"{config.workload} on {self.device}"
        self.epoch = 0
        self._train, self._params, self._data = train, params, data
        self._checkpoint: Mapping[str, Any] | None = None
        self._function: SteppedFunction | None = None
        self._end: EpochEnd | None = None
        self._random: dict[str, Any] | None = None
        self._finished: _Finished | None = None

    @property
    def ending(self) -> Ending | None:
        """Completed after the last epoch, or if the loop ended by itself; None while there is a next epoch."""
        has_returned = self._finished is not None or (self._checkpoint or {}).get("has_returned", False)
        return Ending(outcome="completed") if has_returned or self.epoch >= self.config.max_epochs else None

    @property
    def handed_over(self) -> HandedOver:
        """The last epoch, with the weights of `model` if the loop names one."""
        if self._end is None:
            return HandedOver(self.epoch, dict((self._checkpoint or {}).get("handed_over", {})), None)
        weights = state_of(self._end.states[MODEL]) if MODEL in self._end.states else {}
        # Copies: the code after the loop may go on with the model.
        return HandedOver(self.epoch, copy_to_cpu(weights), None)

    def states_before_training(self) -> Mapping[str, Any]:
        """Runs the loop up to `epochs` and returns the states that it names there.

        Raises:
            LoopError: the loop fails, or returns before that.
        """
        seed_everything(self.config.seed)
        handle = self._handles(UntrainedTrial)(pause=_never)
        news = SteppedFunction(lambda _: self._train(self._params, handle)).advance()
        if isinstance(news, Raised):
            raise _named(news.error) from None
        if isinstance(news, Returned):
            raise _without_epochs(self._train)
        return handle.states

    def run_epoch(self) -> EpochResult:
        """Runs the loop to the end of its epoch.

        Raises:
            DivergedError: a reported number is not finite.
            MemoryShortage: the loop ran out of memory.
            LoopError: the loop failed, with the user's frames.
        """
        began = time.perf_counter()
        forget_peak(self.device)
        news = self._advanced()
        if isinstance(news, _Finished):
            self._finished, news = news, news.unfinished
            if news is None:
                raise LoopError(
                    f"{_name(self._train)} returned after epoch {self.epoch} without a report of the next; report "
                    "before the break, or train all of epochs()."
                )
        metrics = news.metrics | ({"peak_gib": peak_gib(self.device)} if self.device.type == "cuda" else {})
        check_finite(metrics, epoch=self.epoch, step=None)
        self._end, self.epoch = news, news.epoch
        seconds = time.perf_counter() - began
        return EpochResult(
            epoch=self.epoch, objective=metrics[self.objective], metrics=metrics, seconds=seconds, precision=None
        )

    def test(self, data: Any = None) -> dict[str, float]:
        """Metrics that the function returns after its loop, without the prefix `test/`; empty if it returns None.

        A name such as `val/accuracy` keeps its prefix, so that it is never taken for the accuracy on the test split.

        Raises:
            ReturnedError: the function returned no numbers.
            LoopError: it failed.
        """
        assert data is None, "a loop knows its own test split alone"
        if self._finished is None:
            news = self._advanced()
            assert isinstance(news, _Finished), "there is no epoch after the last"
            self._finished = news
        value = self._finished.value
        if value is None:
            return {}
        try:
            named = [(name.removeprefix("test/"), float(number)) for name, number in value.items()]
        except (AttributeError, TypeError, ValueError) as error:
            raise ReturnedError(
                f'{_name(self._train)} returned {value!r:.200}; return numbers by name, such as {{"test/accuracy": '
                "0.9}, or nothing."
            ) from error
        metrics = dict(named)
        if len(metrics) < len(named):
            raise ReturnedError(
                f"{_name(self._train)} returned {', '.join(value)}: one number twice; return each once."
            )
        return metrics

    def save(self, path: Path) -> None:
        """Writes the states that the loop named, and of the random generators, as of the end of the epoch.

        Raises:
            LoopError: a state can't be held by a file without pickled code.
        """
        assert self._end is not None, "an epoch comes first"
        states = {name: state_of(state) for name, state in self._end.states.items()}
        check_plain(states)
        checkpoint = {"epoch": self.epoch, "has_returned": self._finished is not None, "states": states}
        # The same tensors, which are written once.
        write_checkpoint(path, checkpoint | {"handed_over": states.get(MODEL, {}), "random": self._random})

    def restore(self, path: Path) -> None:
        """Restores the state that `save` wrote; the loop continues from there.

        Raises:
            CheckpointError: the file is not a checkpoint of a loop.
        """
        assert self._function is None, "the loop has begun"
        checkpoint = read_checkpoint(path, self.device)
        if "states" not in checkpoint:
            raise CheckpointError(f"{path} is the checkpoint of another workload; give one that this loop wrote.")
        self._checkpoint, self.epoch = checkpoint, checkpoint["epoch"]

    def _advanced(self) -> Any:
        """Advances to the end of the loop's next epoch, or of the function, with the loop's own random state."""
        if self._function is None:
            seed_everything(self.config.seed)
            # Its thread holds no reference to this run: when that goes, the loop is unwound.
            self._function = SteppedFunction(partial(_trained, self._train, self._params, self._handles(LoopTrial)))
            weakref.finalize(self, self._function.close)
        else:
            assert self._random is not None, "it was kept when the loop paused"
            restore_random_state(self._random, self.device)
        news = self._function.advance()
        if isinstance(news, Raised):
            try:
                raise _named(news.error) from None
            finally:
                # The traceback holds this frame: with the error in it, the loop's model would stay on its device.
                del news
        self._random = random_state(self.device)
        return news.value if isinstance(news, Returned) else news

    def _handles(self, kind: type[Handle]) -> Callable[..., Handle]:
        return partial(
            kind,
            seed=self.config.seed,
            device=self.device,
            max_epochs=self.config.max_epochs,
            data=self._data,
            objective=self.objective,
            checkpoint=self._checkpoint,
        )


def _trained(train: Train, params: Any, trial: Callable[..., LoopTrial], pause: Callable[[Any], None]) -> _Finished:
    handle = trial(pause=pause)
    value = train(params, handle)
    if not handle.has_begun:
        raise _without_epochs(train)
    return _Finished(value, handle.unfinished)


def _without_epochs(train: Train) -> LoopError:
    return LoopError(
        f"{_name(train)} returned without a call of trial.epochs(); train in `for epoch in trial.epochs(...)`, with a "
        "trial.report in each."
    )


def _name(train: Train) -> str:
    """Name of a function; of a callable object, that of its class."""
    return getattr(train, "__name__", type(train).__name__)


def _never(end: EpochEnd) -> None:
    raise AssertionError("no epoch is trained")


def _named(error: BaseException) -> Exception:
    """Returns divergence and memory shortages as such, and converts any other error to a LoopError."""
    if isinstance(error, DivergedError):
        return error
    shortage = as_shortage(error) if isinstance(error, RuntimeError | MemoryError) else None
    return as_loop_error(error) if shortage is None else shortage
