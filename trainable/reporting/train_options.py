"""The options of `python -m trainable.train`: how a training runs and what it writes, besides its configuration."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainable.configuration.config_options import add_config_file, add_config_options
from trainable.reporting.profiling import DEFAULT_UPDATES
from trainable.reporting.tracking import TRACKERS


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """Options of how a training runs and what it writes; none of them changes the weights."""

    device: str = "auto"
    resume: bool = False
    """Continues after the last finished epoch, where the output folder holds one."""
    num_fresh: int | None = None
    """Number of newly generated samples that are scored in addition to the test split."""
    save_every_epochs: int | None = None
    """Each such checkpoint is kept; None keeps the last and the best alone."""
    validate_every_epochs: int = 1
    """Each such epoch is validated, and the last."""
    log_interval: int = 0
    """The loss is logged every so many updates; 0 is never."""
    profile: range | None = None
    """The optimizer updates that are traced."""
    track: Sequence[str] = ()
    """Trackers beside TensorBoard."""

    def __post_init__(self) -> None:
        for option, number in (
            ("--save-every-epochs", self.save_every_epochs),
            ("--validate-every-epochs", self.validate_every_epochs),
        ):
            if number is not None and number < 1:
                raise ValueError(f"{option} is {number}; it must be 1 or more.")
        if self.log_interval < 0:
            raise ValueError(f"--log-interval is {self.log_interval}; it must be 0 (never) or more.")


def train_parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description="Train one configuration, without Ray.")
    _add_folders(parser)
    _add_intervals(parser)
    _add_run(parser)
    add_config_options(parser)
    return parser


def _add_folders(parser: argparse.ArgumentParser) -> None:
    add_config_file(parser, also="; or a short one of your own, JSON or YAML: workload and parameters")
    parser.add_argument("--output", type=Path, metavar="DIR", help="output folder (default: beside the export)")
    parser.add_argument("--experiment-name", metavar="NAME", help="name of that folder and of the run in trackers")
    parser.add_argument("--data", metavar="DIR", help="folder of data (default: the file's)")


def _add_intervals(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--save-every-epochs",
        type=int,
        metavar="N",
        help="keep every Nth checkpoint in checkpoints/, beside that of the best epoch (default: none)",
    )
    parser.add_argument(
        "--validate-every-epochs",
        type=int,
        default=1,
        metavar="N",
        help="validate every Nth epoch and the last (default: each); a search compares trials after each",
    )
    parser.add_argument(
        "--log-interval", type=int, default=0, metavar="N", help="log the loss every N updates (default: 0, never)"
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--fresh-test", type=int, metavar="N", help="also score N newly generated samples (embedded data only)"
    )
    parser.add_argument(
        "--init", type=Path, metavar="DIR", help="initial weights: the folder best of an export, or a weights file"
    )
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto, a CUDA device if any)"
    )
    profile_help = f"write a trace of some optimizer updates (default: {DEFAULT_UPDATES})"
    parser.add_argument("--profile", nargs="?", const=DEFAULT_UPDATES, metavar="FIRST-LAST", help=profile_help)
    parser.add_argument(
        "--track",
        action="append",
        default=[],
        metavar="NAME",
        help=f"also log to {' or '.join(TRACKERS)}, beside TensorBoard; may be repeated",
    )
    parser.add_argument("--resume", action="store_true", help="continue after the last finished epoch")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the metrics on the test split as JSON; progress goes to standard error",
    )
