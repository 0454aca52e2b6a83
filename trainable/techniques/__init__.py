"""The training techniques, each a pure function first and a small object second: optim/, augment/, experts/,
parallel/, and those that stand alone. May import torch, trainable.config, trainable.configuration.fields,
trainable.configuration.share_of_epochs, trainable.losses, trainable.models.output, trainable.plain_state,
trainable.saved_state and trainable.supervision.base; no task, no trainer.
"""
