"""How a batch becomes a loss, and an evaluation batch a metric: one file a kind of task. May import trainable.losses,
trainable.metrics, trainable.models, trainable.techniques, and of trainable.data the batches and splits that it
is given; no task.
"""
