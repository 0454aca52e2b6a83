"""The epoch that every side of the benchmark of a search shares: it sleeps, and says when."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

LOG = "epochs.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleep:
    """What is to be run."""

    folder: Path
    num_trials: int
    num_epochs: int
    seconds: float

    def epoch(self, trial: str) -> None:
        """Sleeps, and says when: in one write, which no other process can tear."""
        began = time.time()
        time.sleep(self.seconds)
        with (self.folder / LOG).open("a") as log:
            log.write(json.dumps({"trial": trial, "began": began, "ended": time.time()}) + "\n")
