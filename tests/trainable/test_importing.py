"""The garbage collector while modules are imported, and after."""

import gc
import subprocess
import sys

import pytest

from trainable.importing import imported_for_good


@pytest.fixture(autouse=True)
def _unfrozen():
    yield
    gc.unfreeze()


def test_no_garbage_is_looked_for_until_the_outermost_import_is_over():
    with imported_for_good():
        with imported_for_good():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_garbage_is_looked_for_again_after_an_import_that_failed():
    with pytest.raises(ModuleNotFoundError), imported_for_good():
        import no_such_module  # noqa: F401
    assert gc.isenabled()


def test_what_was_imported_is_not_looked_through_again_and_what_comes_later_is():
    with imported_for_good():
        module = type(sys)("module")
    assert not any(one is module for one in gc.get_objects())
    later = type(sys)("later")
    assert any(one is later for one in gc.get_objects())


def test_a_process_that_imported_a_library_which_counts_leaks_ends_without_a_word():
    code = "from trainable.importing import imported_for_good\nwith imported_for_good(): import torchvision"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout + ended.stderr == ""
