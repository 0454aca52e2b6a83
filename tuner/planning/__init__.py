"""Before a search: its data and space (plan), what is wrong with it (preflight), what an earlier one found
(warm_start), how long it will take (dry_run, duration). May import search_spaces, trainable, tuner.confirm.wanted,
tuner.formatting, tuner.policy, tuner.ray, tuner.records and tuner.settings.
"""
