"""The Trainable that Ray runs, and its ranks: the only files of trainable that import ray. May import trainable."""
