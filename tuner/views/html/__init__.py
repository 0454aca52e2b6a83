"""report.html: a search as one file that needs no server and no network, while it runs and afterwards. The template
escapes every text. May import tuner.selection, tuner.budget.time_left, tuner.confirmation.wanted, tuner.formatting,
tuner.importance, tuner.records, tuner.results and tuner.views; neither torch nor ray.
"""
