"""A command leaves the process it ran in as it was: a notebook may call it."""

import gc
import logging
import os

import pytest
from threadpoolctl import ThreadpoolController

from trainable.console import process
from tuner.api import searches
from tuner.ray.cluster import restored_environment
from tuner.search import main


def test_what_a_search_sets_is_as_before_and_what_a_notebook_sets_meanwhile_stays(monkeypatch):
    monkeypatch.setenv("TUNE_PRINT_ALL_TRIAL_ERRORS", "before")
    monkeypatch.setenv("RAY_REMOVED", "before")
    monkeypatch.delenv("RAY_ADDED", raising=False)
    monkeypatch.delenv("OF_THE_NOTEBOOK", raising=False)
    monkeypatch.setenv("REMOVED_BY_THE_NOTEBOOK", "before")
    before = dict(os.environ)
    with restored_environment():
        os.environ.update({"RAY_ADDED": "x", "TUNE_PRINT_ALL_TRIAL_ERRORS": "changed", "OF_THE_NOTEBOOK": "new"})
        del os.environ["RAY_REMOVED"], os.environ["REMOVED_BY_THE_NOTEBOOK"]
    del before["REMOVED_BY_THE_NOTEBOOK"]
    assert dict(os.environ) == before | {"OF_THE_NOTEBOOK": "new"}


def test_a_command_leaves_no_variable_logger_or_collector_changed(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    loggers = [logging.getLogger(name) for name in (None, *process.OURS, "ray")]

    def state():
        levels = [(logger.level, list(logger.handlers)) for logger in loggers]
        return dict(os.environ), levels, gc.isenabled(), gc.get_freeze_count()

    # Ray adds a handler when it is imported.
    searches.load_libraries()
    gc.unfreeze()
    before = state()
    assert main(["--resume", str(tmp_path)]) == 2
    assert state() == before


def test_small_matrices_have_one_thread_during_a_search_in_a_library_that_is_loaded_too():
    """NumPy is loaded before a search can set a variable for it."""
    blas = ThreadpoolController().select(internal_api="openblas")
    if not blas.info():
        pytest.skip("this NumPy has no OpenBLAS")

    def threads():
        return {one["num_threads"] for one in blas.info()}

    with blas.limit(limits=2):
        with searches.environment():
            assert threads() == {1}
        assert threads() == {2}


def test_ours_are_shown_from_info_up_as_text_alone_and_once(capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    ours, other = logging.getLogger("tuner.run"), logging.getLogger("someone.else")
    with process.shown():
        ours.info("trial %d", 3)
        ours.debug("detail")
        other.info("not ours")
    ours.info("later")
    assert capsys.readouterr().err == "trial 3\n"


def test_where_a_notebook_logs_already_ours_go_there_and_nowhere_else(capsys, caplog):
    with process.shown():
        logging.getLogger("tuner.run").info("trial 3")
    assert (caplog.messages, capsys.readouterr().err) == (["trial 3"], "")


def test_a_library_is_silent_for_as_long_as_it_is_asked(caplog):
    caplog.set_level(logging.INFO)
    with process.silence_loggers("alembic"):
        logging.getLogger("alembic").info("a table")
        logging.getLogger("alembic").warning("a fault")
    logging.getLogger("alembic").info("after")
    assert caplog.messages == ["a fault", "after"]
