"""What a CUDA device does with this project, in pieces: `make gpu`. Needs neither Ray nor Optuna."""
