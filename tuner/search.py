"""Finds a better training configuration for a vision workload.

python -m tuner.search --space moe
python -m tuner.search --space moe --data path/to/images-and-masks --trials 60
"""

import argparse
import logging
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from search_spaces.pinning import parse_pins
from search_spaces.registry import SPACES, get_space
from search_spaces.space import Situation
from tuner.cluster import use_token
from tuner.disk import parse_size
from tuner.settings import DEFAULT_TRIALS, POLICIES, SearchSettings, option_of


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status: 0 done, 2 a mistake of the user's, 130 interrupted."""
    options = _parser().parse_args(arguments)
    try:
        return _list() if options.list else _run(options)
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"error: {error}. What is on record is whole; put that right and go on with --resume.\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. What is on record stays, and --resume goes on with it.\n")
        return 130


def _run(options: argparse.Namespace) -> int:
    began = time.monotonic()
    settings = _settings(options)
    if options.resume is not None:
        _check_alone(options)
    if options.address is not None:
        use_token()
    # The forecast's matrices are small, and two threads on them would wait for each other beside busy trials.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Ray, torch and the figures take seconds to import, which `--help`, `--list` and a wrong option do without.
    from trainable.tracking import check_trackers
    from tuner import finish, preflight, run
    from tuner.plan import plan_search
    from tuner.search_callback import Limits

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    for room in ("trainable", "tuner"):
        logging.getLogger(room).setLevel(logging.INFO)
    if options.resume is not None:
        if options.num_trials is not None:
            return _extend(options, settings)
        preflight.check_resume(options.resume, space=options.space)
        limits = Limits(seconds=options.time_budget_seconds, disk_bytes=settings.disk_budget_bytes)
        record = run.resume_search(options.resume, address=options.address, limits=limits, verbose=options.verbose)
        return finish.finish(options.resume, record)
    preflight.check_folder(settings.folder)
    check_trackers(settings.track)
    plan = plan_search(settings, on_progress=_preparing)
    preflight.check_configurations(plan, settings.pinned)
    if options.dry_run:
        from tuner.dry_run import dry_run

        sys.stdout.write(f"{dry_run(settings, plan, began=began)}\n")
        return 0
    record = run.run_search(settings, plan, verbose=options.verbose)
    return finish.finish(settings.folder, record)


def _extend(options: argparse.Namespace, settings: SearchSettings) -> int:
    from tuner import finish, preflight, run
    from tuner.search_callback import Limits

    preflight.check_extension(options.resume, space=options.space)
    limits = Limits(seconds=settings.time_budget_seconds, disk_bytes=settings.disk_budget_bytes)
    record = run.extend_search(
        options.resume, options.num_trials, address=options.address, limits=limits, verbose=options.verbose
    )
    return finish.finish(options.resume, record)


def _settings(options: argparse.Namespace) -> SearchSettings:
    """The options under the names of SearchSettings; those that were left out keep its defaults, or the space's."""
    given = {name: value for name, value in vars(options).items() if value is not None and name in _SETTING_NAMES}
    if options.disk_budget is not None:
        given["disk_budget_bytes"] = parse_size(options.disk_budget)
    lists = {"pinned": _found_from_everywhere(parse_pins(options.set)), "track": tuple(options.track or ())}
    settings = SearchSettings(**given | lists)
    space = get_space(settings.space)
    suited = {"num_trials": space.num_trials, "confirm": space.confirm}
    return replace(settings, **{name: value for name, value in suited.items() if name not in given})


def _found_from_everywhere(pinned: dict[str, object]) -> dict[str, object]:
    """Other processes and machines have other working folders: a file of weights is named by its whole path."""
    weights = pinned.get("weights")
    is_file = isinstance(weights, str) and Path(weights).is_file()
    return pinned | ({"weights": str(Path(weights).absolute())} if is_file else {})


def _check_alone(options: argparse.Namespace) -> None:
    """A resumed search keeps its settings; an option that says otherwise would be ignored."""
    parser = _parser()
    given = {name for name, value in vars(options).items() if value != parser.get_default(name)}
    others = given - {"resume", "space", "num_trials", "time_budget_seconds", "disk_budget", "address", "verbose"}
    if others:
        listed = ", ".join(sorted(option_of(name) for name in others))
        raise ValueError(f"--resume goes on with the search's own settings; leave out {listed}.")


def _list() -> int:
    """Every space with its parameters and their defaults for a small set, trained from scratch."""
    for name, space in SPACES.items():
        situation = Situation(num_train_images=1000, pretrained=False)
        sys.stdout.write(f"{name}: {space.mode} {space.objective}, {space.max_epochs} epochs\n")
        for parameter, value in space.defaults(situation).items():
            sys.stdout.write(f"  {parameter:20} {value}\n")
    return 0


def _preparing(done: int, total: int) -> None:
    """A counter that stays in its line; piped, only its end."""
    if sys.stderr.isatty() or done == total:
        start, end = ("\r", "") if sys.stderr.isatty() and done < total else ("\r" * sys.stderr.isatty(), "\n")
        sys.stderr.write(f"{start}Preparing data: {done} of {total}{end}")


_SETTING_NAMES = frozenset(SearchSettings.__dataclass_fields__)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tuner.search",
        description="Find a better training configuration: Optuna's spaces, successive halving, Ray runs the trials.",
        epilog="Without options it searches the embedded data with what suits this machine.",
    )
    _add_search(parser.add_argument_group("what to search"))
    _add_budget(parser.add_argument_group("how much"))
    _add_machine(parser.add_argument_group("on what"))
    _add_results(parser.add_argument_group("results"))
    return parser


def _add_search(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--space", metavar="NAME", help=f"search space: {', '.join(SPACES)} (default: moe)")
    group.add_argument(
        "--data", metavar="DIR", help="folder of the workload's data (default: embedded, generated data)"
    )
    group.add_argument(
        "--init",
        type=Path,
        metavar="DIR",
        help="weights to start every training from, such as results/leaf_pretrain/<run>/best (default: the workload's)",
    )
    group.add_argument(
        "--inverted-masks",
        action=argparse.BooleanOptionalAction,
        help="for data with masks: white is the background, or surely is not (default: stop when it looks so)",
    )
    group.add_argument(
        "--set", metavar="NAME=VALUE", action="append", default=[], help="fix a parameter; may be repeated"
    )
    group.add_argument(
        "--policy",
        metavar="NAME",
        help=f"{', '.join(POLICIES)}: trials wait at rungs and the most promising go on; poor ones stop at a rung for "
        "good; or random proposals at full length (default: promote)",
    )
    group.add_argument(
        "--warm-start", type=Path, metavar="DIR", help="begin with what an earlier search found, results/<space>/<run>"
    )
    group.add_argument("--seed", type=int, metavar="N", help="seed of proposals and of every training (default: 0)")
    group.add_argument("--list", action="store_true", help="list the search spaces and leave")


def _add_budget(group: argparse._ArgumentGroup) -> None:
    trials_help = f"configurations to try (default: what suits the space, {DEFAULT_TRIALS} for most)"
    group.add_argument("--trials", dest="num_trials", type=int, metavar="N", help=trials_help)
    group.add_argument("--max-epochs", type=int, metavar="N", help="epochs of a full training (default: the space's)")
    group.add_argument(
        "--time-budget",
        dest="time_budget_seconds",
        type=float,
        metavar="SECONDS",
        help="stop after so long in all, over all sessions but without the confirmation (default: none)",
    )
    group.add_argument(
        "--disk-budget",
        metavar="SIZE",
        help="room for checkpoints, such as 20G; those that may be handed over or go on are kept (default: none)",
    )
    group.add_argument(
        "--dry-run", action="store_true", help="try a few steps, say what the search would take, and leave"
    )
    group.add_argument(
        "--confirm",
        type=int,
        metavar="K",
        help="train the best K again beside the default, 3 seeds each; 0: none (default: 3, for slow spaces fewer)",
    )


def _add_machine(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--concurrent", type=int, metavar="N", help="trials at a time (default: what fits)")
    group.add_argument(
        "--cpus-per-trial",
        type=float,
        metavar="N",
        help="CPUs, and threads, of a trial (default: 1, or the CPUs' share beside a GPU)",
    )
    group.add_argument(
        "--gpus-per-trial",
        type=float,
        metavar="N",
        help="GPUs of a trial: 0.5 for two on one, 2 for one trained by two processes (default: 1 if any)",
    )
    group.add_argument(
        "--ranks-per-trial",
        type=int,
        metavar="N",
        help="processes that train a trial together, each on its share (default: one a GPU)",
    )
    group.add_argument("--address", metavar="HOST:PORT", help="a running Ray cluster (default: start Ray here)")
    group.add_argument("--verbose", action="store_true", help="show Ray's own messages too")


def _add_results(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--storage", type=Path, metavar="DIR", help="folder of all results (default: results)")
    group.add_argument(
        "--track",
        action="append",
        metavar="NAME",
        help="show the curves in mlflow or wandb too, beside TensorBoard; may be repeated",
    )
    group.add_argument("--name", metavar="NAME", help="folder of this search in it (default: date and time)")
    group.add_argument(
        "--resume", type=Path, metavar="DIR", help="go on with an interrupted search, results/<space>/<run>"
    )


if __name__ == "__main__":
    sys.exit(main())
