"""The search spaces, a file for each workload and one for both pre-trainings, and that of a loop of one's own.

They use an Optuna trial's `suggest_` methods; neither torch nor ray. May import no other room.
"""

from search_spaces.loop_space import LoopSpace

__all__ = ["LoopSpace"]
