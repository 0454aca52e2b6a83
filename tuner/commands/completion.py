"""Prints the script that lets a shell complete commands and options; it is fixed text, so a Tab costs nothing.

eval "$(vision-tuner completion bash)"    in ~/.bashrc, or into a file that the shell reads
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

import shtab

from tuner.__main__ import COMMANDS, PROG, version_text


def main(arguments: Sequence[str] | None = None, *, prog: str) -> int:
    """Runs the command; returns its exit status: 0 done."""
    shell = build_parser(prog).parse_args(arguments).shell
    sys.stdout.write(f"{shtab.complete(whole_parser(), shell)}\n")
    return 0


def build_parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description="Print the completion script of a shell.")
    parser.add_argument("shell", choices=shtab.SUPPORTED_SHELLS, help="the shell that reads it")
    return parser


def whole_parser() -> argparse.ArgumentParser:
    """One parser with all commands and their options; imports every command, which takes seconds."""
    parser = argparse.ArgumentParser(prog=PROG)
    parser.add_argument("--version", action="version", version=version_text())
    commands = parser.add_subparsers(metavar="COMMAND")
    for name, command in COMMANDS.items():
        own = import_module(command.module).build_parser(f"{PROG} {name}")
        commands.add_parser(name, parents=[own], add_help=False, help=command.purpose)
    return parser
