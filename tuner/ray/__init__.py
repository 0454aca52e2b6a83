"""Starts or joins a Ray cluster, adapts a session to Ray Tune, and runs other calls on Ray (tasks). Nothing else in
tuner imports ray; only compat.py uses its private parts. May import trainable, tuner.formatting, tuner.policy,
tuner.records, tuner.session and tuner.settings.
"""
