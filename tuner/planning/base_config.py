"""The configuration that every trial starts from: the workload's default with the user's values outside the space."""

import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

from search_spaces.space import Situation, Space
from trainable.config import NETWORK_PARAM, flat_params, from_params, parameters_of, unknown_parameter
from trainable.configuration.run_config import RunConfig
from trainable.data.io.decoding import BadFileError, read_header
from trainable.data.io.folder_layout import files_below, is_image
from trainable.models.backbones.registry import has_batch_norm, has_drop_path
from trainable.models.backbones.weight_files import known_package
from trainable.models.backbones.weights_at_hand import trained_backbones
from trainable.models.user_network import ANY_NETWORK
from trainable.remote.local_source import absolute_source, local_source
from trainable.reporting.output_folder import initial_weights
from trainable.tasks.registry import get_task
from trainable.workloads.registry import get_workload
from trainable.workloads.workload import Workload
from tuner.settings import SearchSettings

logger = logging.getLogger(__name__)

SIDE = "image_size_px"
"""The side of square images, in the workloads of classes and grades."""
CPU_SIDE_PX, GPU_SIDE_PX = 128, 224
"""Largest side with a trained backbone: on a CPU an update of 16 images of 128 px takes about a second; 224 is the size
that the weights were trained on."""
FREEZE = "freeze_batch_norm"
ABOUT_NETWORKS = {"backbone", "weights", "network", "encoder"}
ABOUT_TRAINED_WEIGHTS = {FREEZE, "backbone_lr_ratio", "head_start", "unfreezing", "milestones"}
LEAST_SIDE_PX, STRIDE_PX = 64, 32
SAMPLED_FILES = 64


def base_config(settings: SearchSettings, space: Space) -> RunConfig:
    """The workload's default with the user's values outside the space."""
    # Trial processes have other working folders.
    source = None if settings.data is None else absolute_source(settings.data)
    untrained = get_workload(space.workload).default_config(source)
    _check_names(settings, space, untrained)
    default = _with_trained_backbone(untrained, settings)
    if settings.inverted_masks is not None and "inverted_masks" not in flat_params(default):
        raise ValueError(f"--inverted-masks applies to masks, and {space.workload} has none; leave it out.")
    return from_params(fixed_params(settings, space, default), default)


def _check_names(settings: SearchSettings, space: Space, base: RunConfig) -> None:
    """Raises ValueError for a name that is not a parameter; arguments of a network or a loop of the user's own are not
    known here."""
    if base.free_params is not None:
        return
    known = {*parameters_of(base), *_default_values(space)}
    for name in settings.pinned | settings.ranges:
        if name not in known and not name.startswith(NETWORK_PARAM):
            raise ValueError(unknown_parameter(name, known))


def _default_values(space: Space) -> dict[str, object]:
    """Default values of the parameters that a space asks for by itself."""
    return space.defaults(Situation(num_train_images=1, pretrained=False))


def _with_trained_backbone(default: RunConfig, settings: SearchSettings) -> RunConfig:
    """On the user's own data, starts the default from trained weights if there are any on this machine.

    The user's choice of network is kept; weights of a known package also set its backbone. BatchNorm keeps the
    statistics of the weights: those of a few hundred other images would undo the training.
    """
    given = {**settings.pinned, **settings.ranges}
    names = flat_params(default)
    if settings.data is None or settings.init is not None or not {"backbone", "weights"} <= names.keys():
        return default
    if {"backbone", "network", "encoder"} & given.keys() or get_task(default.workload).is_pretraining:
        return default
    if "weights" in given:
        known = known_package(str(given["weights"]))
        if known is None:
            return default
        params = {"backbone": known.backbone, "weights": given["weights"]}
        return from_params({**params, **_frozen(known.backbone, names, given)}, default)
    needs_drop_path = bool(names.get("drop_path"))
    fitting = (one for one in trained_backbones() if not needs_drop_path or has_drop_path(one.backbone))
    found = next(fitting, None)
    if found is None:
        return default
    own_px = None if SIDE in given else names.get(SIDE)
    folder = Path(local_source(settings.data))
    side = {SIDE: _side_px(folder, settings, most_px=own_px)} if isinstance(own_px, int) else {}
    params = {**found._asdict(), **side, **_frozen(found.backbone, names, given)}
    logger.info(
        "Starts from trained weights: %s. For the small network from scratch: %s.",
        " ".join(f"{name}={value}" for name, value in params.items()),
        set_options(small_network(default.workload)),
    )
    return from_params(params, default)


def with_small_network(settings: SearchSettings, base: RunConfig) -> SearchSettings | None:
    """The same search with the small network from scratch if trained weights were chosen by default; else None.

    Also None if the user gave a value that is meant for trained weights.

    Args:
        base: the configuration that the search starts from.
    """
    given = {*settings.pinned, *settings.ranges}
    if settings.data is None or settings.init is not None or given & (ABOUT_NETWORKS | ABOUT_TRAINED_WEIGHTS):
        return None
    if flat_params(base).get("weights", "scratch") == "scratch":
        return None
    return replace(settings, pinned={**settings.pinned, **small_network(base.workload)})


def small_network(workload: str) -> dict[str, object]:
    """`--set` values of a workload's own network from scratch, even if trained weights are available."""
    names = flat_params(get_workload(workload).default_config(None))
    network = "encoder" if names.get("backbone") is None else "backbone"
    return {network: names[network], "weights": "scratch"}


def set_options(values: Mapping[str, object]) -> str:
    """Formats the values as `--set` options."""
    return " ".join(f"--set {name}={value}" for name, value in values.items())


def _frozen(backbone: str, names: Collection[str], given: Collection[str]) -> dict[str, bool]:
    """Freezes the statistics of BatchNorm if the backbone has it and the user gave no value."""
    is_free = FREEZE in names and FREEZE not in given
    return {FREEZE: True} if is_free and has_batch_norm(backbone) else {}


def _side_px(folder: Path, settings: SearchSettings, *, most_px: int) -> int:
    """Side of the square images: that of the files in multiples of the coarsest stride, limited by the machine.

    Args:
        most_px: the workload's own size, which a GPU trains even where it is larger than `GPU_SIDE_PX`.
    """
    limit = CPU_SIDE_PX if gpu_memory_gb(settings) is None else max(GPU_SIDE_PX, most_px)
    pictures = [folder / path for path in files_below(folder) if is_image(path)] if folder.is_dir() else []
    sides = []
    for path in pictures[:: max(1, len(pictures) // SAMPLED_FILES)]:
        # Bad files are reported, all at once, when the data is opened.
        with suppress(BadFileError):
            sides.append(min(read_header(path).size))
    return limit if not sides else min(limit, max(LEAST_SIDE_PX, int(median(sides)) // STRIDE_PX * STRIDE_PX))


def gpu_memory_gb(settings: SearchSettings) -> float | None:
    """A trial's share of this machine's first GPU, in 10^9 bytes; None if trials run without a GPU."""
    share = 1.0 if settings.gpus_per_trial is None else settings.gpus_per_trial
    if not share or settings.device in ("cpu", "mps") or not torch.cuda.is_available():
        return None
    return share * torch.cuda.get_device_properties(0).total_memory / 1e9


def check_objective(space: Space, workload: Workload[Any]) -> None:
    """Raises ValueError if the workload does not measure the space's objective, or in the other direction."""
    if (space.objective, space.mode) != (workload.objective, workload.mode):
        raise ValueError(
            f"The space {space.name} compares {space.objective} ({space.mode}), but {space.workload} measures "
            f"{workload.objective} ({workload.mode}); give the space objective={workload.objective!r} and "
            f"mode={workload.mode!r}. For another one, derive from the workload: docs/own_ranges.md, Another objective."
        )


def check_user_loop(settings: SearchSettings, workload: Workload[Any]) -> None:
    """Raises ValueError for settings that a user's own loop does not support."""
    if workload.can_use_ranks:
        return
    if max(settings.ranks_per_trial or 1, settings.gpus_per_trial or 1) > 1:
        raise ValueError(
            f"{workload.name} is a loop of your own, which trains in one process; give at most --ranks-per-trial 1 and "
            "--gpus-per-trial 1."
        )
    if settings.init is not None:
        raise ValueError(
            f"--init is for networks of this project, and {workload.name} is a loop of your own; load it there."
        )


def check_user_network(settings: SearchSettings, base: RunConfig) -> None:
    """Raises ValueError for a value that describes the built-in network if the user's own replaces it."""
    network = getattr(getattr(base, "model", None), "network", None)
    if network is None:
        return
    of_network = {name for name, parameter in parameters_of(base).items() if parameter.section == "model"}
    for name in (settings.pinned | settings.ranges).keys() & of_network - ANY_NETWORK:
        if not name.startswith(NETWORK_PARAM):
            raise ValueError(
                f"--set {name} has no effect: it describes a network of this project, and {network} takes its place; "
                "leave it out."
            )


def is_of_space(name: str, asked: Collection[str], base: RunConfig) -> bool:
    """Whether the space asks for a parameter, or must, because the configuration has no parameter names."""
    return name in asked or (base.free_params is not None and name not in flat_params(base))


def fixed_params(settings: SearchSettings, space: Space, base: RunConfig) -> dict[str, object]:
    """The user's values of parameters that the space does not ask for.

    With them come the user's other values of the same parts, and the switches of these, asked for or not: `drop_path`
    is checked against the `backbone`, `ema_decay` needs `averaging`, and the default's values may not fit.
    """
    searched, parameters = _default_values(space), parameters_of(base)
    fixed = {name: value for name, value in settings.pinned.items() if not is_of_space(name, searched, base)}
    parts = {parameters[name].section for name in fixed if name in parameters} - {None}
    fixed |= {
        name: value
        for name, value in settings.pinned.items()
        if name in parts or (name in parameters and parameters[name].section in parts)
    }
    fixed |= {"max_epochs": space.max_epochs, "seed": settings.seed}
    if settings.init is not None:
        path = initial_weights(settings.init)
        has_field = "weights" in flat_params(base) and "network" not in fixed
        fixed |= {"init_weights": path} | ({"weights": path} if has_field else {})
    return fixed | ({} if settings.inverted_masks is None else {"inverted_masks": settings.inverted_masks})
