"""A search that begins with what was best in an earlier one.

Its configurations are tried again, right after the default and the recommended ones; its values are not taken over,
because data, budget or version may be others. What the space no longer asks for, or only in another range, is left out
with a sentence.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import optuna

from tuner import wording
from tuner.proposer import check_params
from tuner.records import read_search
from tuner.study_mirror import FILE, load_mirror

logger = logging.getLogger(__name__)

NUM_BEST = 5


def warm_points(folder: Path, space: Callable[[optuna.Trial], dict], *, space_name: str) -> list[dict]:
    """The best parameters of the search in `folder` that `space` can ask for, the best first, at most NUM_BEST.

    Raises:
        ValueError: the folder holds no search of that space, or one without anything to start from.
    """
    search = read_search(folder, space=space_name)
    if search.comparison_epoch is None or not (folder / FILE).is_file():
        raise ValueError(f"{folder} has no measured trial to start from; give another --warm-start, or none.")
    asked = {trial.user_attrs["number"]: trial.params for trial in load_mirror(folder / FILE).trials}
    best = [trial.number for trial in search.ranked(search.comparison_epoch)[:NUM_BEST] if trial.number in asked]
    points = []
    for number in best:
        try:
            check_params(space, asked[number])
            points.append(asked[number])
        except ValueError as error:
            logger.info("trial %d of %s is not tried again: %s", number, wording.path(folder), error)
    return points
