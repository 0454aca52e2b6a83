"""Where weights lie: a file, a folder with one, or an installed package. Without torch, whose import takes seconds."""

import importlib.util
from pathlib import Path

from trainable.configuration.given_paths import WORDS
from trainable.data.io.counted import first_of

PACKAGE = "package:"
"""Prefix of weights in an installed package, given by its importable name."""
SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")


def check_weights(weights: str) -> None:
    """Raises ValueError unless `weights` is one of `WORDS` or leads to a file."""
    if weights not in WORDS:
        weights_file(Path(weights).expanduser() if not weights.startswith(PACKAGE) else weights)


def weights_file(weights: str | Path) -> Path:
    """The file of weights that a path, a folder or `package:NAME` leads to.

    Raises:
        ValueError: there is none, or a folder or package holds several.
    """
    place = _package_folder(str(weights)) if str(weights).startswith(PACKAGE) else Path(weights)
    if place.is_dir():
        found = sorted(path for path in place.rglob("*") if path.suffix in SUFFIXES and path.is_file())
        if len(found) != 1:
            shown = first_of([str(path.relative_to(place)) for path in found], 5) or "none"
            raise ValueError(
                f"{weights} holds {len(found)} files of weights ({', '.join(SUFFIXES)}): {shown}; give the path of one."
            )
        return found[0]
    if not place.is_file():
        raise ValueError(
            f"Weights file {place} does not exist; give 'scratch', 'imagenet', package:NAME, or the path of a file or "
            "a folder with one."
        )
    return place


def _package_folder(weights: str) -> Path:
    name = weights.removeprefix(PACKAGE)
    if not name:
        raise ValueError(f"weights is {weights!r}, without the name of a package; give {PACKAGE}NAME.")
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    if spec is None or spec.origin is None:
        raise ValueError(
            f"weights is {weights}, but no package {name} is installed; install it, or give the path of a file."
        )
    return Path(spec.origin).parent
