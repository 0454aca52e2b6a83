"""Continues a search: `python -m tuner.search --resume`, with the options that it may be given."""

import argparse
from collections.abc import Sequence

from tuner.search import run_command
from tuner.search_options import search_parser


def main(arguments: Sequence[str] | None = None, *, prog: str) -> int:
    """Runs the command; returns its exit status: 0 done, 2 user error, 130 interrupted."""
    parser = build_parser(prog)
    taken = {action.dest for action in parser._actions} | {"list"}
    # The options of a search that a resume does not take are refused with what to do instead.
    for action in search_parser()._actions:
        if action.dest not in taken:
            action.help = argparse.SUPPRESS
            parser._add_action(action)
    return run_command(parser.parse_args(arguments))


def build_parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description="Continue an interrupted search, or extend a finished one.")
    parser.set_defaults(**vars(search_parser().parse_args([])))
    parser.add_argument("resume", metavar="DIR", help="its results, results/<space>/<run>, or their address")
    parser.add_argument("--trials", type=int, metavar="N", help="add trials to a finished search, such as +20")
    parser.add_argument(
        "--time-budget",
        dest="time_budget_seconds",
        type=float,
        metavar="SECONDS",
        help="total time over all sessions, without the confirmation (default: none)",
    )
    parser.add_argument("--disk-budget", metavar="SIZE", help="limit for all checkpoints (default: the recorded one)")
    parser.add_argument("--address", metavar="HOST:PORT", help="a running Ray cluster (default: start Ray here)")
    parser.add_argument("--num-cpus", type=int, metavar="N", help="CPUs of this machine for all trials (default: all)")
    parser.add_argument("--num-gpus", type=int, metavar="N", help="GPUs of this machine for all trials (default: all)")
    parser.add_argument("--verbose", action="store_true", help="show Ray's own messages too")
    parser.add_argument("--json", action="store_true", help="print the result as JSON; progress goes to standard error")
    return parser
