"""Shows a search or a standalone training in the browser, running or finished.

    python -m tuner.page results/moe/<run>      curves, trials, configurations, checkpoints, this machine
    python -m tuner.page runs/first/train       the same of one training, compared with others

It listens on this machine only and sends no usage statistics. A search's page only reads the records, so it does not
slow the search; a training's page also deletes checkpoints, after a question.
Needs Streamlit: pip install 'vision-tuner[page]'.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from trainable.console.command_line import error_line, run_main
from tuner.records import read_search
from tuner.report import baseline_rows
from tuner.views.training_data import is_training, read_training

PROG = "python -m tuner.page"
SCRIPT = Path(__file__).with_name("views") / "page_view.py"
TRAINING_SCRIPT = SCRIPT.with_name("training_page.py")
OPTIONS = {
    "server.address": "127.0.0.1",
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "minimal",
}


def main(arguments: Sequence[str] | None = None, *, prog: str = PROG) -> int:
    """Runs the command: replaces this process with the server, or returns its exit status."""
    folder = build_parser(prog).parse_args(arguments).folder
    try:
        if is_training(folder):
            read_training(folder)
        else:
            baseline_rows(folder, read_search(folder))
        if find_spec("streamlit") is None:
            raise ValueError("The page needs streamlit; install it with: pip install 'vision-tuner[page]'.")
    except (ValueError, OSError) as error:
        sys.stderr.write(error_line(error))
        return 2
    # The script by its whole path: the server works from any folder.
    script = TRAINING_SCRIPT if is_training(folder) else SCRIPT
    options = [f"--{name}={value}" for name, value in OPTIONS.items()]
    command = [sys.executable, "-m", "streamlit", "run", str(script), *options, "--", str(folder.resolve())]
    return os.execv(sys.executable, command)


def build_parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description="Show a search or a training in the browser.")
    parser.add_argument(
        "folder", type=Path, help="results/<space>/<run> of a search, or the --output of trainable.train"
    )
    return parser


if __name__ == "__main__":
    sys.exit(run_main(main))
