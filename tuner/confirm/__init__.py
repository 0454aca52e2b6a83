"""Is the best trial better than the default on data that the search never saw? Which trainings that takes (wanted), how
they run (training), what they say (comparison). May import trainable, tuner.export, tuner.formatting, tuner.ray,
tuner.records and tuner.results.
"""
