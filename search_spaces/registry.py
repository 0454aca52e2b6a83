"""The search spaces by name."""

import difflib
from collections.abc import Iterable

from search_spaces.builtin import agroforestry, dishes, dishes_grid, leaf, moe, pretraining, retina
from search_spaces.space import Space

_SPACES: tuple[Space, ...] = (
    moe.SPACE,
    dishes.SPACE,
    dishes_grid.SPACE,
    pretraining.LEAVES,
    leaf.SPACE,
    retina.SPACE,
    agroforestry.SPACE,
    pretraining.SCENES,
    # One line for each space.
)
SPACES: dict[str, Space] = {space.name: space for space in _SPACES}


def get_space(name: str, *, others: Iterable[str] = ()) -> Space:
    """The space of that name.

    Args:
        others: names of spaces that are not of this package, for the error.

    Raises:
        ValueError: there is none; the message has all known names and the nearest.
    """
    if name not in SPACES:
        known = [*SPACES, *others]
        nearest = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else "; or give a space of your own as file.py:NAME."
        raise ValueError(f"{name} is not a search space, known: {', '.join(known)}{hint}")
    return SPACES[name]
