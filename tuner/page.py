"""Shows one search in the browser, running or finished: curves, trials, configurations, checkpoints, this machine.

    python -m tuner.page results/moe/<run>

It listens on this machine only, sends no usage statistics, and only reads the records, so it does not slow the search.
Needs Streamlit: pip install 'vision-tuner[page]'.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from tuner.records import read_search

SCRIPT = Path(__file__).with_name("views") / "page_view.py"
OPTIONS = {
    "server.address": "127.0.0.1",
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "minimal",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command: replaces this process with the server, or returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tuner.page", description="Show a search in the browser.")
    parser.add_argument("folder", type=Path, help="a search's results, results/<space>/<run>")
    folder = parser.parse_args(arguments).folder
    try:
        read_search(folder)
        if find_spec("streamlit") is None:
            raise ValueError("The page needs streamlit; install it with: pip install 'vision-tuner[page]'.")
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return os.execv(sys.executable, server_command(folder))


def server_command(folder: Path) -> list[str]:
    """The command line of the server; it works from any working folder."""
    options = [f"--{name}={value}" for name, value in OPTIONS.items()]
    return [sys.executable, "-m", "streamlit", "run", str(SCRIPT), *options, "--", str(folder)]


if __name__ == "__main__":
    sys.exit(main())
