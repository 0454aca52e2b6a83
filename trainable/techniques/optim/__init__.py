"""From gradients to new weights: optimizer, schedules, mixed precision, accumulation, averaging, unfreezing. May import
trainable.configuration.fields and trainable.saved_state.
"""
