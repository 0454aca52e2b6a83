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
    asked = (
        ("ls-files", "--error-unmatch", Path(__file__).name),
        ("describe", "--always", "--dirty", "--abbrev=12", "--exclude", "*"),
    )
    commands = [["git", "-C", str(HERE), *arguments] for arguments in asked]
    tracked, described = (subprocess.run(one, capture_output=True, text=True, check=False) for one in commands)
    return described.stdout.strip() if tracked.returncode == described.returncode == 0 else None
