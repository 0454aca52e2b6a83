"""How a configuration is given and kept: typed fields, changes from the command line, the file of an export, and
references to objects of the user's own. May import trainable.config, trainable.tasks.registry and
trainable.workloads.registry.
"""
