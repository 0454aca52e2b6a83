"""The epoch that all sides of the benchmark of a search share: it sleeps, and logs when."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

LOG = "epochs.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleep:
    """The size of a search, and its log."""

    folder: Path
    num_trials: int
    num_epochs: int
    seconds: float

    def epoch(self, trial: str) -> None:
        """Sleeps, and logs when, in one write, so that lines of several processes do not mix."""
        began = time.time()
        time.sleep(self.seconds)
        with (self.folder / LOG).open("a") as log:
            log.write(json.dumps({"trial": trial, "began": began, "ended": time.time()}) + "\n")
