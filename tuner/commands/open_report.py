"""Shows the report of a search: its page in the browser of the desktop, or its text on a terminal without one.

A report that is missing is written first: from the records, so nothing is trained.
"""

import argparse
import os
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

from trainable.console.command_line import error_line
from trainable.console.visible_text import visible
from tuner.records import lock_folder
from tuner.records.settings import read_settings
from tuner.report import REPORT, write_report
from tuner.views.html.page import PAGE


def main(arguments: Sequence[str] | None = None, *, prog: str) -> int:
    """Runs the command; returns its exit status: 0 done, 2 user error."""
    folder = build_parser(prog).parse_args(arguments).folder
    report, page = folder / REPORT, folder / PAGE
    try:
        read_settings(folder)
        if not report.is_file() and not page.is_file():
            with lock_folder(folder):
                write_report(folder)
    except (ValueError, OSError) as error:
        sys.stderr.write(error_line(error))
        return 2
    has_desktop = sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    shown = page if (has_desktop and page.is_file()) or not report.is_file() else report
    sys.stdout.write(f"{shown}\n")
    if not (has_desktop and webbrowser.open(shown.absolute().as_uri())) and report.is_file():
        Console(file=sys.stdout).print(Markdown(visible(report.read_text(encoding="utf-8", errors="replace"))))
    return 0


def build_parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description="Show the report of a search.")
    parser.add_argument("folder", type=Path, help="a search's results, results/<space>/<run>")
    return parser
