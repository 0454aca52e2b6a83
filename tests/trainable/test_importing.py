"""The garbage collector while modules are imported, and after."""

import gc
import subprocess
import sys

import pytest

from trainable.console.process import collector_paused, freeze_imports


@pytest.fixture(autouse=True)
def _unfrozen():
    yield
    gc.unfreeze()


def test_no_garbage_is_looked_for_until_the_outermost_import_is_over():
    with collector_paused():
        with collector_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_garbage_is_looked_for_again_after_an_import_that_failed():
    with pytest.raises(ModuleNotFoundError), collector_paused():
        import no_such_module  # noqa: F401
    assert gc.isenabled()


def test_what_is_frozen_is_not_looked_through_again_and_what_comes_later_is():
    module = type(sys)("module")
    freeze_imports()
    assert not any(one is module for one in gc.get_objects())
    later = type(sys)("later")
    assert any(one is later for one in gc.get_objects())


@pytest.mark.slow
def test_a_process_that_froze_a_library_which_counts_leaks_ends_silently():
    code = "from trainable.console.process import freeze_imports\nimport torchvision\nfreeze_imports()"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout + ended.stderr == ""


def test_the_resumed_collector_skips_what_was_imported():
    with collector_paused():
        imported = [{"number": number} for number in range(10)]
    assert any(one is imported for one in gc.get_objects(generation=2))
    assert gc.isenabled()
