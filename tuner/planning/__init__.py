"""Before a search: data and space (plan), checks (preflight), results of an earlier search (warm_start), the expected
duration (dry_run, step_timing, duration). May import search_spaces, trainable, tuner.confirm.wanted, tuner.formatting,
tuner.policy, tuner.ray, tuner.records, tuner.settings and tuner.planning.spaces.
"""
