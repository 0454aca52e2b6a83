"""Pure functions that turn records into results for people: progress, what is above the trivial prediction, the
differences of configurations, the text of the report. May import search_spaces.glossary, trainable.configuration,
tuner.selection, tuner.formatting, tuner.importance, tuner.policy and tuner.records; neither ray nor torch.
"""
