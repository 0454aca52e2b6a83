"""What is known without training a network, measured beside a search and beside a confirmation, in a process of its own
at a low priority: the trivial prediction, and a linear probe of trained weights. May import trainable,
tuner.export, tuner.formatting, tuner.planning.base_config, tuner.ray and tuner.records.
"""
