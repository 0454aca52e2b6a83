"""Ray: the cluster, the adapters through which it runs the legs of a session, and calls that are no trials (tasks).
Nothing else in tuner imports ray; private parts of it are touched in compat.py alone. May import trainable,
tuner.policy, tuner.records, tuner.session and tuner.settings.
"""
