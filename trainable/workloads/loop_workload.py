"""A loop of the user's own as a workload."""

import hashlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from trainable.configuration.fields import replace_fields, unknown_name
from trainable.data.io.folder_layout import files_below
from trainable.loop.loop_config import LoopConfig, LoopData
from trainable.loop.loop_error import LoopError
from trainable.loop.loop_run import MODEL, LoopRun
from trainable.remote.local_source import local_source
from trainable.tasks.presets.preset import Preset
from trainable.techniques.best_epoch import Monitor
from trainable.techniques.memory import MicroBatchCaps
from trainable.techniques.parallel.data_parallel import Ranks
from trainable.workloads.workload import DEFAULT, Progress, Workload


@runtime_checkable
class Loop(Protocol):
    """The interface of a training loop, which `LoopSpace` implements."""

    train: Callable[..., Any]
    objective: str
    mode: str
    max_epochs: int
    defaults: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopFiles:
    """The folder or file of `--data`."""

    path: Path | None
    """None: the loop knows where its data is."""
    fingerprint: dict[str, str]
    """Hash of the names and sizes of all files, which detects another folder cheaply; empty without a folder."""


class LoopWorkload(Workload[LoopConfig]):
    """Trains a loop's configurations with a `LoopRun`. `name` is the reference to the loop."""

    can_use_ranks = False

    def __init__(self, loop: Loop, *, name: str) -> None:
        self.name, self.objective, self.mode = name, loop.objective, loop.mode
        self.presets = {DEFAULT: Preset(params=dict(loop.defaults))}
        self._loop = loop

    def default_config(self, source: str | None = None) -> LoopConfig:
        return LoopConfig(workload=self.name, max_epochs=self._loop.max_epochs, data=LoopData(source=source))

    def open_data(
        self, config: LoopConfig, *, cache_dir: Path | None = None, on_progress: Progress | None = None
    ) -> LoopFiles:
        if config.data.source is None:
            return LoopFiles(path=None, fingerprint={})
        path = Path(local_source(config.data.source, cache_dir))
        if not path.exists():
            raise ValueError(f"--data is {path}, which does not exist; give a folder or file that the loop reads.")
        # Behind links too; what a system keeps in a folder does not count.
        files = files_below(path) if path.is_dir() else [Path()]
        lines = (f"{one} {(path / one).stat().st_size}\n" for one in files if (path / one).is_file())
        listing = hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
        return LoopFiles(path=path, fingerprint={"all": listing})

    def check(self, config: LoopConfig) -> None:
        self._params(config)

    def measure(
        self, config: LoopConfig, data: LoopFiles, device: torch.device, quantities: Iterable[str]
    ) -> dict[str, float]:
        """Counts the parameters of the model that the loop names in `epochs`, running the loop up to there.

        Raises:
            ValueError: another quantity than params_m.
            LoopError: the loop fails before `epochs`, or names no model there.
        """
        run = self.begin(config, data, device=device)
        for quantity in quantities:
            if quantity != "params_m":
                raise ValueError(
                    f"--limit {quantity} needs images, which only your loop has; give --limit params_m alone."
                )
        parameters = getattr(run.states_before_training().get(MODEL), "parameters", None)
        if not callable(parameters):
            raise LoopError(
                "--limit params_m counts the parameters of model: call trial.epochs(model=...) with a network."
            )
        return {"params_m": sum(parameter.numel() for parameter in parameters()) / 1e6}

    def begin(
        self,
        config: LoopConfig,
        data: LoopFiles,
        *,
        device: torch.device | str,
        ranks: Ranks | None = None,
        caps: MicroBatchCaps | None = None,
    ) -> LoopRun:
        if ranks is not None:
            raise ValueError(
                f"{self.name} is a loop of your own, which trains in one process; run it without torchrun."
            )
        monitor = Monitor(name=self.objective, mode=self._loop.mode)
        params = self._params(config)
        return LoopRun(config, self._loop.train, params, data=data.path, monitor=monitor, device=device)

    def _params(self, config: LoopConfig) -> Any:
        """Converts the parameters to the type that the function takes: a dict, or its annotated dataclass."""
        kind = _annotation(self._loop.train)
        return _built(kind, config.params) if isinstance(kind, type) and is_dataclass(kind) else dict(config.params)


def _annotation(train: Callable[..., Any]) -> object:
    """Type annotation of the function's first argument."""
    first = next(iter(inspect.signature(train).parameters.values()), None)
    text = None if first is None else first.annotation
    if not isinstance(text, str):
        return text
    try:
        return eval(text, getattr(inspect.unwrap(train), "__globals__", {}))
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        raise ValueError(
            f"the parameters are annotated as {text!r}, which is not known when the loop runs ({error}); import it "
            "outside of TYPE_CHECKING, or leave the annotation out."
        ) from error


def _built(kind: type, params: Mapping[str, Any]) -> Any:
    """The user's dataclass; raises ValueError for a name or a value that it does not take."""
    names = {one.name for one in fields(kind)}
    for name in params:
        if name not in names:
            raise ValueError(unknown_name(f"field of {kind.__name__}", name, names))
    required = {one.name for one in fields(kind) if one.default is MISSING and one.default_factory is MISSING}
    if missing := sorted(required - params.keys()):
        raise ValueError(f"{kind.__name__} needs {', '.join(missing)}; suggest it, or give the field a default.")
    return replace_fields(kind, None, params)
