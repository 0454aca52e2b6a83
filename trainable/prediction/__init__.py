"""What a trained network says of a picture, and how it is written and drawn: one file per kind of answer. May import
trainable.data, trainable.losses, trainable.metrics, trainable.models, trainable.reporting, trainable.supervision and
trainable.techniques; no task.
"""
