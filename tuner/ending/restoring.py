"""Writes again what was deleted of a finished search: its report, page, table and export."""

import logging
from pathlib import Path

from tuner.budget.disk import exportable_trials
from tuner.confirmation.wanted import what_is_left
from tuner.ending.steps import finish
from tuner.export import FOLDER
from tuner.records import lock_folder, read_search
from tuner.report import REPORT, TABLE
from tuner.storage.lease import Lease
from tuner.storage.mirror import mirror_folder
from tuner.views.html.page import PAGE

logger = logging.getLogger(__name__)


def restore(folder: Path, *, space: str | None = None, lease: Lease | None = None) -> bool:
    """Completes the folder of a finished search; returns whether anything was missing and is written now.

    Args:
        space: its space, as a check.
        lease: of its copy at a URI, which is completed too; None is that of the recorded URI.

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
    store = search.settings.store if lease is None else lease.store
    with lock_folder(folder), mirror_folder(folder, store, lease) as mirror:
        if mirror is not None:
            mirror.fetch_checkpoints(exportable_trials(search))
        finish(folder, search)
    return True
