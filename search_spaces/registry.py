"""The search spaces by name."""

import difflib

from search_spaces import agroforestry, dishes, dishes_grid, leaf, leaf_pretrain, moe, retina
from search_spaces.space import Space

_SPACES: tuple[Space, ...] = (
    moe.SPACE,
    dishes.SPACE,
    dishes_grid.SPACE,
    leaf_pretrain.SPACE,
    leaf.SPACE,
    retina.SPACE,
    agroforestry.SPACE,
    # One line for each space.
)
SPACES: dict[str, Space] = {space.name: space for space in _SPACES}


def get_space(name: str) -> Space:
    """The space of that name; raises ValueError with all known names and the nearest one when there is none."""
    if name not in SPACES:
        nearest = difflib.get_close_matches(name, SPACES, n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else "."
        raise ValueError(f"{name} is no search space, known: {', '.join(SPACES)}{hint}")
    return SPACES[name]
