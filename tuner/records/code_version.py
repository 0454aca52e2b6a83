"""Version of the running code, and its git commit if it runs from a checkout."""

import shutil
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).resolve().parent


def code_version() -> str:
    try:
        return version("vision-tuner")
    except PackageNotFoundError:
        return "unknown"


@cache
def code_commit() -> str | None:
    """The commit, with `-dirty` if files have changed; None without git or outside a checkout."""
    if shutil.which("git") is None:
        return None
    if _git("ls-files", "--error-unmatch", Path(__file__).name) is None:
        # Installed into an environment inside another repository, whose state is unrelated to this code.
        return None
    return _git("describe", "--always", "--dirty", "--abbrev=12", "--exclude", "*")


def _git(*arguments: str) -> str | None:
    """Runs git and returns its output; None if it fails."""
    done = subprocess.run(["git", "-C", str(HERE), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
