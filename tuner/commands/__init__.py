"""The commands that `vision-tuner` alone has: resume, open, completion. The others are modules that `python -m` runs
too. May import trainable.console, tuner.__main__, tuner.records, tuner.report, tuner.search, tuner.search_options and
tuner.views.html.
"""
