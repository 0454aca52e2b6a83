"""Before a search: its data (opened_data), data and space (plan), checks (preflight), results of an earlier search
(warm_start), what is measured (measurement, step_timing, learning_curve), how much it buys (budget), and the expected
duration (dry_run, duration). May import search_spaces, trainable, tuner.confirm.wanted, tuner.formatting,
tuner.policy, tuner.ray, tuner.records, tuner.settings and tuner.planning.spaces.
"""
