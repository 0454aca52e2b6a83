"""Ray's own account of a search, from which it goes on: whether a killed search left it whole.

Ray writes several files whenever it saves. A kill between two of them leaves one torn, or of another age than the
others; Ray would then not start, wait for trials that nobody trains, or end before all have begun.
"""

import json
import pickle
from pathlib import Path

from ray import cloudpickle, tune

_TRIALS, _PROPOSER, _COUNTER = "experiment_state-*.json", "searcher-state-*.pkl", "search_gen_state-*.json"


def is_whole(ray_folder: Path) -> bool:
    """All that Ray reads can be read, and its trials are those that its proposer remembers."""
    try:
        if not tune.Tuner.can_restore(ray_folder):
            return False
        # A pickle, whatever its name says.
        cloudpickle.loads(_newest(ray_folder, _COUNTER))
        known = {json.loads(state)["trial_id"] for state, _ in json.loads(_newest(ray_folder, _TRIALS))["trial_data"]}
        proposals = pickle.loads(_newest(ray_folder, _PROPOSER))["proposals"]
    except (ValueError, KeyError, EOFError, pickle.UnpicklingError):
        return False
    awaited = {trial for trial, proposal in proposals.items() if proposal.trial is not None}
    return awaited <= known <= proposals.keys()


def _newest(ray_folder: Path, pattern: str) -> bytes:
    """Of the latest session, as Ray itself picks it."""
    paths = list(ray_folder.glob(pattern))
    if not paths:
        raise ValueError(f"{ray_folder} has no {pattern}")
    return max(paths).read_bytes()
