"""Before a search: its space (spaces), the user's values and ranges (given, ranges) and sampler (user_sampler), its
data and the configuration of every trial (opened_data, base_config), the plan of all of it (plan), checks (places
before torch is imported, preflight), and results of an earlier search (warm_start). May import search_spaces,
trainable, tuner.formatting, tuner.policy, tuner.records, tuner.settings and tuner.planning.spaces.
"""
