"""Chooses configurations, runs them and reports the results. The commands are here: search, export, ensemble, explain,
report, page, and confirm as a room. May import trainable and search_spaces; ray only in tuner.ray.
"""
