"""Losses as pure functions of outputs and targets. May import trainable.configuration.fields and trainable.models."""
