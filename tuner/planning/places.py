"""Checks that the files and folders that a search is given are there: without torch, whose import takes seconds."""

from pathlib import Path

from trainable.configuration.given_paths import WEIGHTS
from trainable.configuration.reference import is_reference
from trainable.configuration.weight_places import check_weights
from trainable.data.io.folder_layout import require_exists
from trainable.remote.local_source import absolute_source
from trainable.remote.uri import is_uri
from trainable.reporting.output_folder import initial_weights
from tuner.records.settings import read_settings
from tuner.settings import AUTO, SearchSettings


def check_places(settings: SearchSettings) -> None:
    """Raises ValueError when the data, the initial weights or the earlier search of a new search is not there."""
    # What a loop of the user's own takes is for the loop to say.
    if not is_reference(settings.found_space.space.workload):
        if settings.data is not None and not is_uri(settings.data):
            require_exists(Path(absolute_source(settings.data)))
        if settings.init is not None:
            initial_weights(settings.init)
        for name in WEIGHTS:
            if isinstance(weights := settings.pinned.get(name), str):
                check_weights(weights)
    if settings.warm_start not in (None, AUTO):
        read_settings(settings.warm_start)
