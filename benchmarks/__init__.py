"""Compares this project with its peers: `python -m benchmarks`. May import everything; nothing imports it."""
