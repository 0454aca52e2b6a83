"""What `python -m tuner.search` can be told, and what its help says of it."""

import argparse
from pathlib import Path

from search_spaces.registry import SPACES
from tuner.settings import DEFAULT_TRIALS, POLICIES


def search_parser() -> argparse.ArgumentParser:
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
        help="for data with masks: white is the background, or surely is the object (default: stop when it looks so)",
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
