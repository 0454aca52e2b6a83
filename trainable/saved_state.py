"""The state of an object that has a few plain values to save, in a checkpoint.

Without torch, unlike `plain_state`: configurations are read where torch is not loaded.
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class SavedState:
    """Mixin whose state dict holds the attributes named in `saved`, without their leading underscore."""

    saved: ClassVar[tuple[str, ...]]

    def state_dict(self) -> dict[str, Any]:
        return {name.removeprefix("_"): getattr(self, name) for name in self.saved}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name in self.saved:
            setattr(self, name, state[name.removeprefix("_")])
