"""Our side of the pipe: a peer in a process of its own environment."""

import json
import os
import select
import subprocess
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.replay.peer_process.interface import PeerSetting

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".venv-peers" / "bin" / "python"
PACKAGE = "benchmarks.replay.peer_process"
SERVER = f"{PACKAGE}.serve"
MODULES = {
    "smac": f"{PACKAGE}.smac_peer",
    "dehb": f"{PACKAGE}.dehb_peer",
    "bohb": f"{PACKAGE}.syne_tune_peer",
    "mobster": f"{PACKAGE}.syne_tune_peer",
    "hyper-tune": f"{PACKAGE}.syne_tune_peer",
}
"""The peers by name, and the module that speaks to their library."""
ANSWER_SECONDS = 900
"""Time limit of an answer; the slowest peer fits a Gaussian process to a thousand results."""
PATIENCE_SECONDS = 10
"""Time for a process to end after its pipe is closed."""
LONGEST_QUOTE = 80
"""Characters of an answer that an error shows."""


class PeerError(RuntimeError):
    """A peer ended before it answered, did not answer in time, or its answer means nothing.

    The text is what it did and the last line of its error, to follow its name: `ended with status 1: RuntimeError`.
    """


class PeerProcess:
    """Runs a peer while it is open.

    Args:
        module: what `serve.py` loads.
        python: the Python of the peer's environment.
    """

    def __init__(self, setting: PeerSetting, *, module: str, python: Path = PYTHON) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115, closed in __exit__
        # The order in sets of strings must not change from run to run.
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
        self._process = subprocess.Popen(
            [python, "-m", SERVER, module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=ROOT,
            env=environment,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout
        self._send(asdict(setting))

    def __enter__(self) -> "PeerProcess":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            # Waits only for the end: closes the pipe, at which the peer ends.
            self._process.communicate(timeout=PATIENCE_SECONDS)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._process.kill()
            self._process.communicate()
        self._errors.close()

    def call(self, name: str, **arguments: Any) -> Any:
        """The peer's answer.

        Raises:
            PeerError: its process has ended, its pipe is closed, the answer is not JSON or takes too long.
        """
        self._send({"call": name, **arguments})
        # Nothing waits in the buffer: each call has one line for an answer.
        if not select.select([self._answers], [], [], ANSWER_SECONDS)[0]:
            self._process.kill()
            raise self.error(f"did not answer {name} within {ANSWER_SECONDS:g} s")
        line = self._answers.readline()
        if not line.endswith("\n"):
            raise self._ended()
        try:
            return json.loads(line)
        except ValueError:
            raise self.error(f"answered {name} with {line.strip()[:LONGEST_QUOTE]!r}") from None

    def error(self, what: str) -> PeerError:
        """Builds the error from what the peer did wrong and the last line of its standard error."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "without a word")
        return PeerError(f"{what}: {last}")

    def _send(self, line: dict[str, Any]) -> None:
        try:
            self._requests.write(json.dumps(line) + "\n")
            self._requests.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def _ended(self) -> PeerError:
        try:
            status = self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self.error("closed its pipe")
        return self.error(f"was killed by signal {-status}" if status < 0 else f"ended with status {status}")
