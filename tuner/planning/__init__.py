"""Before a search: its data and space (plan), what is wrong with it (preflight), what an earlier one found
(warm_start), how long it will take (dry_run, duration). May import trainable, search_spaces, tuner.policy,
tuner.records.
"""
