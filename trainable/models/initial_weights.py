"""Weights of an earlier training as the start of a network: each part that fits is taken whole.

A part is a child of the network, such as `backbone`, `experts` or `head`. Taking tensors one by one would mix two
networks: a router of four experts with half the experts of another.
"""

import logging
from collections.abc import Mapping

from torch import Tensor, nn

from trainable.data.io.counted import counted
from trainable.models.external.weight_files import named_as, read_state_dict

logger = logging.getLogger(__name__)


def load_fitting_parts(module: nn.Module, path: str) -> None:
    """Loads the parts that the file holds with all tensors in the same shapes, and logs what was taken.

    Raises:
        ValueError: no such file, or it is no state dict.
    """
    wanted = module.state_dict()
    found, own = by_part(named_as(wanted, read_state_dict(path))), by_part(wanted)
    taken = [part for part, tensors in own.items() if _fits(tensors, found.get(part, {}))]
    module.load_state_dict({name: tensor for part in taken for name, tensor in found[part].items()}, strict=False)
    logger.info(
        "from %s: took %s; starts fresh: %s; not used: %s",
        path,
        _counted(taken, own),
        _counted([part for part in own if part not in taken], own),
        _counted([part for part in found if part not in taken], found),
    )


def by_part(state: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Tensors by the child that they belong to; whole names inside."""
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        parts.setdefault(name.partition(".")[0], {})[name] = tensor
    return parts


def _fits(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> bool:
    return wanted.keys() == found.keys() and all(found[name].shape == tensor.shape for name, tensor in wanted.items())


def _counted(parts: list[str], tensors: Mapping[str, Mapping[str, Tensor]]) -> str:
    return ", ".join(f"{part} ({counted(len(tensors[part]), 'tensor')})" for part in parts) or "nothing"
