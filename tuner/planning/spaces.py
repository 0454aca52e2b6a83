"""The space and the base configuration of a search: of this package, of an installed one, or a user's own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from search_spaces.loop_space import LoopSpace
from search_spaces.questions import WrongQuestionError
from search_spaces.registry import SPACES, get_space
from search_spaces.space import Space
from trainable.configuration.reference import Reference, activate, find, is_reference, load
from trainable.configuration.user_frames import is_our_sentence
from trainable.loop.loop_error import as_loop_error
from tuner.records import RecordedSettings

ENTRY_POINTS = "vision_tuner.spaces"
"""The group in which an installed package lists its spaces by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSpace:
    """A space and where it comes from."""

    space: Space
    reference: str | None = None
    """`module:NAME`; None for one of this package."""
    references: tuple[Reference, ...] = ()
    """The user's own objects in it: the space, and its workload."""


def find_space(given: str) -> FoundSpace:
    """The space of a name, or of a reference `module:NAME` or `file.py:NAME`.

    Raises:
        ValueError: there is none, or what is referred to is not a space.
    """
    if is_reference(given):
        return _own(given)
    # The installed packages are not listed for a name of ours: that takes a tenth of a second.
    installed = {} if given in SPACES else installed_spaces()
    if given in installed:
        return _own(installed[given].value)
    return FoundSpace(space=get_space(given, others=installed))


def installed_spaces() -> Mapping[str, EntryPoint]:
    """The spaces of other installed packages, by name."""
    return {point.name: point for point in entry_points(group=ENTRY_POINTS) if point.name not in SPACES}


def recorded_space(settings: RecordedSettings) -> Space:
    """The space of a recorded search.

    Raises:
        ValueError: it no longer exists, or its file has changed.
    """
    if settings.space_reference is None:
        return get_space(settings.space)
    activate(settings.references)
    return _by_module(_as_space(settings.space_reference))


def _own(given: str) -> FoundSpace:
    reference = find(given)
    space = _as_space(reference.text)
    # It may lie beside the space, whose folder is known by now.
    workload = [find(space.workload)] if is_reference(space.workload) else []
    references = tuple(dict.fromkeys([reference, *workload]))
    return FoundSpace(space=_by_module(space), reference=reference.text, references=references)


def _as_space(reference: str) -> Space:
    """The user's space, or the space of the user's loop."""
    found: Space | LoopSpace = load(reference, (Space, LoopSpace))
    space = found.as_space(reference) if isinstance(found, LoopSpace) else found
    suggest, defaults, recommended = (
        _UserFunction(function, f"the space {space.name}")
        for function in (space.suggest, space.defaults, space.recommended)
    )
    return replace(space, suggest=suggest, defaults=defaults, recommended=recommended)


@dataclass(frozen=True, slots=True)
class _UserFunction:
    """A function of the user's space, whose errors show only the user's lines."""

    function: Callable[..., Any]
    what: str

    def __call__(self, *arguments: Any) -> Any:
        try:
            return self.function(*arguments)
        except Exception as error:
            if is_our_sentence(error) and not isinstance(error, WrongQuestionError):
                # Such as one about --set, which the function knows nothing of.
                raise
            raise as_loop_error(error, what=self.what) from error


def _by_module(space: Space) -> Space:
    """Names the space's workload by module instead of file, so that other processes and machines can import it."""
    place, colon, name = space.workload.rpartition(":")
    return replace(space, workload=f"{Path(place).stem}:{name}") if colon and place.endswith(".py") else space
