"""The predictions of a trained network, and how they are written and drawn: one file per kind. May import
trainable.data, trainable.losses, trainable.metrics, trainable.models, trainable.reporting, trainable.supervision,
trainable.techniques and trainable.console.visible_text; no task.
"""
