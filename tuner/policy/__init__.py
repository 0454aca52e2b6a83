"""The decisions of a search: which configuration to try next, and which trial to continue.

Uses no Ray, clock or file: the same calls give the same decisions, so a resumed search replays its records into a new
policy. May import search_spaces.stub_trials, and numpy, scipy and optuna.
"""
