"""The wheel that people install: it works from any folder, also from one that holds files of our names."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def command(tmp_path_factory) -> Path:
    """`vision-tuner` of a fresh environment, which borrows the packages that it needs from this one."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in ("search_spaces", "trainable", "tuner"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", str(source)]
    subprocess.run(build, check=True, capture_output=True, cwd=folder)
    (wheel,) = folder.glob("vision_tuner-*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
    python = folder / "env/bin/python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True)
    own = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    Path(own, "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return folder / "env/bin/vision-tuner"


@pytest.fixture
def elsewhere(tmp_path) -> Path:
    """A user's folder, with files of the names of our packages."""
    for name in ("tuner", "trainable", "search_spaces"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('a file of the user was imported')\n")
    return tmp_path


def run(command: Path, folder: Path, *options: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"VISION_TUNER_CACHE": str(folder / "cache")}
    done = subprocess.run(
        [command, *options], cwd=folder, env=environment, capture_output=True, text=True, timeout=450, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_holds_all_packages_and_every_command_starts(command, elsewhere):
    assert run(command, elsewhere, "--version") == "vision-tuner 0.2.0\n"
    for name in [line.split()[0] for line in run(command, elsewhere).splitlines() if line.startswith("  ")]:
        assert run(command, elsewhere, name, "--help").startswith(f"usage: vision-tuner {name}")


def test_a_search_with_a_confirmation_runs_beside_files_of_our_names_and_prints_its_result(command, elsewhere):
    options = "--trials 2 --max-epochs 2 --confirm 1 --scheduler none --set pyramid_channels=8 --name first --json"
    summary = json.loads(run(command, elsewhere, "search", *options.split()))
    assert summary["is_over"]
    assert summary["trials"] == {"ended": 2, "of": 2}
    assert len(summary["confirmations"]) == 1
    folder = Path(elsewhere / "results/moe/first")
    assert Path(elsewhere, summary["folder"]) == folder
    assert json.loads(run(command, elsewhere, "export", str(folder), "--json"))["config"].endswith("config.json")
    assert "trials" in run(command, elsewhere, "open", str(folder))
