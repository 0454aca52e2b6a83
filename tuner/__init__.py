"""Chooses configurations, runs them and reports the results. Scripts and notebooks: `from tuner import load, resume,
search`. The commands are here: search, confirm, export, ensemble, explain, report, page; __main__ lists them. What
search calls: search_options and settings (its options, checked), run (from the cluster to the end), session (which leg
is next), policy_from_records (the policy, new or replayed). What export calls: exchange (ONNX, torch.export). May
import trainable and search_spaces; ray only in tuner.ray.
"""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuner.api.result import load
    from tuner.api.searches import resume, search

__all__ = ["load", "resume", "search"]

_MODULES = {"load": "tuner.api.result", "resume": "tuner.api.searches", "search": "tuner.api.searches"}


def __getattr__(name: str) -> object:
    """Imports a public function on first use, so that importing tuner alone loads neither torch nor ray."""
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'tuner' has no attribute {name!r}")


class _Package(ModuleType):
    """Keeps `tuner.search` the function, even after the module `tuner.search` has been imported."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _MODULES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package

if sys.argv[0] == "-m":
    # `python -m` imports from the working folder first, and looks for the command's module just now.
    for _name in ("trainable", "search_spaces", "torch", "torchvision", "numpy", "pandas", "ray", "optuna"):
        if Path(f"{_name}.py").is_file():
            sys.exit(
                f"error: {Path(f'{_name}.py').absolute()} would be imported in place of the package {_name}; rename "
                "it, start from another folder, or use vision-tuner, which imports nothing from here"
            )
