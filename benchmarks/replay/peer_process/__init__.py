"""Optimizers of other projects beside ours, each in a process of an environment of its own: `make peers`.

Simulator, clock, workers and curves stay in our process (`policy.py`, `process.py`, `space.py`). The peer's process
(`serve.py`) answers calls over a pipe, one JSON line each, and imports its library alone. Both sides share
`interface.py`. One file per library turns the calls into the library's own.
"""
