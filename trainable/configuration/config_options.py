"""Command-line options that change a configuration: `--set name=value`, and the names that other scripts use.

    --set max_lr=3e-4 --set warmup_epochs=5 --lr 3e-4 --batch-size 8 --grad-accum 4 --mixed-precision --compile

A configuration holds shares of the planned epochs and of `max_lr`, so that it means the same at every budget. Here
they may be given as absolute values: `warmup_epochs` for `warmup_fraction`, `min_lr` for `min_lr_ratio`.
"""

import argparse
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from trainable.config import NETWORK_PARAM, flat_params, from_params, parameter_names
from trainable.configuration.fields import convert, parse_assignments, replace_fields, unknown_name
from trainable.configuration.given_paths import with_found_files
from trainable.configuration.run_config import Config

_RENAMED = {"lr": "max_lr", "batch_size": "batch_size", "epochs": "max_epochs", "grad_accum": "accumulation_steps"}
"""Options whose value is the parameter's."""


def add_config_file(parser: argparse.ArgumentParser, *, also: str = "") -> None:
    """Adds `--config`; `also` says what else than an exported file it may be."""
    help_text = f"config.json of an export or a preset, or the folder that holds it, such as a search's{also}"
    parser.add_argument("--config", type=config_file, required=True, metavar="FILE", help=help_text)


def config_file(place: str) -> Path:
    """The file at this place; of a folder its config.json, or that of its best/."""
    path = Path(place)
    inside = (path / "config.json", path / "best" / "config.json")
    return next((file for file in inside if file.is_file()), path)


def add_config_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the configuration")
    group.add_argument(
        "--set", metavar="NAME=VALUE", action="append", default=[], help="change a parameter; may be repeated"
    )
    group.add_argument("--lr", type=float, metavar="RATE", help="peak learning rate (max_lr)")
    group.add_argument("--batch-size", type=int, metavar="N", help="images per micro-batch (batch_size)")
    group.add_argument(
        "--epochs", type=int, metavar="N", help="planned epochs (max_epochs); schedule and ramps stretch with it"
    )
    group.add_argument("--grad-accum", type=int, metavar="N", help="micro-batches per update (accumulation_steps)")
    group.add_argument(
        "--mixed-precision",
        action=argparse.BooleanOptionalAction,
        help="16 bits where the device computes them fast, or 32 bits throughout (precision)",
    )
    group.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        help="compile the network before its first step (compile_backend=inductor)",
    )
    group.add_argument("--seed", type=int, metavar="N", help="seed of weights, order and augmentation (seed)")


def params_of(options: argparse.Namespace) -> dict[str, object]:
    """Returns the parameters that the options of `add_config_options` set, under the configuration's names.

    Raises:
        ValueError: an assignment is not NAME=VALUE, or a parameter is given twice.
    """
    params = parse_assignments(options.set)
    given = {name: getattr(options, option) for option, name in {**_RENAMED, "seed": "seed"}.items()}
    given["precision"] = {True: "auto", False: "fp32", None: None}[options.mixed_precision]
    by_option: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    if options.compile is not None:
        by_option["compile_backend"] = "inductor" if options.compile else None
    for name in params.keys() & by_option.keys():
        raise ValueError(f"{name} is given by --set {name}={params[name]} and by its own option; leave one out.")
    return params | by_option


def with_params(config: Config, params: Mapping[str, object]) -> Config:
    """The configuration with some parameters changed: absolute values included, `scenes.num_train` inside a part.

    Raises:
        ValueError: as `from_params`; or a share is given as an absolute value too.
    """
    params = with_found_files(params)
    known, names = flat_params(config), parameter_names(config)
    if config.free_params is not None:
        # A loop of the user's own takes any name, but not those of our loop that it does not have.
        for name in (*_RENAMED.values(), "precision", "compile_backend"):
            if name in params and name not in known:
                raise ValueError(unknown_name(f"parameter of {config.workload}", name, known))
    planned: Any = {name: params.get(name, known.get(name)) for name in ("max_epochs", "max_lr")}
    flat = {name: value for name, value in params.items() if "." not in name or name.startswith(NETWORK_PARAM)}
    shares = dict(_as_share(name, value, params, names, planned) for name, value in flat.items())
    return from_params(shares | _parts({name: params[name] for name in params.keys() - flat.keys()}, known), config)


def _parts(params: Mapping[str, object], known: Mapping[str, object]) -> dict[str, object]:
    """Changes fields in parts of a section, such as `scenes`, that are named like `scenes.num_train`."""
    values: dict[str, dict[str, object]] = {}
    parts = {name: part for name, part in known.items() if is_dataclass(part)}
    for name, value in params.items():
        part, _, field = name.partition(".")
        if part not in parts:
            raise ValueError(unknown_name("part with fields of its own", part, parts))
        if field not in (names := [each.name for each in fields(parts[part])]):
            raise ValueError(unknown_name(f"field of {part}", field, names))
        values.setdefault(part, {})[field] = value
    return {part: replace_fields(type(parts[part]), parts[part], inner) for part, inner in values.items()}


def _as_share(
    name: str, value: object, params: Mapping[str, object], known: Collection[str], planned: Mapping[str, float]
) -> tuple[str, object]:
    """Converts `warmup_epochs=5` of 50 planned epochs to `warmup_fraction=0.1`; other parameters are unchanged."""
    if name == "milestone_epochs":
        # The epochs from which shares of the backbone train.
        if "milestones" in params:
            raise ValueError("milestone_epochs and milestones are the same parameter; leave one of them out.")
        pairs = convert(value, tuple[tuple[float, float], ...], name)
        assert isinstance(pairs, tuple)
        return "milestones", [[epoch / planned["max_epochs"], share] for epoch, share in pairs]
    for ending, share_ending, whole in (("_epochs", "_fraction", "max_epochs"), ("_lr", "_lr_ratio", "max_lr")):
        share = name.removesuffix(ending) + share_ending
        if name in known or not name.endswith(ending) or share not in known:
            continue
        if share in params:
            raise ValueError(f"{name} and {share} are the same parameter; leave one of them out.")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{name} is {value!r}; it must be a number.")
        return share, value / planned[whole]
    return name, value
