"""A search as its user runs it, in a process of its own, to be watched, interrupted and hit."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[3]
POLL_SECONDS, LOOK_SECONDS = 0.02, 0.5
QUICK_TO_MISS_A_NODE = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "4",
}
"""By itself Ray takes a minute or two, in which trials on a node that is gone go on."""


class SearchProcess:
    """`python -m tuner.search` in a session of its own, as a terminal would start it, writing into files."""

    def __init__(
        self,
        place: Path,
        *options: str,
        kill_at: str | None = None,
        cwd: Path = ROOT,
        before: Sequence[str] = (),
    ) -> None:
        """
        Args:
            kill_at: a moment of killed_at.py at which the process kills itself.
            before: a command that becomes the one that follows it.
        """
        place.mkdir(parents=True, exist_ok=True)
        self._out, self._err = place / "out.txt", place / "err.txt"
        self.options = options
        start = ["-m", "tests.tuner.end_to_end.killed_at", kill_at] if kill_at else ["-m", "tuner.search"]
        command = [*before, sys.executable, *start, *options]
        with self._out.open("w") as out, self._err.open("w") as err:
            self._process = subprocess.Popen(command, cwd=cwd, stdout=out, stderr=err, start_new_session=True)
        self._itself = psutil.Process(self._process.pid)
        self._looked = 0.0
        self.trial_processes: set = set()
        self.all_processes: set = set()

    @property
    def said(self) -> str:
        return self._out.read_text()

    @property
    def complained(self) -> str:
        return self._err.read_text()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait(self, seconds: float) -> int:
        return self._process.wait(seconds)

    def itself(self) -> list:
        return [self._itself] if self.is_running else []

    def ray_nodes(self) -> list:
        """The process that stands for this machine in Ray's cluster."""
        return [child for child in self._children() if title(child).split(" ")[0].endswith("/raylet")]

    def running_trials(self) -> list:
        """Worker processes that run a trial; Ray names a process after its work."""
        children = self._children()
        trials = [child for child in children if "MoeTrial" in title(child)]
        self.all_processes.update(children)
        self.trial_processes.update(trials)
        return trials

    def until(self, is_reached) -> None:
        while not is_reached():
            assert self._process.poll() is None, f"ended too early:\n{self.said}\n{self.complained}"
            self._look()

    def watch(self, is_reached) -> None:
        """The same, unless it ends first."""
        while self.is_running and not is_reached():
            self._look()

    def finish(self) -> int:
        while self._process.poll() is None:
            self._look()
        return self._process.returncode

    def send(self, number: int, *, to_group: bool = False) -> None:
        (os.killpg if to_group else os.kill)(self._process.pid, number)

    def end(self) -> None:
        """Kills the process if a failed test left it running."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _look(self) -> None:
        """Walking through all processes takes longer than the condition that is waited for may last."""
        time.sleep(POLL_SECONDS)
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._looked = time.monotonic()
            self.running_trials()

    def _children(self) -> list:
        """Child processes; empty if the process has ended meanwhile."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return self._itself.children(recursive=True)
        return []


def title(process) -> str:
    """Empty for one that has ended meanwhile."""
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return ""


@dataclass
class Search:
    """A results folder and the commands that filled it."""

    place: Path
    """Where its storage is."""
    folder: Path
    copied: dict = field(default_factory=dict)
    """Content of a copy that was made of it."""
    intruder: SearchProcess | None = None
    """Another command on the same folder."""
    commands: list[SearchProcess] = field(default_factory=list)
    exit_codes: list[int] = field(default_factory=list)

    def events(self, kind: str | None = None) -> list[dict]:
        path = self.folder / "trials.jsonl"
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return [event for event in map(json.loads, lines) if kind in (None, event["event"])]

    def ray_marks(self, name: str) -> list[Path]:
        """Files of this name in the temporary folders of local Rays."""
        return [mark for place in {"/tmp", tempfile.gettempdir()} for mark in Path(place).glob(f"ray-*/{name}")]

    def begin(self, *options: str, **how) -> SearchProcess:
        place = self.place / f"command_{len(self.commands)}"
        self.commands.append(SearchProcess(place, *options, **how))
        return self.commands[-1]

    def finish(self) -> int:
        self.exit_codes.append(self.commands[-1].finish())
        return self.exit_codes[-1]

    def end(self) -> None:
        for command in self.commands:
            command.end()


def new_search(
    place: Path,
    data: Path,
    *,
    trials: int,
    epochs: int,
    lanes: int,
    scheduler: str = "asha-stopping",
    confirm: int = 0,
    kill_at: str | None = None,
) -> Search:
    search = Search(place, place / "moe" / "run")
    options = f"--data {data} --storage {place} --name run --trials {trials} --max-epochs {epochs} --confirm {confirm}"
    options += f" --scheduler {scheduler}"
    options += f" --concurrent {lanes} --set effective_batch=8 --set pyramid_channels=16 --set backbone=small"
    search.begin(*options.split(), kill_at=kill_at)
    return search


def assert_no_epoch_is_repeated(search: Search) -> None:
    results = [(event["trial"], event["epoch"]) for event in search.events("result")]
    assert len(results) == len(set(results))
