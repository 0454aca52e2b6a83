"""The search spaces, one file per workload, and that of a loop of one's own. They use an Optuna trial's `suggest_`
methods; neither torch nor ray."""

from search_spaces.loop_space import LoopSpace

__all__ = ["LoopSpace"]
