"""Prints the script that lets a shell complete commands and options; it is fixed text, so a Tab costs nothing.

eval "$(vision-tuner completion bash)"    in ~/.bashrc, or into a file that the shell reads
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

import shtab

from search_spaces.registry import SPACES
from trainable.tasks.registry import TASKS
from tuner.__main__ import COMMANDS, PROG
from tuner.records.code_version import code_version
from tuner.records.settings import SAMPLERS, SCHEDULERS
from tuner.settings import DEVICES


def main(arguments: Sequence[str] | None = None, *, prog: str) -> int:
    """Runs the command; returns its exit status: 0 done."""
    shell = build_parser(prog).parse_args(arguments).shell
    sys.stdout.write(f"{shtab.complete(whole_parser(), shell)}\n")
    return 0


def build_parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description="Print the completion script of a shell.")
    parser.add_argument("shell", choices=shtab.SUPPORTED_SHELLS, help="the shell that reads it")
    return parser


NAMES: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "space": tuple(SPACES),
        "scheduler": SCHEDULERS,
        "sampler": SAMPLERS,
        "device": DEVICES,
        "workload": tuple(TASKS),
    }
)
"""Proposed values of an option or argument; a user's own are accepted too."""


def whole_parser() -> argparse.ArgumentParser:
    """One parser with all commands and their options; imports every command, which takes seconds.

    For completion alone: it proposes names, files and folders, and so would refuse a space of the user's own.
    """
    parser = argparse.ArgumentParser(prog=PROG)
    parser.add_argument("--version", action="version", version=f"{PROG} {code_version()}")
    commands = parser.add_subparsers(metavar="COMMAND")
    for name, command in COMMANDS.items():
        own = import_module(command.module).build_parser(f"{PROG} {name}")
        for action in own._actions:
            if action.dest in NAMES:
                action.choices = NAMES[action.dest]
            elif action.dest == "folder" or (action.metavar == "DIR" and action.dest != "data"):
                action.complete = shtab.DIRECTORY
            elif action.type is Path or action.metavar == "FILE" or action.dest == "data":
                action.complete = shtab.FILE
        commands.add_parser(name, parents=[own], add_help=False, help=command.purpose)
    return parser
