"""Search policies compared on recorded learning curves, without training: `python -m benchmarks.replay`.

May import search_spaces, tuner.budget, tuner.policy, tuner.records and peers; nothing of the product imports it. The
peers of `peer_process/` are in an environment of their own.
"""
