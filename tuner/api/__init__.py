"""The interface for scripts and notebooks: `from tuner import load, resume, search`. The commands call the same. May
import search_spaces, trainable, tuner.selection, tuner.budget, tuner.confirmation, tuner.ending, tuner.export,
tuner.formatting, tuner.planning, tuner.ray, tuner.records, tuner.report, tuner.run, tuner.settings and tuner.storage;
importing it loads neither torch nor ray.
"""
