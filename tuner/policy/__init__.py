"""Which configuration next, and which trial trains on: the decisions of a search.

Knows neither Ray nor a clock nor a file: the same calls make the same decisions, so that a resumed search is the one
that tells a new policy again what the old one was told. May import search_spaces.stub_trials, and numpy, scipy and
optuna.
"""
