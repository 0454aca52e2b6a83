"""From gradients to new weights: optimizer, schedules, mixed precision, accumulation, averaging, unfreezing. May import
trainable.configuration.fields, trainable.saved_state and trainable.techniques.parallel.tensor_tree.
"""
