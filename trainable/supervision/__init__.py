"""Turns a batch into a loss and an evaluation batch into scores, a file per kind of task. May import trainable.losses,
trainable.metrics, trainable.models, trainable.techniques, and of trainable.data the batches and splits that it is
given; no task.
"""
