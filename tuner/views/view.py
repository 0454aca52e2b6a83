"""The base of every view of a running search."""

from tuner.records import SearchRecord


class View:
    """Shows a running search; without overrides it shows nothing."""

    def start(self) -> None:
        """Called once, before anything else."""

    def update(self, search: SearchRecord) -> None:
        """Called when the search has changed."""

    def stop(self) -> None:
        """Stops updating; the last state stays visible."""
