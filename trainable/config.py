"""One training configuration, typed and frozen, and the only conversion from a dict of parameters.

A configuration has one section per technique or part; a technique that is off is None. Names are unique across
sections, so that a search space can set `max_lr` without naming its section.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, ClassVar, NamedTuple, get_args

from trainable.configuration.fields import built, check_size, replace_fields, types_of, unknown_name
from trainable.configuration.older_versions import as_written_now
from trainable.configuration.run_config import Config, RunConfig
from trainable.techniques.best_epoch import BestEpochConfig
from trainable.techniques.early_stopping import EarlyStoppingConfig
from trainable.techniques.engine import EngineConfig
from trainable.techniques.optim.averaging import AveragingConfig
from trainable.techniques.optim.optimizer import OptimizerConfig
from trainable.techniques.optim.precision import PRECISIONS
from trainable.techniques.optim.schedule_config import ScheduleConfig
from trainable.techniques.optim.unfreezing import UnfreezingConfig

SCRATCH = "scratch"
"""The `weights` of a network that starts from scratch."""
NETWORK_PARAM = "network."
"""Prefix of the arguments of a user's own network."""
COMPILE_BACKENDS = ("inductor", "aot_eager", "eager")
_SIDES = ("long_side_px", "image_size_px", "tile_px")
_ELSEWHERE = {
    "lr": ("max_lr",),
    "learning_rate": ("max_lr",),
    "wd": ("weight_decay",),
    "bs": ("batch_size",),
    "epochs": ("max_epochs",),
    "checkpoint_gradients": ("gradient_checkpointing",),
    **dict.fromkeys(("image_size", "img_size", "imgsz", "size", "resolution", *_SIDES), _SIDES),
}
"""Common names of parameters elsewhere; of several here, a workload has one."""
_ALWAYS_ON = ("data", "model", "loss", "optimizer", "schedule")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialConfig(RunConfig):
    """Everything that determines a run of a task except the machine.

    The sections that every task has; a task derives its own class with more.
    """

    min_batch_size: ClassVar[int] = 1
    """Fewest images per micro-batch that the loss needs."""
    memory_fields: ClassVar[tuple[str, ...]] = (
        "workload",
        "data",
        "model",
        "precision",
        "compile_backend",
        "gradient_checkpointing",
        "engine",
        "unfreezing",
    )
    """Fields that decide the memory per image of a micro-batch; a task adds its own."""

    model: Any
    """The network; the task's own type."""
    loss: Any
    """The criterion; the task's own type."""
    batch_size: int = 16
    """Images of a micro-batch."""
    accumulation_steps: int = 1
    """Micro-batches per optimizer update; effective batch = batch_size * accumulation_steps."""
    precision: str = "auto"
    """auto, fp32, fp16 or bf16."""
    compile_backend: str | None = None
    """Backend of torch.compile: "inductor" for speed, "aot_eager" to test that it compiles, "eager" to test the tracing
    alone; None is off."""
    max_grad_norm: float | None = 1.0
    """Gradients are clipped to this norm; None is off."""
    gradient_checkpointing: bool = False
    """Gradient checkpointing: about a third more time for a fraction of the memory."""
    init_weights: str | None = None
    """Path of a network's weights: each part of the network that the file holds whole starts from it; None: none."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    unfreezing: UnfreezingConfig | None = None
    """The heads train alone first, and the backbone joins from the top down; for trained weights. None: all train."""
    averaging: AveragingConfig | None = None
    early_stopping: EarlyStoppingConfig | None = None
    best_epoch: BestEpochConfig | None = field(default_factory=BestEpochConfig)
    """The weights of the best epoch are handed over; None: those of the last."""
    engine: EngineConfig | None = field(default_factory=EngineConfig)
    """Switches of cuDNN, TF32 and deterministic algorithms; None and the default leave them as they are."""

    @property
    def has_trained_weights(self) -> bool:
        """Whether the network starts from trained weights; without a field `weights` it starts from scratch."""
        return self.init_weights is not None or getattr(self.model, "weights", SCRATCH) != SCRATCH

    @property
    def warmup_fraction(self) -> float:
        return self.schedule.warmup_fraction

    @property
    def num_tasks(self) -> int:
        """Number of tasks that one network learns, each with its own weighted loss."""
        return 1

    def __post_init__(self) -> None:
        RunConfig.__post_init__(self)
        for name in ("batch_size", "accumulation_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 1 or more.")
        if self.compile_backend is not None and self.compile_backend not in COMPILE_BACKENDS:
            raise ValueError(f"compile_backend is {self.compile_backend!r}; allowed: {', '.join(COMPILE_BACKENDS)}.")
        if self.compile_backend == "eager" and self.gradient_checkpointing:
            # Not with the draws of the forward pass, as other backends do: gradients would be wrong without a word.
            raise ValueError(
                "compile_backend is eager, which recomputes dropout with new draws, and gradient_checkpointing is on; "
                "take aot_eager or inductor, or turn one of them off."
            )
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision is {self.precision!r}; allowed: {', '.join(PRECISIONS)}.")
        if self.max_grad_norm is not None and not self.max_grad_norm > 0:
            raise ValueError(f"max_grad_norm is {self.max_grad_norm}; it must be positive, or None for no clipping.")


def from_params(params: Mapping[str, object], base: Config) -> Config:
    """Puts flat parameters such as `{"max_lr": 3e-3, "averaging": False}` over a workload's default configuration.

    A section's own name switches it: False or None is off, True is on with the values of `base` or its defaults.

    Raises:
        ValueError: a name is unknown (the nearest is given), belongs to a section that is off, or a value is not of
            its field's type or range.
    """
    check_size(params)
    params = _with_network_params(params, base)
    sections = sections_of(base)
    owners = {inner.name: name for name, kind in sections.items() for inner in fields(kind)}
    own = {outer.name for outer in fields(base)} - set(sections)
    known = parameter_names(base)
    others = {name: value for name, value in params.items() if name not in known}
    changes = {name: value for name, value in params.items() if name in own}
    if others and base.free_params is not None:
        changes[base.free_params] = {**getattr(base, base.free_params), **others}
    elif others:
        name = next(iter(others))
        raise ValueError(unknown_parameter(name, known))
    for section, kind in sections.items():
        inner = {name: value for name, value in params.items() if owners.get(name) == section}
        current = getattr(base, section)
        changes[section] = _switch(section, kind, current, params.get(section, current is not None), inner)
    _check_always_on(changes)
    return replace_fields(type(base), base, changes)


class Parameter(NamedTuple):
    """A flat name of `from_params`."""

    section: str | None
    """The part that holds it; None for the configuration's own, and for a part's switch."""
    hint: object
    """The type of its values."""
    is_switch: bool = False
    """Whether it turns a whole part on or off."""


def parameters_of(base: RunConfig) -> dict[str, Parameter]:
    """All parameters that `from_params` takes, including those of parts that are off in `base`."""
    sections, hints = sections_of(base), types_of(type(base))
    found = {
        outer.name: Parameter(None, bool, is_switch=True)
        if outer.name in sections
        else Parameter(None, hints[outer.name])
        for outer in fields(base)
    }
    for section, kind in sections.items():
        inner_hints = types_of(kind)
        found |= {inner.name: Parameter(section, inner_hints[inner.name]) for inner in fields(kind)}
    arguments: Mapping[str, object] = getattr(getattr(base, "model", None), "network_arguments", dict)()
    return found | {f"{NETWORK_PARAM}{name}": Parameter("model", hint) for name, hint in arguments.items()}


def unknown_parameter(name: str, known: Iterable[str]) -> str:
    """The message for a name that is not a parameter."""
    return unknown_name("parameter", name, known, meant=_ELSEWHERE.get(name, ()))


def _with_network_params(params: Mapping[str, object], base: RunConfig) -> Mapping[str, object]:
    """Merges arguments of a user's own network, such as `network.width`, into those of `base`."""
    own = {name: value for name, value in params.items() if name.startswith(NETWORK_PARAM)}
    if not own:
        return params
    model: Any = getattr(base, "model", None)
    if not hasattr(model, "network_params"):
        raise ValueError(f"{next(iter(own))} is given, but {base.workload} takes no network of your own.")
    inner = {name.removeprefix(NETWORK_PARAM): value for name, value in own.items()}
    others = {name: value for name, value in params.items() if name not in own}
    return {**others, "network_params": {**(model.network_params or {}), **inner}}


def flat_params(config: RunConfig) -> dict[str, object]:
    """The configuration under the flat names of `from_params`, without sections that are off."""
    params = {outer.name: getattr(config, outer.name) for outer in fields(config)}
    params |= {} if config.free_params is None else params.pop(config.free_params)
    for section in sections_of(config):
        inner = params.pop(section)
        params |= {} if inner is None else {field.name: getattr(inner, field.name) for field in fields(inner)}
    return params


def parameter_names(config: RunConfig) -> set[str]:
    """All flat names of `from_params`, those of sections that are off included."""
    inner = {field.name for kind in sections_of(config).values() for field in fields(kind)}
    return inner | {outer.name for outer in fields(config)}


def to_dict(config: RunConfig) -> dict[str, object]:
    """The configuration as nested plain data, complete: every default is written out."""
    return asdict(config)


def from_dict(data: Mapping[str, object], base: Config) -> Config:
    """Reads what `to_dict` wrote, of an older version, too; `base` is the workload's default and gives the types of its
    sections.

    Raises:
        ValueError: a name is unknown or missing, or a value is not of its field's type or range.
    """
    sections, data = sections_of(base), as_written_now(data, [outer.name for outer in fields(base)])
    inner = {
        name: built(sections[name], value, name) if name in sections and value is not None else value
        for name, value in data.items()
    }
    _check_always_on(inner)
    return built(type(base), inner, "the configuration")


def sections_of(base: RunConfig) -> dict[str, type]:
    """The dataclass of each section, also of those that are off in `base`; its name switches it as a whole."""
    found: dict[str, type] = {}
    for name, hint in types_of(type(base)).items():
        value = getattr(base, name)
        options: list[type] = [type(value)] if is_dataclass(value) else [*get_args(hint)]
        kinds = [kind for kind in options if is_dataclass(kind)]
        if kinds:
            found[name] = kinds[0]
    return found


def _check_always_on(sections: Mapping[str, object]) -> None:
    for name in _ALWAYS_ON:
        if name in sections and sections[name] is None:
            raise ValueError(f"{name} can't be off; leave it on and change what is in it.")


def _switch(section: str, kind: type, current: object, switch: object, inner: Mapping[str, object]) -> object:
    if switch not in (True, False, None):
        raise ValueError(f"{section} is {switch!r}; allowed: true or false; set its parameters by their own names.")
    if switch:
        return current if current is not None and not inner else replace_fields(kind, current, inner)
    if inner:
        raise ValueError(f"{', '.join(inner)} given while {section} is off; drop it, or set {section}=true.")
    return None
