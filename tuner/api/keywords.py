"""The keywords of `tuner.search`, which the command's options become too."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, get_args, get_type_hints

from trainable.configuration.fields import convert, unknown_name
from trainable.configuration.given_paths import with_found_files
from trainable.remote.uri import is_uri
from tuner.budget.disk import parse_size
from tuner.budget.stated_time import parse_duration
from tuner.planning.given import divided, is_range, read_forms
from tuner.planning.spaces import find_space
from tuner.ray.address import cluster_address
from tuner.records import ConfirmSeeds
from tuner.records.settings import SchedulerName
from tuner.settings import SearchSettings, option_of


class SearchOptions(TypedDict, total=False):
    """The keywords of `tuner.search`: each means what the command's option of that name means."""

    data: str | Path | None
    init: str | Path | None
    trials: int
    max_epochs: int | None
    time_budget_seconds: float | None
    duration: str | float | None
    disk_budget: str | None
    concurrent: int | None
    cpus_per_trial: float | None
    gpus_per_trial: float | None
    ranks_per_trial: int | None
    device: str | None
    address: str | None
    num_cpus: int | None
    num_gpus: int | None
    storage: str | Path
    name: str
    seed: int
    scheduler: SchedulerName
    sampler: str
    confirm: int
    confirm_seeds: int | str
    track: Sequence[str]
    """Where to log beside TensorBoard: "mlflow", "wandb", or both in a list (default: none)."""
    inverted_masks: bool | None
    """True: white in masks is the background; False: it is the object; None, the default: it is the object, and masks
    that look inverted are an error."""
    warm_start: str | Path | None
    pinned: Mapping[str, object]
    """Fixed parameters, one value each: `{"max_lr": 3e-3}`; ranges and choices go to `ranges`."""
    ranges: Mapping[str, object] | str | Path
    """The ranges of parameters, as a dict or as the path of a YAML or JSON file. For each parameter: a range,
    `"1e-3..1e-2"` or `{"low": 1e-3, "high": 1e-2, "log": True}`; choices, `[4, 6, 8]` or `"4,6,8"`; or one value."""
    limits: Mapping[str, float]
    """A configuration above one of these is not trained: `{"latency_ms": 20, "params_m": 5, "peak_gib": 8}`."""


SETTING_OF = {"trials": "num_trials", "disk_budget": "disk_budget_bytes", "duration": "duration_seconds"}
"""Keywords whose names differ from their settings'."""


def settings_from(space: str, options: Mapping[str, Any]) -> SearchSettings:
    """The settings of a search from keywords; those left out take the space's defaults, and the address RAY_ADDRESS.

    Args:
        options: as in `SearchOptions`.

    Raises:
        ValueError: an unknown keyword, or a value that is not allowed.
    """
    if not isinstance(space, str):
        raise ValueError(f"space is {space!r:.80}; give the name of one, such as 'moe', or 'file.py:NAME'.")
    for name in options:
        if name not in SearchOptions.__annotations__:
            raise ValueError(unknown_name("keyword of search", name, SearchOptions.__annotations__))
    if options.get("duration") is not None and options.get("trials") is not None:
        raise ValueError("--for plans the number of trials; leave out --trials, or give it without --for.")
    _check_seeds_in_time(options)
    found = find_space(space).space
    given: dict[str, Any] = {"trials": found.num_trials, "confirm": found.confirm} | dict(options)
    given["address"] = cluster_address(given.get("address"))
    given |= _pinned_and_ranges(given.get("pinned", {}), given.get("ranges", {}))
    values = {SETTING_OF.get(name, name): _value_of(name, value) for name, value in given.items()}
    return SearchSettings(space=space, **values)


def _check_seeds_in_time(options: Mapping[str, Any]) -> None:
    """Raises ValueError for a range of seeds together with a stated time, whose end must be known."""
    if options.get("duration") is None or "confirm_seeds" not in options:
        return
    seeds: ConfirmSeeds = _value_of("confirm_seeds", options["confirm_seeds"])
    if seeds.first < seeds.last:
        raise ValueError(
            f"--for plans when the search ends, and nobody knows yet how many of the seeds {seeds} will be needed; "
            f"give --confirm-seeds {seeds.first}, and add seeds later with python -m tuner.confirm."
        )


def _value_of(keyword: str, value: Any) -> Any:
    """The value of a keyword as its setting holds it; raises ValueError when it has another type."""
    if keyword == "disk_budget":
        return None if value is None else parse_size(str(value))
    if keyword == "confirm_seeds":
        return ConfirmSeeds.parse(str(value), option=option_of(keyword))
    if keyword == "duration":
        return None if value is None else parse_duration(str(value))
    if keyword == "track":
        return _names_of_trackers(value)
    if keyword in ("ranges", "limits", "pinned"):
        return dict(_by_name(keyword, value))
    hint = get_type_hints(SearchSettings)[SETTING_OF.get(keyword, keyword)]
    if Path in (hint, *get_args(hint)):
        is_none_or_address = is_uri(value) if str in get_args(hint) else value is None
        return value if is_none_or_address else path_of(value, keyword)
    if keyword == "data" and isinstance(value, Path):
        return str(value)
    # Schedulers, samplers and numbers that are not finite have sentences of their own.
    is_checked_later = keyword in ("scheduler", "sampler") or (isinstance(value, float) and not math.isfinite(value))
    return value if is_checked_later else convert(value, hint, option_of(keyword))


def path_of(value: object, keyword: str) -> Path:
    """Returns a path; raises ValueError for another type."""
    # An empty text would be the working folder.
    if not isinstance(value, str | Path) or value == "":
        raise ValueError(f"{keyword} is {value!r:.80}; give a path.")
    return Path(value)


def _names_of_trackers(value: object) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not (isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)):
        raise ValueError(f"track is {value!r:.80}; give names, such as ['mlflow'].")
    return tuple(names)


def _pinned_and_ranges(pinned: Any, ranges: Any) -> dict[str, Mapping[str, Any]]:
    """Returns the settings of both keywords; a range with a single value becomes a pinned parameter."""
    for name, value in _by_name("pinned", pinned).items():
        if is_range(name, value):
            raise ValueError(f"pinned has {name}={value}, which is no single value; give it in ranges.")
    is_file = isinstance(ranges, str | Path)
    values, searched = divided(read_forms(Path(ranges) if is_file else _by_name("ranges", ranges)))
    for name in pinned.keys() & (values | searched).keys():
        raise ValueError(f"{name} is in pinned and in ranges; leave one of them out.")
    return {"pinned": with_found_files({**pinned, **values}), "ranges": searched}


def _by_name(keyword: str, value: Any) -> Mapping[str, Any]:
    """A mapping from names of parameters; raises ValueError for anything else."""
    if not (isinstance(value, Mapping) and all(isinstance(name, str) for name in value)):
        file = ", or the path of a file of them" if keyword == "ranges" else ""
        raise ValueError(f"{keyword} is {value!r:.80}; give a dict by parameter, such as {{'max_lr': ...}}{file}.")
    return value
