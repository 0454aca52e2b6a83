"""Trained weights of timm's networks: their tensors by the names of timm, checked, and their normalisation."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import ModuleType

import torch
from torch import nn

from trainable.configuration.weight_places import weights_file
from trainable.models.backbones.weight_files import known_package, load_matching_weights, read_state_dict, some_of

TIMM = "timm:"
"""Prefix of the names of timm's backbones."""
_LOADING = "timm.models._builder"
"""The logger by which timm tells what it could not load."""


def timm_package() -> ModuleType:
    """Imports timm on first use, since it takes seconds."""
    try:
        import timm
    except ImportError as error:
        raise ValueError(
            "A backbone timm:NAME needs the package timm; install it: pip install 'vision-tuner[timm]'."
        ) from error
    return timm


def whole_with(name: str, weights: str) -> nn.Module:
    """Builds the network with all its layers, as weight files name them, and loads the weights."""
    known, bare = known_package(weights), name.removeprefix(TIMM)
    if known is None:
        whole = timm_package().create_model(bare, num_classes=0)
        load_matching_weights(whole, weights)
        return whole
    if name != known.backbone:
        raise ValueError(
            f"{weights} holds the weights of {known.backbone}; {name} would compute something else with them. "
            f"Set backbone={known.backbone}."
        )
    whole = timm_package().create_model(bare)
    wanted, found = whole.state_dict(), list(read_state_dict(weights).values())
    if [tensor.shape for tensor in wanted.values()] != [tensor.shape for tensor in found]:
        raise ValueError(f"{weights_file(weights)} does not hold the tensors of {name}; install the package again.")
    whole.load_state_dict(dict(zip(wanted, found, strict=True)))
    return whole


@contextmanager
def checked_tensors(name: str) -> Iterator[None]:
    """Checks the tensors that timm loads in this context, and drops its messages, which users can't judge.

    Left-over tensors of the whole network, its classifier's, are expected.

    Raises:
        ValueError: tensors of the network are not in the weights, or others are left over.
    """
    lost: dict[str, list[str]] = {"Missing": [], "Unexpected": []}

    def take(record: logging.LogRecord) -> bool:
        found = re.match(r"(Missing|Unexpected) keys \((.*?)\)", record.getMessage())
        if found is not None:
            lost[found[1]].extend(found[2].split(", "))
        return found is None and record.levelno >= logging.WARNING

    log = logging.getLogger(_LOADING)
    level = log.level
    log.addFilter(take)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.setLevel(level)
        log.removeFilter(take)
    missing = [one for one in lost["Missing"] if not one.startswith(_classifiers(name))]
    foreign = set(lost["Unexpected"]) - (_names_of_whole(name) if lost["Unexpected"] else set())
    if missing or foreign:
        raise ValueError(
            f"The weights are not those of {name}. Missing: {some_of(missing)}. Not expected: {some_of(foreign)}. "
            "Give the weights of this network, or take another version of timm."
        )


@lru_cache
def _names_of_whole(name: str) -> frozenset[str]:
    """Names of the network's tensors, including the layers that a backbone leaves out."""
    with torch.device("meta"):
        return frozenset(timm_package().create_model(name.removeprefix(TIMM)).state_dict())


def _classifiers(name: str) -> tuple[str, ...]:
    """Name prefixes of the last layer's tensors, which a backbone does not use."""
    known = timm_package().get_pretrained_cfg(name.removeprefix(TIMM))
    found = None if known is None else known.classifier
    layers = (found,) if isinstance(found, str) else found or ()
    return tuple(f"{layer}." for layer in layers)
