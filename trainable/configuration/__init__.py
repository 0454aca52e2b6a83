"""How a configuration is given: the part that every run has, typed fields, files, changes from the command line, and
references to objects of the user's own. May import trainable.config and trainable.data.io.counted.
"""
