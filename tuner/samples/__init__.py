"""Samples of the test split for report.html: the truth beside what the default and the exported trial say. May import
trainable, tuner.selection.selected_trial, tuner.ensemble, tuner.export, tuner.formatting, tuner.records and
tuner.results.
"""
