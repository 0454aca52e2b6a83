"""Writes again what was deleted of a finished search: its report, page, table and export."""

import logging
from pathlib import Path

from tuner.confirm.wanted import what_is_left
from tuner.disk import needed_checkpoints
from tuner.ending.steps import finish
from tuner.export import FOLDER
from tuner.records import locked, read_search
from tuner.report import REPORT, TABLE
from tuner.storage.mirror import mirrored
from tuner.views.html.page import PAGE

logger = logging.getLogger(__name__)


def restored(folder: Path, *, space: str | None = None, store: str | None = None) -> bool:
    """Completes the folder of a finished search; returns whether anything was missing and is written now.

    Args:
        space: its space, as a check.
        store: URI of its copy, which is completed too; None is the recorded one.

    Raises:
        ValueError: the folder holds no search, one of another space, or is in use.
    """
    missing = [name for name in (REPORT, PAGE, TABLE, FOLDER) if not (folder / name).exists()]
    if not missing:
        return False
    search = read_search(folder, space=space)
    if search.leader is None and missing == [FOLDER]:
        return False
    if not search.is_finished or what_is_left(folder, search) is not None:
        return False
    logger.info("%s is finished; writing what is missing: %s", folder, ", ".join(missing))
    with locked(folder), mirrored(folder, store or search.settings.store) as mirror:
        if mirror is not None:
            mirror.fetch_checkpoints(needed_checkpoints(search))
        finish(folder, search)
    return True
