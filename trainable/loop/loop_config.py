"""The configuration of a user's own loop: parameters by name, with no known fields."""

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

from trainable.configuration.run_config import RunConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopData:
    """Location of the loop's data."""

    source: str | None = None
    """Folder or file that `--data` names; None: the loop knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopConfig(RunConfig):
    """Arguments of a loop."""

    free_params: ClassVar[str | None] = "params"

    params: dict[str, Any] = field(default_factory=dict)
    """Values that the space suggested, by name; plain, because they are recorded."""

    def __post_init__(self) -> None:
        # A class with slots is another one than `super()` without arguments refers to.
        super(LoopConfig, self).__post_init__()
        for name, value in self.params.items():
            if not _is_plain(value):
                raise ValueError(
                    f"{name} is {value!r:.80}, which no record can hold; a parameter is None, True, False, a finite "
                    "number, text, or a list, tuple or dict of these: give a name that your loop looks up."
                )


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(name, str) and _is_plain(one) for name, one in value.items())
    return value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))
