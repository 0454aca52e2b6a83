"""How a batch becomes a loss, and an evaluation batch a metric: one file a kind of task. May import trainable.losses,
trainable.metrics and trainable.techniques; no task.
"""
