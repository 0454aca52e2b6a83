"""Baselines that need no training, measured during a search and a confirmation, in a low-priority process of their
own: the trivial prediction, and a linear probe of trained weights. May import trainable, tuner.export,
tuner.formatting, tuner.planning.base_config, tuner.ray and tuner.records.
"""
