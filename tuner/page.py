"""A page in the browser on one search, running or over: curves, trials, configurations, checkpoints, this machine.

    python -m tuner.page results/moe/<run>

It listens on this machine alone, sends no usage statistics, and reads the records only: a search neither waits for it
nor notices it. Streamlit draws it and is an extra: pip install 'vision-tuner[page]'.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from tuner.records import read_search

SCRIPT = Path(__file__).with_name("page_view.py")
OPTIONS = {
    "server.address": "127.0.0.1",
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "minimal",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status, or becomes the server."""
    parser = argparse.ArgumentParser(prog="python -m tuner.page", description="Show a search in the browser.")
    parser.add_argument("folder", type=Path, help="a search's results, results/<space>/<run>")
    folder = parser.parse_args(arguments).folder
    try:
        read_search(folder)
        _check_installed()
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return os.execv(sys.executable, server_command(folder))


def server_command(folder: Path) -> list[str]:
    """Starts the server; the project is found from wherever the page is asked for."""
    options = [f"--{name}={value}" for name, value in OPTIONS.items()]
    return [sys.executable, "-m", "streamlit", "run", str(SCRIPT), *options, "--", str(folder)]


def _check_installed() -> None:
    if find_spec("streamlit") is None:
        raise ValueError("The page needs streamlit; install it with: pip install 'vision-tuner[page]'.")


if __name__ == "__main__":
    sys.exit(main())
