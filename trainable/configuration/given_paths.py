"""Parameters that name a user's file, made independent of the working folder."""

from collections.abc import Mapping
from pathlib import Path

from trainable.configuration.reference import find

WEIGHTS, WORDS = ("weights", "init_weights"), ("scratch", "imagenet")
"""Parameters that may be the path of weights, and what else they may be, also where a file is called so."""


def with_found_files(params: Mapping[str, object]) -> dict[str, object]:
    """The parameters with weights by their absolute path, and a network of the user's, given as `file.py:NAME` or
    `module:NAME`, by its module; its folder is on `sys.path` then.

    Raises:
        ValueError: there is no such file or module of a network.
    """
    weights = {name: value for name in WEIGHTS if isinstance(value := params.get(name), str) and value not in WORDS}
    places = {name: Path(value).expanduser() for name, value in weights.items()}
    found: dict[str, object] = {name: str(place.absolute()) for name, place in places.items() if place.exists()}
    network = params.get("network")
    return {**params, **found} | ({"network": find(network).text} if isinstance(network, str) else {})
