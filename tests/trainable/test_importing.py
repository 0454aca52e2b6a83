"""The garbage collector while modules are imported, and after."""

import gc

import pytest

from trainable.importing import nothing_collected


def test_no_garbage_is_looked_for_until_the_outermost_import_is_over():
    with nothing_collected():
        with nothing_collected():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_garbage_is_looked_for_again_after_an_import_that_failed():
    with pytest.raises(ModuleNotFoundError), nothing_collected():
        import no_such_module  # noqa: F401
    assert gc.isenabled()
