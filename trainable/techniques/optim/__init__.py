"""From gradients to new weights: optimizer, schedules, mixed precision, accumulation, averaging, unfreezing. May import
trainable.configuration.fields, trainable.configuration.share_of_epochs, trainable.saved_state and
trainable.techniques.parallel.tensor_tree.
"""
