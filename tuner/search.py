"""Finds a better training configuration for a vision workload.

python -m tuner.search --space moe
python -m tuner.search --space moe --data path/to/images-and-masks --trials 60
"""

import argparse
import gc
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from search_spaces.registry import SPACES
from search_spaces.space import Situation
from trainable import process
from trainable.process import collector_paused, freeze_imports
from tuner.disk import parse_size
from tuner.planning.given import read_given
from tuner.ray.address import cluster_address
from tuner.ray.cluster import restored_environment
from tuner.records import SETTINGS
from tuner.search_options import search_parser
from tuner.settings import SearchSettings, option_of
from tuner.spaces import find_space, installed_spaces

_INTERRUPTED = "Interrupted. Finished epochs are saved; continue with --resume.\n"
_NOT_STARTED = "Interrupted before the search started; nothing was written.\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0 done, 2 user error, 130 interrupted."""
    options = search_parser().parse_args(arguments)
    try:
        with restored_environment(), process.shown():
            return _list() if options.list else _searched(options, _settings(options))
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"error: {error}. Finished epochs are saved; fix the problem and continue with --resume.\n")
        return 2
    finally:
        gc.unfreeze()


def _searched(options: argparse.Namespace, settings: SearchSettings) -> int:
    """Runs the command; after Ctrl-C says what is saved."""
    try:
        return _run(options, settings)
    except KeyboardInterrupt:
        has_started = ((options.resume or settings.folder) / SETTINGS).exists()
        sys.stderr.write(_INTERRUPTED if has_started else _NOT_STARTED)
        return 130


def _run(options: argparse.Namespace, settings: SearchSettings) -> int:
    began = time.monotonic()
    if options.resume is not None:
        _check_alone(options)
    # The matrices of the predictions are small; several threads would wait for each other beside busy trials.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Ray, torch and the figures take seconds to import; `--help`, `--list` and wrong options don't need them.
    with collector_paused():
        from trainable.reporting.tracking import check_trackers
        from tuner import run
        from tuner.planning import preflight
        from tuner.planning.plan import limited_to_space, plan_search

    freeze_imports()
    if options.resume is not None:
        return _resume(options, settings)
    preflight.check_folder(settings.folder)
    check_trackers(settings.track)
    plan = plan_search(settings, on_progress=_show_preparation)
    settings = limited_to_space(settings, plan)
    preflight.check_configurations(plan, settings.pinned, settings.ranges)
    if options.dry_run:
        from tuner.planning.dry_run import dry_run

        sys.stdout.write(f"{dry_run(settings, plan, began=began)}\n")
        return 0
    return run.run_search(settings, plan, verbose=options.verbose)


def _resume(options: argparse.Namespace, settings: SearchSettings) -> int:
    from tuner import run
    from tuner.planning import preflight

    check = preflight.check_resume if options.num_trials is None else preflight.check_extension
    check(options.resume, space=None if options.space is None else settings.found_space.space.name)
    return run.resume_search(
        options.resume,
        more=options.num_trials,
        address=settings.address,
        num_cpus=settings.num_cpus,
        num_gpus=settings.num_gpus,
        seconds=options.time_budget_seconds,
        disk_bytes=settings.disk_budget_bytes,
        verbose=options.verbose,
    )


def _settings(options: argparse.Namespace) -> SearchSettings:
    """The options as SearchSettings; those left out take its defaults, or the space's."""
    given = {name: value for name, value in vars(options).items() if value is not None and name in _SETTING_NAMES}
    if options.disk_budget is not None:
        given["disk_budget_bytes"] = parse_size(options.disk_budget)
    given["address"] = cluster_address(options.address)
    pinned, ranges = read_given(options.set, options.space_file)
    lists = {"pinned": _with_absolute_weights(pinned), "ranges": ranges, "track": tuple(options.track or ())}
    settings = SearchSettings(**given | lists)
    space = settings.found_space.space
    defaults: dict[str, Any] = {"num_trials": space.num_trials, "confirm": space.confirm}
    return replace(settings, **{name: value for name, value in defaults.items() if name not in given})


def _with_absolute_weights(pinned: dict[str, object]) -> dict[str, object]:
    """Trial processes have other working folders, so a weights file needs its absolute path."""
    weights = pinned.get("weights")
    if isinstance(weights, str) and Path(weights).is_file():
        return pinned | {"weights": str(Path(weights).absolute())}
    return pinned


def _check_alone(options: argparse.Namespace) -> None:
    """A resumed search keeps its settings: raises ValueError for options that would be ignored."""
    parser = search_parser()
    given = {name for name, value in vars(options).items() if value != parser.get_default(name)}
    others = given - {"resume", "space", "num_trials", "time_budget_seconds", "disk_budget", "verbose"}
    others -= {"address", "num_cpus", "num_gpus"}
    if others:
        listed = ", ".join(sorted(option_of(name) for name in others))
        raise ValueError(f"--resume uses the recorded settings; leave out {listed}.")


def _list() -> int:
    """Prints every space with its parameters and their defaults for 1000 images, trained from scratch."""
    origins = dict.fromkeys(SPACES, "") | {name: f" ({at.value})" for name, at in installed_spaces().items()}
    for name, origin in origins.items():
        space = find_space(name).space
        situation = Situation(num_train_images=1000, pretrained=False)
        sys.stdout.write(f"{name}{origin}: {space.mode} {space.objective}, {space.max_epochs} epochs\n")
        for parameter, value in space.defaults(situation).items():
            sys.stdout.write(f"  {parameter:20} {value}\n")
    return 0


def _show_preparation(done: int, total: int) -> None:
    """On a terminal a counter that stays on its line; otherwise only the last count."""
    if sys.stderr.isatty() or done == total:
        start, end = ("\r", "") if sys.stderr.isatty() and done < total else ("\r" * sys.stderr.isatty(), "\n")
        sys.stderr.write(f"{start}Preparing data: {done} of {total}{end}")


_SETTING_NAMES = frozenset(SearchSettings.__dataclass_fields__)


if __name__ == "__main__":
    sys.exit(main())
