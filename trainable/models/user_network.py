"""A network of the user's own in a workload: found by its reference, built with its parameters, checked by its output.

The network is a class, or a function, that returns an `nn.Module`. It gets images (B, 3, H, W) in [0, 1] and returns
one of the forms of `as_model_output`: logits (B, 1, H, W) of masks, or (B, K) of classes.
"""

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainable.configuration.fields import convert, unknown_name
from trainable.configuration.reference import load
from trainable.configuration.user_frames import in_words, user_frames
from trainable.models.output import as_model_output
from trainable.plain_state import PLAIN, not_plain

SCRATCH = "scratch"
ANY_NETWORK = frozenset({"network", "network_params", "weights", "freeze_batch_norm"})
"""Fields that mean something beside a network of the user's, or have a sentence of their own."""
CHECKED_IMAGES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class UserNetworkConfig:
    """The user's own network that replaces the workload's, and its parameters."""

    network: str | None = None
    """`module:NAME` of a network of the user's; None: the workload's own, which the other fields describe."""
    network_params: dict[str, Any] | None = field(default=None, hash=False)
    """Arguments of its constructor by name; each is set, or searched, as network.NAME."""

    def check_network(self) -> None:
        """Raises ValueError when there is no such network or it has no such parameters."""
        if self.network is None:
            if self.network_params:
                raise ValueError(f"network.{next(iter(self.network_params))} is given without a network; set network.")
            return
        weights = getattr(self, "weights", SCRATCH)
        if weights != SCRATCH:
            raise ValueError(
                f"weights is {weights}, but {self.network} is a network of your own; load them in its constructor, or "
                "give init_weights (--init), the path of its state dict."
            )
        accepted = _parameters(self.network)
        hints = self.network_arguments()
        for name, value in (self.network_params or {}).items():
            if accepted is not None and name not in accepted:
                raise ValueError(unknown_name(f"parameter of {self.network}", name, accepted))
            if hints.get(name) in (bool, int, float) and isinstance(value, str):
                convert(value, hints[name], f"network.{name}")

    def network_arguments(self) -> dict[str, object]:
        """The arguments that can be set, and their types: those that are declared, else of their defaults."""
        if self.network is None:
            return {}
        parameters = inspect.signature(load(self.network)).parameters.values()
        return {one.name: _hint(one) for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)}

    def network_value(self, name: str) -> object:
        """Value of an argument: as set, else its default, else None."""
        assert self.network is not None
        default = inspect.signature(load(self.network)).parameters[name].default
        return (self.network_params or {}).get(name, None if default is inspect.Parameter.empty else default)

    def refuse_network(self, workload: str) -> None:
        if self.network is not None:
            raise ValueError(f"{workload} takes no network of your own; moe, dishes, leaf and retina do.")


def build_user_network(
    config: UserNetworkConfig, *, num_outputs: int, is_mask: bool, size_px: tuple[int, int]
) -> nn.Module:
    """The user's network, after two black images of height and width `size_px` passed through a copy of it.

    Args:
        num_outputs: classes, or 1 of a mask; also given to a constructor that takes `num_classes`.

    Raises:
        ValueError: it cannot be built, or does not return logits of this form.
    """
    assert config.network is not None
    build: Callable[..., object] = load(config.network)
    given = {"num_classes": num_outputs} if "num_classes" in config.network_arguments() else {}
    try:
        network = build(**(given | (config.network_params or {})))
    except (Exception, SystemExit) as error:
        raise ValueError(_failed(f"{config.network} cannot be built", error)) from error
    if not isinstance(network, nn.Module):
        raise ValueError(f"{config.network} returns a {type(network).__name__}; it must return a torch.nn.Module.")
    parameters = list(network.parameters())
    if any(isinstance(one, nn.parameter.UninitializedParameter) for one in parameters):
        raise ValueError(
            f"{config.network} holds lazy layers, which have no shape yet; give each its number of inputs."
        )
    if not any(one.requires_grad for one in parameters):
        raise ValueError(
            f"{config.network} has no parameters that can be trained; let it have some with requires_grad."
        )
    _check_state(config.network, network)
    expected = (num_outputs, *size_px) if is_mask else (num_outputs,)
    images = torch.zeros(CHECKED_IMAGES, 3, *size_px)
    with torch.random.fork_rng(devices=[]):
        for is_training in (True, False):
            _check_output(config.network, copy.deepcopy(network).train(is_training), images, expected)
    return network


def check_mask(name: str, network: nn.Module, size_px: tuple[int, int]) -> None:
    """Raises ValueError where a network does not return a mask of images of this height and width in evaluation."""
    images = torch.zeros(CHECKED_IMAGES, 3, *size_px)
    with torch.random.fork_rng(devices=[]):
        _check_output(name, copy.deepcopy(network).eval(), images, (1, *size_px))


def _check_state(name: str, network: nn.Module) -> None:
    """Raises ValueError for extra state of a module that a checkpoint can't hold or restore."""
    try:
        state = network.state_dict()
        extra = {key: value for key, value in state.items() if not isinstance(value, Tensor)}
        code = not_plain(extra) if extra else []
        if extra and not code:
            copy.deepcopy(network).load_state_dict(state)
    except (Exception, SystemExit) as error:
        why = " ".join(_failed(f"the state of {name} can't be saved and restored", error).split())
        raise ValueError(f"{why}; let set_extra_state take what get_extra_state gives.") from error
    if code:
        raise ValueError(
            f"{', '.join(extra)} of {name} holds {', '.join(code)}; {PLAIN}: let get_extra_state return these."
        )


def _check_output(name: str, network: nn.Module, images: Tensor, expected: tuple[int, ...]) -> None:
    mode, shape = "training" if network.training else "evaluation", ("B", *expected)
    wanted = f"logits of shape ({', '.join(map(str, shape))})"
    try:
        with torch.set_grad_enabled(network.training):
            output = as_model_output(network(images))
    except TypeError as error:
        raise ValueError(_failed(f"{name} must return {wanted} in {mode}", error)) from error
    except (Exception, SystemExit) as error:
        size = "x".join(map(str, images.shape[-2:]))
        raise ValueError(_failed(f"{name} fails on images of {size} px in {mode}", error)) from error
    predictions = output.predictions
    if tuple(predictions.shape) != (len(images), *expected):
        found = ", ".join(map(str, ("B", *predictions.shape[1:])))
        raise ValueError(f"{name} returns predictions of shape ({found}) in {mode}; it must return {wanted}.")
    if not predictions.is_floating_point():
        raise ValueError(f"{name} returns predictions of {predictions.dtype} in {mode}; it must return {wanted}.")
    if network.training and not predictions.requires_grad:
        raise ValueError(
            f"{name} returns predictions without a gradient in training; remove no_grad, detach and the like."
        )


def _parameters(name: str) -> list[str] | None:
    """Names that the constructor takes; None where it takes any.

    Raises:
        ValueError: it is neither a class nor a function, or cannot be imported.
    """
    build = load(name)
    if not callable(build):
        raise ValueError(f"{name} is of type {type(build).__name__}; it must be a class of networks, or a function.")
    parameters = inspect.signature(build).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return [parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_POSITIONAL]


def _hint(parameter: inspect.Parameter) -> object:
    if parameter.annotation is not parameter.empty and not isinstance(parameter.annotation, str):
        return parameter.annotation
    return Any if parameter.default in (None, parameter.empty) else type(parameter.default)


def _failed(what: str, error: BaseException) -> str:
    own = user_frames(error)
    place = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    return f"{what}: {in_words(error)}{place}"
