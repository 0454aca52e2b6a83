"""Tests and measures this project on a CUDA device, in pieces: `make gpu`. Needs neither Ray nor Optuna."""
