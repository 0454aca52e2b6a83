"""The search space of a training loop of the user's own: their function, what it reports, and what may vary."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search_spaces.space import Mode, Params, Situation, Space, Trial

RESERVED = frozenset({"workload", "max_epochs", "seed", "data", "source", "params"})
"""Names that every run has: a loop finds seed, epochs and data in its handle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSpace:
    """A function `train(params, trial)`, and the space over its parameters.

    It stands at the top of a module, so that every process can import it: `--space train.py:SPACE`.
    """

    name: str
    """Name of the folder of its searches, `results/<name>/`."""
    train: Callable[[Any, Any], Mapping[str, Any] | None]
    """Trains one configuration: `params` is what `suggest` returned, or the dataclass of its annotation, `trial` a
    `trainable.LoopTrial`. What it returns after its loop are metrics on the test split."""
    objective: str
    """The metric that is compared, such as `val/accuracy`; every report holds it."""
    mode: Mode = "max"
    """`max` or `min`: whether a higher or a lower objective is better."""
    suggest: Callable[[Trial], Params]
    """Asks the trial, with Optuna's `suggest_float`, `suggest_int` and `suggest_categorical`, and returns the
    parameters."""
    defaults: Params
    """A fair configuration to beat, by the names that `suggest` asks for: the first trial."""
    recommended: Sequence[Params] = ()
    """Configurations to try right after; omitted values are the default's."""
    max_epochs: int
    """Length of a full training."""
    grace_epochs: int = 1
    """Epochs that every trial gets: the first rung."""
    reduction_factor: int = 2
    """One in this many trials continues from each rung."""
    num_trials: int = 30
    """Default number of configurations."""
    confirm: int | None = None
    """Default number of best trials to retrain with the default on several seeds; None: 3, or 0 where `train` has no
    `return` with a value, so that nothing is measured on a test split."""

    def __post_init__(self) -> None:
        for name in ("train", "suggest"):
            if not callable(getattr(self, name)):
                raise ValueError(f"{name} of {self.name} is {getattr(self, name)!r:.80}; give a function.")
        _check_called(self.train, f"train of {self.name}", ("params", "trial"))
        _check_called(self.suggest, f"suggest of {self.name}", ("trial",))
        if not (isinstance(self.objective, str) and self.objective.strip()):
            raise ValueError(f"objective of {self.name} is {self.objective!r:.80}; name a metric of every report.")
        for values in (self.defaults, *self.recommended):
            _checked(values, f"defaults of {self.name}")
        self.as_space("")

    def as_space(self, workload: str) -> Space:
        """The same space in the form that every search takes; `workload` is the reference to this object."""
        return Space(
            name=self.name,
            workload=workload,
            objective=self.objective,
            mode=self.mode,
            suggest=_Suggest(self.suggest),
            defaults=_Always(self.defaults),
            recommended=_Always(list(self.recommended)),
            max_epochs=self.max_epochs,
            grace_epochs=self.grace_epochs,
            reduction_factor=self.reduction_factor,
            num_trials=self.num_trials,
            confirm=(3 if _returns_a_value(self.train) else 0) if self.confirm is None else self.confirm,
        )


@dataclass(frozen=True, slots=True)
class _Suggest:
    """The user's function, which knows no situation."""

    function: Callable[[Trial], Params]

    def __call__(self, trial: Trial, situation: Situation) -> Params:
        return _checked(self.function(trial), f"what {getattr(self.function, '__name__', 'suggest')} returns")


@dataclass(frozen=True, slots=True)
class _Always:
    """The same values in every situation."""

    values: Any

    def __call__(self, situation: Situation) -> Any:
        return self.values


def _check_called(function: Callable[..., Any], what: str, names: Sequence[str]) -> None:
    """Raises ValueError for a function that can't be called with so many arguments, or that a call does not run.

    Nor does it run a class, of which it makes an object.
    """
    if inspect.isclass(function):
        raise ValueError(f"{what} is the class {function.__name__}, which a call makes an object of; give a function.")
    for one in (function, getattr(function, "__call__", function)):  # noqa: B004 - the method of an object
        if inspect.iscoroutinefunction(one) or inspect.isgeneratorfunction(one) or inspect.isasyncgenfunction(one):
            raise ValueError(f"{what} is a generator or async, which a call does not run; use neither yield nor async.")
    try:
        inspect.signature(function).bind(*names)
    except TypeError as error:
        raise ValueError(f"{what} is called with ({', '.join(names)}): {error}; take these arguments.") from error


def _returns_a_value(function: Callable[..., Any]) -> bool:
    """Whether the source has a return value; True without source."""
    try:
        source = textwrap.dedent(inspect.getsource(function))
        returns = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Return)]
    except (OSError, TypeError, SyntaxError):
        return True
    return any(node.value is not None for node in returns)


def _checked(params: Any, where: str) -> Params:
    """A copy; raises ValueError unless it holds values by names that are free."""
    if not isinstance(params, Mapping):
        raise ValueError(f"{where} is {params!r:.80}; it must be a dict of parameters by name.")
    for name in params:
        if not isinstance(name, str):
            raise ValueError(f"{where} holds the name {name!r:.80}; names of parameters are text.")
        if name in RESERVED:
            raise ValueError(
                f"{where} holds {name}, a name that every run has ({', '.join(sorted(RESERVED))}); take it from "
                "the handle, or give it another name."
            )
    return dict(params)
