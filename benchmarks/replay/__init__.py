"""Search policies compared on recorded learning curves, without training: `python -m benchmarks.replay`.

May import tuner.budget, tuner.policy, tuner.records and peers; nothing of the product imports it.
"""
