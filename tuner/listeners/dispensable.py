"""Optional listeners: one that fails is dropped with a warning, and the search continues."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tuner.records import SearchRecord
from tuner.records.events import Event
from tuner.records.recorder import Listener

logger = logging.getLogger(__name__)


class Dispensable(Listener):
    """A listener whose failure does not stop the search.

    Args:
        name: its name in the warning.
        remedy: how to get what it has missed, as a clause of the warning.
        errors: the exceptions that count as its failure.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[], Listener],
        *,
        remedy: str,
        errors: tuple[type[Exception], ...] = (OSError,),
    ) -> None:
        self._name, self._remedy, self._errors = name, remedy, errors
        self._listener: Listener | None = None
        with self._dropped_on_error():
            self._listener = make()

    def on_event(self, search: SearchRecord, event: Event) -> None:
        if self._listener is not None:
            with self._dropped_on_error():
                self._listener.on_event(search, event)

    def close(self) -> None:
        if self._listener is not None:
            with self._dropped_on_error():
                self._listener.close()

    @contextmanager
    def _dropped_on_error(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            self._listener = None
            logger.warning("%s stops, the search continues; %s: %s", self._name, self._remedy, error)
