"""Several processes that train one model exactly as one process would, and the random streams of a run, the same on
every rank. May import nothing of ours.
"""
