"""The results of a finished search, to be replayed."""

from tests.tuner.conftest import finished_folder, synthetic_search

__all__ = ["finished_folder", "synthetic_search"]
