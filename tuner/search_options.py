"""The options of `python -m tuner.search` and their help texts."""

import argparse
from pathlib import Path

from search_spaces.registry import SPACES
from tuner.records.confirm_seeds import DEFAULT_SEEDS
from tuner.records.settings import SAMPLERS
from tuner.settings import DEFAULT_TRIALS, DEVICES, LIMITS

PROG = "python -m tuner.search"


def search_parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Find a better training configuration with Optuna spaces, successive halving and Ray.",
        epilog="Without options it searches the space moe on its embedded data, with all of this machine.",
    )
    search = parser.add_argument_group("search")
    _add_space(search)
    _add_policy(search)
    budget = parser.add_argument_group("budget")
    _add_budget(budget)
    _add_confirmation(budget)
    _add_machine(parser.add_argument_group("machine"))
    _add_results(parser.add_argument_group("results"))
    return parser


def _add_space(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--space",
        metavar="NAME",
        help=f"search space: {', '.join(SPACES)}, or one of your own, file.py:NAME or module:NAME (default: moe)",
    )
    group.add_argument(
        "--data",
        metavar="DIR",
        help="folder of the workload's data, or the address of a folder or an archive (default: embedded data)",
    )
    group.add_argument(
        "--init",
        type=Path,
        metavar="DIR",
        help="initial weights of every training, such as results/leaf_pretrain/<run>/best (default: the workload's)",
    )
    group.add_argument(
        "--inverted-masks",
        action=argparse.BooleanOptionalAction,
        help="white in masks is the background; with --no- it is the object (default: the object, and an error where "
        "masks look inverted)",
    )
    group.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="fix a parameter, or search it: NAME=LOW..HIGH, NAME=A,B,C; may be repeated",
    )
    group.add_argument(
        "--space-file", type=Path, metavar="FILE", help="YAML or JSON with values and ranges of many parameters"
    )
    group.add_argument(
        "--limit",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help=f"do not train a network above it: {', '.join(LIMITS)}; may be repeated",
    )


def _add_policy(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--scheduler",
        metavar="NAME",
        help="asha: trials pause at rungs, the most promising continue; asha-stopping: poor trials stop at rungs; "
        "none: every trial trains to its full length (default: asha)",
    )
    group.add_argument(
        "--sampler",
        metavar="NAME",
        help=f"who proposes: {', '.join(SAMPLERS)}, or an Optuna sampler of your own, file.py:NAME or module:NAME "
        "(default: forecast)",
    )
    # Version 0.2.0 had one option for both.
    group.add_argument("--policy", metavar="NAME", help=argparse.SUPPRESS)
    group.add_argument(
        "--warm-start",
        type=Path,
        metavar="DIR",
        help="start from an earlier search's results, results/<space>/<run>; auto: from the latest of the same space "
        "and data in --storage (default: none)",
    )
    group.add_argument("--seed", type=int, metavar="N", help="seed of proposals and of every training (default: 0)")
    group.add_argument("--list", action="store_true", help="list the search spaces and exit")


def _add_budget(group: argparse._ArgumentGroup) -> None:
    trials_help = f"configurations to try (default: the space's, usually {DEFAULT_TRIALS})"
    group.add_argument("--trials", type=int, metavar="N", help=trials_help)
    group.add_argument(
        "--max-epochs",
        type=int,
        metavar="N",
        help="epochs of a full training (default: the space's; with --data, from a pilot run of the default)",
    )
    group.add_argument(
        "--time-budget",
        dest="time_budget_seconds",
        type=float,
        metavar="SECONDS",
        help="total time over all sessions, without the confirmation (default: none)",
    )
    group.add_argument(
        "--for",
        dest="duration",
        metavar="TIME",
        help="plan trials, epochs and confirmation that fit, such as 30m, 1h30m or 5400 (seconds) (default: no limit)",
    )
    group.add_argument(
        "--disk-budget",
        metavar="SIZE",
        help="limit for all checkpoints, such as 20G; the worst ended trials lose theirs first (default: none)",
    )
    group.add_argument(
        "--dry-run", action="store_true", help="time a few steps, print the expected time and memory, and exit"
    )


def _add_confirmation(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--confirm",
        type=int,
        metavar="K",
        help="retrain the default and the best K on other seeds; 0 is off (default: 3, fewer for slow spaces)",
    )
    group.add_argument(
        "--confirm-seeds",
        metavar="N..M",
        help="N seeds each, and up to M for the exported one and the default while undecided; a single "
        f"N is exactly N (default: {DEFAULT_SEEDS})",
    )


def _add_machine(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--concurrent", type=int, metavar="N", help="trials at a time (default: as many as fit)")
    group.add_argument(
        "--cpus-per-trial",
        type=float,
        metavar="N",
        help="CPUs and threads per trial (default: 1, or the share of the CPUs that goes with its GPU)",
    )
    group.add_argument(
        "--device", metavar="NAME", help=f"{', '.join(DEVICES)} (default: cuda if there is a CUDA GPU, else cpu)"
    )
    group.add_argument(
        "--gpus-per-trial",
        type=float,
        metavar="N",
        help="GPUs per trial: 0.5 puts two trials on a GPU, 2 trains a trial with two processes (default: 1 if any)",
    )
    group.add_argument(
        "--ranks-per-trial",
        type=int,
        metavar="N",
        help="data-parallel processes per trial (default: one per GPU)",
    )
    group.add_argument(
        "--num-cpus",
        type=int,
        metavar="N",
        help="CPUs of this machine for all trials (default: all this process may use)",
    )
    group.add_argument(
        "--num-gpus",
        type=int,
        metavar="N",
        help="GPUs of this machine for all trials (default: all this process sees)",
    )
    group.add_argument(
        "--address", metavar="HOST:PORT", help="a running Ray cluster (default: RAY_ADDRESS, else start Ray here)"
    )
    group.add_argument("--verbose", action="store_true", help="show Ray's own messages too")


def _add_results(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--storage",
        metavar="DIR",
        help="folder of all results, or an address such as s3://bucket/results that ./results is copied to "
        "(default: results)",
    )
    group.add_argument(
        "--track",
        action="append",
        metavar="NAME",
        help="log to mlflow or wandb too, beside TensorBoard; may be repeated",
    )
    group.add_argument("--json", action="store_true", help="print the result as JSON; progress goes to standard error")
    group.add_argument(
        "--name",
        metavar="NAME",
        help="name of this search's folder: letters, digits, dots, dashes, underscores (default: date and time)",
    )
    group.add_argument(
        "--resume",
        metavar="DIR",
        help="continue an interrupted search, results/<space>/<run>, also from the address of its copy; with --trials "
        "+N, N more trials for a finished one",
    )
