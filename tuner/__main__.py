"""All commands under one name: `vision-tuner search` is `python -m tuner.search`, and so on.

python -m tuner                  lists the commands
vision-tuner search --space moe  runs one, from any folder
"""

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import NamedTuple

from trainable.configuration.fields import unknown_name
from trainable.console.command_line import run_main
from tuner.records.code_version import code_version

PROG = "vision-tuner"


class Command(NamedTuple):
    """A module with `main` and `build_parser`, and what it is for."""

    module: str
    purpose: str


COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        "search": Command("tuner.search", "find a better training configuration"),
        "resume": Command("tuner.commands.resume", "continue or extend a search"),
        "report": Command("tuner.report", "write the report of a search again"),
        "open": Command("tuner.commands.open_report", "show the report of a search"),
        "explain": Command("tuner.explain", "say why a trial ended, and why one is exported"),
        "page": Command("tuner.page", "show a search in the browser, also while it runs"),
        "confirm": Command("tuner.confirm", "score the best trials on the test split, on more seeds"),
        "ensemble": Command("tuner.ensemble", "average the predictions of the best trials"),
        "export": Command("tuner.export", "export the best: configuration, weights, metrics"),
        "train": Command("trainable.train", "train one configuration, without a search"),
        "predict": Command("trainable.predict", "predict on pictures"),
        "preset": Command("trainable.preset", "write a preset as a configuration file"),
        "diagnose": Command("trainable.diagnose", "check a configuration on one batch"),
        "completion": Command("tuner.commands.completion", "print the completion script of a shell"),
    }
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit status: 0 done, 2 user error, others as the command says."""
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in ("--help", "-h"):
        width = max(map(len, COMMANDS)) + 2
        rows = "".join(f"  {name:{width}}{command.purpose}\n" for name, command in COMMANDS.items())
        sys.stdout.write(f"usage: {PROG} COMMAND [options]\n\n{rows}\n{PROG} COMMAND --help shows its options.\n")
    elif name == "--version":
        sys.stdout.write(f"{PROG} {code_version()}\n")
    elif name in COMMANDS:
        return import_module(COMMANDS[name].module).main(rest, prog=f"{PROG} {name}")
    else:
        sys.stderr.write(f"error: {unknown_name('command', name, COMMANDS)}\n")
        return 2
    return 0


def run() -> int:
    """The console script: `main` on standard streams that may be closed."""
    return run_main(main)


if __name__ == "__main__":
    sys.exit(run())
