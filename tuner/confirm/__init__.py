"""Tests whether the best trials beat the default on data that the search never saw: lists the trainings (wanted), runs
them (training), says how long they take (remaining) and compares them (comparison). May import trainable, tuner.api,
tuner.budget, tuner.ending, tuner.export, tuner.formatting, tuner.ray, tuner.records, tuner.references and
tuner.results.
"""
