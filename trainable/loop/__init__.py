"""A training loop of the user's own: their function, its handle, and the run that stands between both.

May import trainable.
"""
