"""How a configuration is given and kept: the part that every run has, typed fields, changes from the command line, the
options of a training, the file of an export, and references to objects of the user's own. May import trainable.config,
trainable.reporting.profiling, trainable.reporting.tracking and trainable.workloads.registry.
"""
