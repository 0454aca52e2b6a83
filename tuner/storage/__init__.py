"""A results folder at a URI: the copy that is made while a search runs (mirror), and the search that is continued from
it on another machine (fetched_search). May import trainable.leg, trainable.remote, tuner.formatting and
tuner.records.
"""
