"""The training techniques, each a pure function first and a small object second: optim/, augment/, experts/,
parallel/, and those that stand alone. May import torch, trainable.models.output and trainable.losses; no task, no
trainer.
"""
