"""What a trained network says of a picture, and how it is written and drawn: one file per kind of answer. May import
trainable.data, trainable.models, trainable.supervision and trainable.techniques; no task.
"""
