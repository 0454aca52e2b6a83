"""Losses as pure functions of outputs and targets, and the weights of several tasks' losses in one total. May import
trainable.configuration.fields, trainable.device_copy and trainable.models.
"""
