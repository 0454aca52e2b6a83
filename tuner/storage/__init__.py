"""A results folder at a URI: the copy that is made while a search runs (mirror), the search that is continued from it
on another machine (fetched_search), the checkpoints that only it has (fetched_checkpoint), and the right of one machine
at a time to continue (lease). May import trainable.leg, trainable.remote, trainable.reporting.waiting,
tuner.formatting and tuner.records.
"""
