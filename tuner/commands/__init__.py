"""The commands that `vision-tuner` alone has: resume, open, completion. The others are modules that `python -m` runs
too. May import search_spaces.registry, trainable.console, trainable.tasks, tuner.__main__, tuner.records,
tuner.report, tuner.search, tuner.search_options, tuner.settings and tuner.views.html.
"""
