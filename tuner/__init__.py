"""Which configurations to try, and what came of it. The commands lie here, thin: search, export, ensemble, explain,
report, page, and confirm as a room. May import trainable and search_spaces; ray in tuner.ray alone.
"""
