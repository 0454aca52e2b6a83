"""Ours beside its peers on the same work: `python -m benchmarks`. May import everything; nothing imports it."""
