"""The finished search of the tests of tuner."""

from tests.tuner.conftest import trained_folder

__all__ = ["trained_folder"]
