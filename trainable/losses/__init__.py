"""Losses as pure functions of outputs and targets."""
