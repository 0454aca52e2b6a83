"""Search spaces: what one is (space, loop_space), those of the workloads (builtin/, by name in registry), with the
user's values and ranges (pinning, ranges), and trials that answer them without Optuna (stub_trials, questions).

They use an Optuna trial's `suggest_` methods; neither torch nor ray. May import no other package of this project.
"""

from search_spaces.loop_space import LoopSpace

__all__ = ["LoopSpace"]
